//! Where the next batch of a client goes, before any of it is forwarded.
//!
//! A batch is one simple query, or the extended messages up to Sync. A pipeline is routed as one: all reads, or
//! the primary (DESIGN.md section 5), so on an entry of a cluster the batch is looked at whole. An entry
//! without a cluster needs one frame. Next: `route.rs`.

use howdah_classifier::{Effects, Route, Verdict};
use howdah_protocol::frame::{self, Direction, HEADER_LEN};
use howdah_protocol::read;

use crate::error::Fatal;
use crate::own::Hint;
use crate::session::{Session, Shared};
use crate::texts::may_end;
use crate::upstream::STREAM_FRAMES_ABOVE;

/// A batch longer than this is not looked at to its end: it goes to the primary (bytes).
const BATCH_UP_TO: usize = 64 * 1024;

/// Where the batch at the beginning of the input goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// It has not arrived far enough to say.
    NeedMore,
    /// The entry has one place to go to.
    Anywhere,
    /// To the primary.
    Primary,
    /// To a replica; the batch is this many bytes long.
    Read {
        /// Length of the batch in bytes; 0 when its end is not known, so that it cannot be tried again.
        batch: usize,
    },
    /// It sets `howdah.read_after`: [`Session::answer_sets`] answers it if it does nothing else, or it goes to the
    /// primary.
    Sets {
        /// Length of the batch in bytes.
        batch: usize,
    },
    /// The rest of a COPY that is over, or a Flush with nothing to flush: needs no server.
    Ignore {
        /// Bytes that are to be dropped; they may not all be there.
        bytes: usize,
    },
    /// The client leaves.
    Terminate,
}

/// What is known of a batch so far.
#[derive(Default)]
struct Batch {
    /// Something in it must run on the primary.
    primary: bool,
    /// The unnamed statement was parsed in this batch.
    unnamed: bool,
    /// The names that were.
    parsed: Vec<Box<[u8]>>,
    /// A text in it may end a transaction.
    ends: bool,
    /// It wants answers before its end, or is too long to look at its end.
    open: bool,
    effects: Effects,
}

impl Session {
    /// Where the batch at the beginning of `input` goes; `input` begins at a frame boundary.
    ///
    /// # Errors
    /// The client broke the protocol.
    pub fn plan(&mut self, shared: &Shared, input: &[u8]) -> Result<Plan, Fatal> {
        let Some(header) = frame::header(Direction::FromClient, &self.options.limits, input)? else {
            return Ok(Plan::NeedMore);
        };
        match header.tag {
            b'X' => return Ok(Plan::Terminate),
            b'd' | b'c' | b'f' | b'H' => return Ok(Plan::Ignore { bytes: header.len }),
            _ => {}
        }
        if self.routing.is_some() {
            return self.plan_batch(shared, input);
        }
        if input.len() < header.len && header.len <= STREAM_FRAMES_ABOVE {
            return Ok(Plan::NeedMore);
        }
        Ok(Plan::Anywhere)
    }

    fn plan_batch(&mut self, shared: &Shared, input: &[u8]) -> Result<Plan, Fatal> {
        let mut batch = Batch::default();
        let mut at = 0;
        loop {
            let rest = &input[at..];
            let header = frame::header(Direction::FromClient, &self.options.limits, rest)?;
            let end = header.map_or(at, |header| at + header.len);
            if end.max(input.len()) > BATCH_UP_TO && input.len() < end.max(at + HEADER_LEN) {
                batch.open = true;
                return Ok(self.decide(&batch, 0));
            }
            let Some(header) = header.filter(|header| header.len <= rest.len()) else {
                return Ok(Plan::NeedMore);
            };
            self.look_at(shared, header.tag, &rest[HEADER_LEN..header.len], &mut batch)?;
            // After an error in the messages before it, a simple query is skipped and the batch goes on to Sync.
            batch.open |= header.tag == b'Q' && at > 0;
            at = end;
            let is_whole = matches!(header.tag, b'Q' | b'S' | b'H' | b'F' | b'X');
            // What has to run on the primary need not be whole: a COPY may be answered without Sync. A read that only
            // goes there is waited for, to be able to run again.
            if is_whole || batch.primary && self.wants_primary(&batch) && !batch.effects.sets_read_after() {
                batch.open |= !is_whole;
                return Ok(self.decide(&batch, at));
            }
        }
    }

    fn look_at(&self, shared: &Shared, tag: u8, body: &[u8], batch: &mut Batch) -> Result<(), Fatal> {
        match tag {
            b'Q' => batch.add(self.classify(shared, read::query(body)?)),
            b'P' => {
                let parse = read::parse(body)?;
                if parse.name.is_empty() {
                    batch.unnamed = true;
                } else {
                    batch.parsed.push(parse.name.into());
                }
                batch.add(self.classify(shared, parse.query));
            }
            b'B' => {
                let name = read::bind(body)?.statement;
                match self.names.get(name) {
                    Some(statement) => batch.add(self.verdict_of(shared, statement)),
                    None => batch.primary |= !batch.has_parsed(name),
                }
            }
            // A Flush wants answers before the batch is whole, and what follows is not known: the primary.
            b'H' | b'F' => batch.open = true,
            _ => {}
        }
        Ok(())
    }

    fn wants_primary(&self, batch: &Batch) -> bool {
        self.routing.as_ref().is_some_and(|routing| routing.wants_primary(batch.primary || batch.open))
    }

    fn decide(&mut self, batch: &Batch, length: usize) -> Plan {
        let Some(routing) = self.routing.as_deref_mut() else { return Plan::Anywhere };
        routing.apply(batch.effects);
        (self.planned, self.planned_ends) = (length, batch.ends);
        self.planned_writes = batch.effects.is_write_possible();
        self.planned_own = Hint::of(batch.effects);
        // A hint sends writes to replicas too, and to the primary while there is none.
        let writes = batch.primary || batch.effects.is_write_possible();
        self.planned_repeats =
            length > 0 && !(writes || batch.open || routing.is_marked() || batch.effects.sets_read_after());
        routing.set_exempt(batch.effects);
        if batch.effects.sets_read_after() && !batch.open {
            return Plan::Sets { batch: length };
        }
        if routing.wants_primary(batch.primary || batch.open) {
            Plan::Primary
        } else {
            Plan::Read { batch: if batch.open { 0 } else { length } }
        }
    }
}

impl Batch {
    /// Whether the statement was parsed in this batch, and so looked at.
    fn has_parsed(&self, name: &[u8]) -> bool {
        if name.is_empty() { self.unnamed } else { self.parsed.iter().any(|parsed| **parsed == *name) }
    }

    fn add(&mut self, verdict: Verdict) {
        self.primary |= verdict.route == Route::Primary;
        self.ends |= may_end(verdict.effects);
        self.effects.join(verdict.effects);
    }
}
