//! An unwrap and an expect without a proof.

fn first(values: &[u32]) -> u32 {
    *values.first().unwrap()
}
