//! Says of a SQL text whether it may run on a replica, by permission, and why.
