//! Reads on a replica that can run again elsewhere as long as nothing of their answer went to the client
//! (DESIGN.md section 5, "Safety net").
//!
//! A batch is remembered when it is forwarded and forgotten with its ReadyForQuery. Batches may follow each
//! other without a wait; then the first that is refused runs again together with all behind it, since each of
//! them is a read and the client has seen nothing of any.

use std::collections::VecDeque;

use crate::prepared::ClientNames;
use crate::request::Undo;

/// Most bytes of batches that are remembered; the client waits for answers before it may send more.
pub(crate) const REMEMBER_UP_TO: usize = 256 * 1024;

/// Most bytes of answers that are held back; with more the answer counts as begun (notices can be many).
pub(crate) const HOLD_UP_TO: usize = 64 * 1024;

#[derive(Debug)]
struct Batch {
    /// Which group of requests it is (`request.rs`).
    group: u64,
    /// Its length in bytes.
    len: usize,
}

/// What can be tried again on one server connection.
#[derive(Debug, Default)]
pub(crate) struct Retry {
    batches: VecDeque<Batch>,
    /// The bytes of all of them.
    bytes: Vec<u8>,
    /// Bytes at the end of the last one that are still with the client's input.
    ahead: usize,
    /// Answers held back so far.
    pub(crate) held: Vec<u8>,
    /// The client has seen something of the first batch's answer.
    pub(crate) decided: bool,
    /// The server refused the first batch: the rest of its answers is dropped.
    pub(crate) refused: bool,
    /// The way back of what answered messages wrote into the client's names, in order: the batch that runs again
    /// writes it again.
    written: Vec<Undo>,
}

impl Retry {
    /// Remembers a batch that is about to be forwarded; false when there is no room before an answer.
    pub(crate) fn remember(&mut self, group: u64, batch: &[u8]) -> bool {
        if !self.batches.is_empty() && self.bytes.len() + batch.len() > REMEMBER_UP_TO {
            return false;
        }
        self.bytes.extend_from_slice(batch);
        self.ahead = batch.len();
        self.batches.push_back(Batch { group, len: batch.len() });
        true
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Whether the group was remembered already; it is the last one that was begun.
    pub(crate) fn has(&self, group: u64) -> bool {
        self.batches.back().is_some_and(|batch| batch.group == group)
    }

    /// Whether the group can be tried again.
    pub(crate) fn covers(&self, group: u64) -> bool {
        !self.decided && self.batches.front().is_some_and(|batch| batch.group == group)
    }

    /// The client's input has gone on by so many bytes.
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.ahead = self.ahead.saturating_sub(bytes);
    }

    /// The group is answered.
    pub(crate) fn answered(&mut self, group: u64) {
        if self.batches.front().is_some_and(|batch| batch.group == group)
            && let Some(batch) = self.batches.pop_front()
        {
            self.bytes.drain(..batch.len);
            self.decided = false;
            self.written.clear();
        }
    }

    /// A message was answered that had written into the books.
    pub(crate) fn keep(&mut self, undo: Vec<Undo>) {
        if !self.is_empty() {
            self.written.extend(undo.into_iter().filter(Undo::is_client));
        }
    }

    /// Everything is to run again: takes back what answered messages wrote into the client's names.
    pub(crate) fn take_back(&mut self, names: &mut ClientNames) {
        for change in self.written.drain(..).rev() {
            change.take_back_client(names);
        }
    }

    /// Nothing of what is in flight can run again any more.
    pub(crate) fn forget(&mut self) {
        let Retry { held, .. } = std::mem::take(self);
        self.held = held;
    }

    /// The bytes of the first batch.
    pub(crate) fn first(&self) -> &[u8] {
        self.batches.front().map_or(&[], |batch| &self.bytes[..batch.len])
    }

    /// Everything that is to run again, without what is still with the client's input.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let Retry { mut bytes, ahead, .. } = std::mem::take(self);
        bytes.truncate(bytes.len() - ahead);
        bytes
    }
}
