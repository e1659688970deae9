//! How soon a server that has ended is started again: at once after a long run, ever later when it does not stay up.

use std::time::Duration;

/// A server that has run for so long was healthy.
const HEALTHY: Duration = Duration::from_secs(60);

/// The pause after the second end in a row; each further one doubles it.
const FIRST: Duration = Duration::from_secs(1);

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(30);

/// The ends in a row so far.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    next: Duration,
}

impl Pace {
    /// The pause before the next start, after a server that has run for so long.
    pub(crate) fn after(&mut self, ran: Duration) -> Duration {
        if ran >= HEALTHY {
            self.next = Duration::ZERO;
        }
        let pause = self.next;
        self.next = if pause.is_zero() { FIRST } else { (pause * 2).min(LONGEST) };
        pause
    }
}
