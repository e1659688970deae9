//! The accounting of server connections: limits, waiters, lifetimes, pause and eviction, generic over what a connection is.
