//! The write-ahead log of one node: entries with an identity, so that histories can be compared exactly, which no
//! position can do. Read next: [`crate::pg`].

use howdah_failover::TimelineStart;
use howdah_topology::Lsn;

/// The position of an empty log.
const BASE: u64 = 0x0100_0000;
/// Bytes of an entry.
const ENTRY: u64 = 0x100;

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The timeline on which it was written.
    pub timeline: u32,
    /// The client's write, or `None` for a record of the server's own.
    pub write: Option<u64>,
    /// A digest of this record and all before it: two logs that agree here agree in everything before.
    chain: u64,
}

/// A log and the timelines through which it went.
#[derive(Debug, Clone, Default)]
pub struct Wal {
    /// All that is flushed.
    entries: Vec<Entry>,
    /// Beginnings of the timelines from 2.
    pub history: Vec<TimelineStart>,
    /// Grows when entries are taken away (a rewind): what is on its way refers to the old ones.
    pub generation: u32,
}

/// The position after `len` entries.
#[must_use]
pub fn lsn(len: usize) -> Lsn {
    Lsn(BASE + ENTRY * len as u64)
}

impl Wal {
    /// Entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The client writes in it.
    pub fn writes(&self) -> impl Iterator<Item = u64> {
        self.entries.iter().filter_map(|e| e.write)
    }

    /// The newest write that `of` picks, and the entries up to and with it.
    pub fn newest(&self, of: impl Fn(u64) -> bool) -> Option<(u64, usize)> {
        let all = self.entries.iter().enumerate().rev();
        all.filter_map(|(at, e)| Some((e.write?, at + 1))).find(|(write, _)| of(*write))
    }

    /// The timeline of its last entry; 1 for none.
    #[must_use]
    pub fn timeline(&self) -> u32 {
        self.entries.last().map_or(1, |e| e.timeline)
    }

    /// The position of its end.
    #[must_use]
    pub fn end(&self) -> Lsn {
        lsn(self.len())
    }

    fn chain_at(&self, len: usize) -> u64 {
        len.checked_sub(1).and_then(|at| self.entries.get(at)).map_or(0, |e| e.chain)
    }

    /// Whether this log is a prefix of the other.
    #[must_use]
    pub fn is_prefix_of(&self, other: &Wal) -> bool {
        self.len() <= other.len() && self.chain_at(self.len()) == other.chain_at(self.len())
    }

    /// Writes a record.
    pub fn push(&mut self, timeline: u32, write: Option<u64>) {
        let mut x = self.chain_at(self.len()) ^ (u64::from(timeline) << 32) ^ write.map_or(1, |w| w << 1);
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9).wrapping_add(0x9E37_79B9_7F4A_7C15);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        self.entries.push(Entry { timeline, write, chain: x ^ (x >> 31) });
    }

    /// A promotion: the next timeline begins here.
    pub fn branch(&mut self, timeline: u32) {
        self.history.push(TimelineStart { timeline, began_at: self.end() });
        self.push(timeline, None);
    }

    /// What the other has beyond this log, up to `upto` entries, with the timelines begun by then; `None` if this log is no
    /// prefix of it.
    #[must_use]
    pub fn missing_from(&self, other: &Wal, upto: usize) -> Option<(Vec<Entry>, Vec<TimelineStart>)> {
        if !self.is_prefix_of(other) {
            return None;
        }
        let new: Vec<Entry> = other.entries.iter().take(upto).skip(self.len()).copied().collect();
        let newest = new.last().map_or(self.timeline(), |e| e.timeline);
        Some((new, other.history.iter().filter(|t| t.timeline <= newest).copied().collect()))
    }

    /// Adds what was received.
    pub fn extend(&mut self, new: (Vec<Entry>, Vec<TimelineStart>)) {
        self.entries.extend(new.0);
        self.history = new.1;
    }

    /// A rewind: everything becomes the other's.
    pub fn rewind_to(&mut self, other: &Wal) {
        self.entries.clone_from(&other.entries);
        self.history.clone_from(&other.history);
        self.generation += 1;
    }
}
