//! What was seen in a row, and whether it holds.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Failure;
use crate::books::{Balance, Books, Gaps};
use crate::direct;
use crate::faults::Fault;
use crate::load::Load;
use crate::stage::PATIENCE;

/// A row that may lose something is told it in bytes; one row of the load is about this much in the log.
const BYTES_A_ROW: u64 = 300;
/// On a busy machine a kill may take this much more than twice the bare limit (time): issue 4.
const BESIDE_BARE: Duration = Duration::from_millis(100);

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// The longest gaps of each round.
    pub(crate) gaps: Vec<Gaps>,
    /// The bare limit, measured beside each round.
    pub(crate) bare: Vec<Duration>,
    /// Timelines gone through.
    pub(crate) promotions: u32,
    lost: Vec<String>,
    duplicated: Vec<String>,
    stale: Vec<String>,
    broken: Vec<String>,
    errors: BTreeMap<String, u64>,
    most_errors: u32,
    acknowledged: usize,
}

impl Figures {
    /// Lets a load's sessions end, and takes in what they remember, compared with what the primary has.
    ///
    /// # Errors
    /// A session's statement is never answered, or the primary does not answer.
    pub(crate) async fn take(&mut self, load: &mut Load, primary: &str) -> Result<(), Failure> {
        load.stop(PATIENCE).await?;
        let balance = load.books.compare(&direct::connect(primary).await?).await?;
        self.add_books(&load.books, balance);
        Ok(())
    }

    fn add_books(&mut self, books: &Books, balance: Balance) {
        self.lost.extend(balance.lost);
        self.duplicated.extend(balance.duplicated);
        self.acknowledged += balance.acknowledged;
        self.stale.extend(books.stale_reads());
        self.broken.extend(books.ended());
        let (errors, most) = books.errors();
        for (code, count) in errors {
            *self.errors.entry(code).or_default() += count;
        }
        self.most_errors = self.most_errors.max(most);
    }
}

/// A row of the evidence.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) fault: &'static Fault,
    pub(crate) figures: Figures,
    /// What does not hold.
    pub(crate) breaches: Vec<String>,
}

impl Verdict {
    /// Judges what was seen; times are only shown when `lenient`.
    pub(crate) fn of(fault: &'static Fault, figures: Figures, lenient: bool) -> Self {
        let mut breaches = Vec::new();
        let limits = &fault.limits;
        let mut none = |what: &str, found: &[String]| {
            if let Some(first) = found.first() {
                breaches.push(format!("{} {what}, the first: {first}", found.len()));
            }
        };
        let lost_bytes = BYTES_A_ROW * figures.lost.len() as u64;
        if lost_bytes > limits.lost_bytes {
            none("lost", &figures.lost);
        }
        none("duplicated", &figures.duplicated);
        none("stale", &figures.stale);
        if !limits.sessions_end {
            none("broken sessions", &figures.broken);
        }
        if limits.promotions.is_some_and(|wanted| wanted != figures.promotions) {
            breaches.push(format!("{} promotions, not {:?}", figures.promotions, limits.promotions));
        }
        if figures.most_errors > limits.errors {
            breaches.push(format!("a session was told {} errors: {:?}", figures.most_errors, figures.errors));
        }
        let mut verdict = Self { fault, figures, breaches };
        if !lenient {
            verdict.judge_times();
        }
        verdict
    }

    /// A row that could not be played to its end.
    pub(crate) fn broken(fault: &'static Fault, sentence: &str) -> Self {
        Self { fault, figures: Figures::default(), breaches: vec![sentence.to_owned()] }
    }

    fn judge_times(&mut self) {
        let (median, worst) = self.write_gaps();
        if let Some((median_limit, worst_limit)) = self.fault.limits.write
            && (median > median_limit || worst > worst_limit)
            && !self.beside_bare()
        {
            self.breaches.push(format!("write gap: median {median:?}, worst {worst:?}"));
        }
        let read = self.read_gap();
        if let Some(limit) = self.fault.limits.read
            && read > limit
        {
            self.breaches.push(format!("read gap {read:?}"));
        }
    }

    /// Whether each round is within what a busy machine may take, where the bare limit was measured.
    fn beside_bare(&self) -> bool {
        let rounds = self.figures.gaps.iter().zip(&self.figures.bare);
        !self.figures.bare.is_empty()
            && rounds.clone().all(|(gaps, bare)| gaps.write <= *bare * 2 + BESIDE_BARE)
    }

    /// Whether the row holds.
    pub(crate) fn holds(&self) -> bool {
        self.breaches.is_empty()
    }

    /// Median and worst of the rounds' longest write gaps.
    pub(crate) fn write_gaps(&self) -> (Duration, Duration) {
        median_and_worst(self.figures.gaps.iter().map(|gaps| gaps.write).collect())
    }

    /// The worst of the rounds' longest times between two commits of a session's transactions.
    pub(crate) fn transfer_gap(&self) -> Duration {
        self.figures.gaps.iter().map(|gaps| gaps.transfer).max().unwrap_or_default()
    }

    /// The worst of the rounds' longest read gaps.
    pub(crate) fn read_gap(&self) -> Duration {
        self.figures.gaps.iter().map(|gaps| gaps.read).max().unwrap_or_default()
    }

    /// The median of the bare limits, where they were measured.
    pub(crate) fn bare(&self) -> Option<Duration> {
        let bare = &self.figures.bare;
        (!bare.is_empty()).then(|| median_and_worst(bare.clone()).0)
    }

    /// The cells of the table behind the row's name.
    pub(crate) fn cells(&self) -> [String; 10] {
        let figures = &self.figures;
        let (median, worst) = self.write_gaps();
        let errors: Vec<String> = figures.errors.iter().map(|(code, n)| format!("{code} {n}")).collect();
        [
            figures.acknowledged.to_string(),
            figures.lost.len().to_string(),
            figures.duplicated.len().to_string(),
            figures.stale.len().to_string(),
            figures.broken.len().to_string(),
            errors.join(", "),
            format!("{} / {}", median.as_millis(), worst.as_millis()),
            self.transfer_gap().as_millis().to_string(),
            self.read_gap().as_millis().to_string(),
            figures.promotions.to_string(),
        ]
    }

    /// One line for the terminal.
    pub(crate) fn sentence(&self) -> String {
        if self.holds() { "holds".to_owned() } else { format!("DOES NOT HOLD: {}", self.breaches.join("; ")) }
    }
}

fn median_and_worst(mut all: Vec<Duration>) -> (Duration, Duration) {
    all.sort_unstable();
    let median = all.get(all.len() / 2).copied().unwrap_or_default();
    (median, all.last().copied().unwrap_or_default())
}
