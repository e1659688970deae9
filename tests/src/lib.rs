//! Integration tests: a file a topic, against real PostgreSQL clusters.
