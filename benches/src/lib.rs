//! Criterion benchmarks: frame scan, classify, pool checkout, relay end to end.
