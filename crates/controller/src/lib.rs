//! Watches clusters, carries out failovers and is the only writer of the topology.
