//! Batches that need no server: Parse of texts that a server has accepted before, and Close, up to Sync.
//!
//! A driver that prepares first and binds later then waits for nothing, and a client of many on one thread
//! (pgbench) cannot block the thread on a server that its own other clients hold.

use std::sync::Arc;

use howdah_protocol::frame::{self, Direction, HEADER_LEN};
use howdah_protocol::read::{self, TargetKind, TransactionStatus};
use howdah_protocol::write;

use crate::prepared::Statement;
use crate::session::{PoolMode, Session, Shared};

/// Most messages of a batch that are looked at (count).
const MESSAGES: usize = 64;

/// What a message does to the client's names.
enum Change<'a> {
    Add(&'a [u8], Arc<Statement>),
    Remove(&'a [u8]),
}

impl Session {
    /// Answers the batch at the beginning of `input` if it needs no server; returns its length, or 0. Only for a
    /// client without a server, so outside a transaction.
    pub fn answer_known(&mut self, shared: &Shared, input: &[u8], to_client: &mut Vec<u8>) -> usize {
        if !matches!(input.first(), Some(b'P' | b'C'))
            || self.options.max_prepared_statements == 0
            || self.options.pool_mode == PoolMode::Session
        {
            return 0;
        }
        let Some((changes, length)) = self.known_batch(shared, input) else { return 0 };
        for change in changes {
            match change {
                Change::Add(name, statement) => {
                    self.names.insert(name, statement);
                    self.tally.client_parses += 1;
                    write::parse_complete(to_client);
                }
                Change::Remove(name) => {
                    self.names.remove(name);
                    write::close_complete(to_client);
                }
            }
        }
        write::ready_for_query(to_client, TransactionStatus::Idle);
        length
    }

    /// What the batch does, if it is whole and consists of nothing else.
    fn known_batch<'a>(&self, shared: &Shared, input: &'a [u8]) -> Option<(Vec<Change<'a>>, usize)> {
        let mut changes: Vec<Change<'a>> = Vec::new();
        let mut at = 0;
        while changes.len() < MESSAGES {
            let rest = &input[at..];
            let header = frame::header(Direction::FromClient, &self.options.limits, rest).ok()??;
            let body = rest.get(HEADER_LEN..header.len)?;
            at += header.len;
            match header.tag {
                b'S' => return Some((changes, at)),
                b'P' => changes.push(self.known_parse(shared, body, &changes)?),
                b'C' => {
                    let close = read::close(body).ok()?;
                    if close.kind != TargetKind::Statement || close.name.is_empty() {
                        return None;
                    }
                    changes.push(Change::Remove(close.name));
                }
                _ => return None,
            }
        }
        None
    }

    fn known_parse<'a>(&self, shared: &Shared, body: &'a [u8], before: &[Change<'a>]) -> Option<Change<'a>> {
        let parse = read::parse(body).ok()?;
        let last = before.iter().rev().find_map(|change| match change {
            Change::Add(name, _) if *name == parse.name => Some(true),
            Change::Remove(name) if *name == parse.name => Some(false),
            _ => None,
        });
        let in_use = last.unwrap_or_else(|| self.names.get(parse.name).is_some());
        if parse.name.is_empty() || in_use {
            return None;
        }
        let statement = shared.registry.find(self.scope, parse.query, parse.types_raw)?;
        statement.is_proven().then_some(Change::Add(parse.name, statement))
    }
}
