//! Howdah's monotonic clock as the numbers that topology and the machine speak of.

use std::time::Instant;

use howdah_topology::Time;

/// A monotonic clock that starts when it is made. One for the whole process: moments of different clocks do not
/// compare. Copies read the same clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock that starts now.
    #[must_use]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Time {
        Time(u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// The moment as the runtime's timers want it.
    pub(crate) fn instant(&self, at: Time) -> Instant {
        self.origin + std::time::Duration::from_micros(at.0)
    }
}
