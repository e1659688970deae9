//! Not Rust.

fn open( {
