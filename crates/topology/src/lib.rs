//! What is known of a cluster: nodes, roles, epochs, positions and freshness, as an immutable snapshot.
