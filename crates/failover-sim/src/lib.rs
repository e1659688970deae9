//! Runs the failover machine against a model of PostgreSQL under a seed, and checks the invariants.
