//! Code that is not there.

fn later() -> u32 {
    todo!()
}
