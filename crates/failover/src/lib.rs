//! The failover decision machine: events in, actions out, without a clock or a socket.
