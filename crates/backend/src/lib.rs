//! One connection to a PostgreSQL server: connect, log in, reset, check, cancel.
