//! The PostgreSQL wire protocol as bytes: frames, startup packets, readers, writers and authentication, without sockets.
