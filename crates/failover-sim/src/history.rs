//! What clients did to a few registers, and whether that is linearizable: whether each operation can be given one moment
//! between its sending and its answer, such that every read finds the newest write.
//!
//! Every write has its own value, so a read tells which write it has seen, and the question needs no search (Gibbons and
//! Korach, "Testing shared memories"): the operations of one value must lie beside each other in any order that explains
//! them, and it suffices to compare the spans of the values. `tests/history.rs` compares this with a search over all
//! orders. Read next: [`crate::oracle`].

use std::collections::BTreeMap;

/// Registers.
pub const REGISTERS: u64 = 4;

/// The register that a write goes to.
#[must_use]
pub fn register_of(write: u64) -> u64 {
    write % REGISTERS
}

/// What an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It writes this value, which no other operation writes.
    Write(u64),
    /// It reads; the value is that of its answer, `None` for a register that was never written.
    Read(Option<u64>),
}

/// One operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Op {
    /// The register.
    pub register: u64,
    /// What.
    pub what: What,
    /// When it was sent.
    pub sent: u64,
    /// When it was answered; `None`: what came of it is not known.
    pub answered: Option<u64>,
}

/// All operations, in the order in which they were sent.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The operations.
    pub ops: Vec<Op>,
    /// Reads that saw what no standby had yet; they prove nothing, since a primary may lose that with its disk.
    pub unkept: u64,
}

impl History {
    /// A write is sent; its place.
    pub fn write(&mut self, now: u64, value: u64) -> usize {
        let op = Op { register: register_of(value), what: What::Write(value), sent: now, answered: None };
        self.ops.push(op);
        self.ops.len() - 1
    }

    /// A read is sent; its place.
    pub fn read(&mut self, now: u64, register: u64) -> usize {
        self.ops.push(Op { register, what: What::Read(None), sent: now, answered: None });
        self.ops.len() - 1
    }

    /// A write is acknowledged, and standbys were waited for.
    pub fn written(&mut self, now: u64, place: usize) {
        if let Some(op) = self.ops.get_mut(place) {
            op.answered = Some(now);
        }
    }

    /// A read is answered, with its value and whether that is kept by every failover.
    pub fn seen(&mut self, now: u64, place: usize, (value, kept): (Option<u64>, bool)) {
        self.unkept += u64::from(!kept);
        if let Some(op) = self.ops.get_mut(place).filter(|_| kept) {
            *op = Op { what: What::Read(value), answered: Some(now), ..*op };
        }
    }

    /// Why this history is not linearizable; `None`: it is. A read may be as old as `stale` allows, microseconds.
    #[must_use]
    pub fn violation(&self, stale: u64) -> Option<String> {
        (0..REGISTERS).find_map(|register| {
            let ops = self.ops.iter().filter(|op| op.register == register);
            violation(ops.copied(), stale).map(|why| format!("register {register}: {why}"))
        })
    }
}

/// The span of one value: from the first moment at which it must have been written to the last at which it was read.
#[derive(Debug, Clone, Copy)]
struct Span {
    written: Option<u64>,
    first_answer: u64,
    last_sent: u64,
}

impl Span {
    /// Between two moments, if all its operations cannot be at one.
    fn forward(&self) -> bool {
        self.first_answer < self.last_sent
    }
}

/// Why the operations on one register are not linearizable.
fn violation(ops: impl Iterator<Item = Op>, stale: u64) -> Option<String> {
    let mut spans: BTreeMap<Option<u64>, Span> = BTreeMap::new();
    // The register is born without a value.
    spans.insert(None, Span { written: Some(0), first_answer: 0, last_sent: 0 });
    for op in ops {
        let (value, sent) = match op.what {
            What::Write(value) => (Some(value), op.sent),
            What::Read(_) if op.answered.is_none() => continue,
            What::Read(value) => (value, op.sent.saturating_sub(stale)),
        };
        let empty = Span { written: None, first_answer: u64::MAX, last_sent: 0 };
        let span = spans.entry(value).or_insert(empty);
        if matches!(op.what, What::Write(_)) {
            span.written = Some(sent);
        }
        span.first_answer = span.first_answer.min(op.answered.unwrap_or(u64::MAX));
        span.last_sent = span.last_sent.max(sent);
    }
    if let Some((value, _)) = spans.iter().find(|(_, s)| s.written.is_none_or(|at| s.first_answer < at)) {
        return Some(format!("{value:?} was read before it was written"));
    }
    // A write that nobody has seen and that was not acknowledged may never have happened.
    let seen: Vec<(Option<u64>, Span)> =
        spans.into_iter().filter(|(_, s)| s.first_answer < u64::MAX).collect();
    compare(&seen)
}

/// No two forward spans overlap, and no other span lies within one.
fn compare(spans: &[(Option<u64>, Span)]) -> Option<String> {
    let mut forward: Vec<&(Option<u64>, Span)> = spans.iter().filter(|(_, s)| s.forward()).collect();
    forward.sort_by_key(|(_, s)| s.first_answer);
    for (one, two) in forward.iter().zip(forward.iter().skip(1)) {
        if two.1.first_answer < one.1.last_sent {
            return Some(format!("{:?} and {:?} take turns", one.0, two.0));
        }
    }
    let backward = spans.iter().filter(|(_, s)| !s.forward());
    for (value, span) in backward {
        let before = forward.partition_point(|(_, f)| f.first_answer < span.last_sent);
        let around = before.checked_sub(1).and_then(|at| forward.get(at));
        if let Some((outer, _)) = around.filter(|(_, f)| span.first_answer < f.last_sent) {
            return Some(format!("{value:?} was written and seen while {outer:?} was the newest"));
        }
    }
    None
}
