//! A global that changes, without the word `mut`.

use std::sync::atomic::AtomicU32;

static COUNT: AtomicU32 = AtomicU32::new(0);
