//! Real PostgreSQL clusters for tests and the demo: made in a temporary directory, broken on purpose, removed.
