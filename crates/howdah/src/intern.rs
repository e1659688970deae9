//! Equal values kept once: most clients of an application have the same user, settings and parameters, and an idle
//! client is to cost little (DESIGN.md section 11).

use std::sync::Arc;

use parking_lot::Mutex;

/// Most values that are remembered for sharing (count); further ones are not shared.
const REMEMBERED: usize = 32;

/// The values of one kind that clients have had lately.
#[derive(Debug)]
pub(crate) struct Interned<T: ?Sized> {
    known: Mutex<Vec<Arc<T>>>,
}

impl<T: ?Sized> Default for Interned<T> {
    fn default() -> Self {
        Self { known: Mutex::default() }
    }
}

impl<T: ?Sized + PartialEq> Interned<T> {
    /// The shared value that is equal to this one; this one itself when there is none yet.
    pub(crate) fn share(&self, value: Arc<T>) -> Arc<T> {
        let mut known = self.known.lock();
        if let Some(same) = known.iter().find(|same| ***same == *value) {
            return Arc::clone(same);
        }
        if known.len() == REMEMBERED {
            // Whoever is not in use any more makes room; if all are, the oldest goes.
            known.retain(|value| Arc::strong_count(value) > 1);
            if known.len() == REMEMBERED {
                known.remove(0);
            }
        }
        known.push(Arc::clone(&value));
        value
    }
}
