//! `SET howdah.read_after` and `RESET howdah.read_after` of a client without a server: answered here, so that neither a
//! primary nor a replica is needed, and a token that nobody is behind can be taken back. Next: `read_after.rs`.

use std::sync::Arc;

use howdah_classifier::{Effects, Own, own};
use howdah_protocol::frame::{self, Direction, Step};
use howdah_protocol::read::{self, TargetKind, TransactionStatus};
use howdah_protocol::write::{self, Report};
use howdah_topology::{Token, TokenFault, Topology};

use crate::local::describe_nothing;
use crate::prepared::Statement;
use crate::read_after::{self, Refusal};
use crate::session::{PoolMode, Session, Shared};
use crate::setting::Change;

/// What PostgreSQL says to `SET LOCAL` outside of a transaction block.
const LOCAL_ALONE: &str = "SET LOCAL can only be used in transaction blocks";

/// A batch while it is being answered.
#[derive(Default)]
struct Batch {
    /// The statement that was parsed without a name.
    unnamed: Option<Own>,
    /// Names that were parsed here.
    named: Vec<(Box<[u8]>, Arc<Statement>)>,
    /// The unnamed portal.
    bound: Option<Own>,
    changes: Vec<Change<Token>>,
    executed: bool,
    failed: bool,
    out: Vec<u8>,
}

/// The batch holds something that has to be answered by a server.
struct NotOurs;

impl From<read::ReadError> for NotOurs {
    /// The server's way finds the words for a broken message.
    fn from(_: read::ReadError) -> Self {
        NotOurs
    }
}

impl Session {
    /// Answers the batch, which was planned as [`crate::Plan::Sets`], if there is nothing else in it. Only for a client
    /// without a server, so outside a transaction.
    pub fn answer_sets(
        &mut self,
        shared: &Shared,
        topology: &Topology,
        input: &[u8],
        to_client: &mut Vec<u8>,
    ) -> bool {
        let Ok(batch) = self.play_sets(shared, topology, input) else { return false };
        self.planned = 0;
        to_client.extend_from_slice(&batch.out);
        write::ready_for_query(to_client, TransactionStatus::Idle);
        for (name, statement) in batch.named {
            self.names.insert(&name, statement);
            self.tally.client_parses += 1;
        }
        if let Some(routing) = &mut self.routing {
            routing.set_exempt(Effects::default());
            for change in batch.changes.into_iter().filter(|_| !batch.failed) {
                routing.read_after.change(change, false);
            }
        }
        true
    }

    fn play_sets(&self, shared: &Shared, topology: &Topology, mut input: &[u8]) -> Result<Batch, NotOurs> {
        let mut batch = Batch::default();
        while let Ok(Step::Complete(frame)) = frame::next(Direction::FromClient, &self.options.limits, input)
        {
            input = &input[frame.bytes.len()..];
            let body = frame.body;
            match frame.tag {
                b'Q' if input.is_empty() && !self.options.disable_simple_query => {
                    let own = own(read::query(body)?).ok_or(NotOurs)?;
                    batch.execute(topology, &own)?;
                    return Ok(batch);
                }
                // What was parsed without a name and is bound later has to be on a server.
                b'S' if input.is_empty() && (batch.executed || batch.unnamed.is_none()) => return Ok(batch),
                _ if batch.failed => {}
                b'P' => self.parse_set(shared, body, &mut batch)?,
                b'B' => self.bind_set(body, &mut batch)?,
                b'D' => batch.describe(read::describe(body)?)?,
                b'E' => {
                    let own = batch.bound.clone().filter(|_| body.first() == Some(&0)).ok_or(NotOurs)?;
                    batch.execute(topology, &own)?;
                }
                _ => return Err(NotOurs),
            }
        }
        Err(NotOurs)
    }

    fn parse_set(&self, shared: &Shared, body: &[u8], batch: &mut Batch) -> Result<(), NotOurs> {
        let parse = read::parse(body)?;
        let own = own(parse.query).filter(is_set).ok_or(NotOurs)?;
        if parse.name.is_empty() {
            batch.unnamed = Some(own);
        } else {
            let tracked =
                self.options.max_prepared_statements > 0 && self.options.pool_mode != PoolMode::Session;
            let in_use = self.names.get(parse.name).is_some() || batch.statement(parse.name).is_some();
            if !tracked || in_use {
                return Err(NotOurs);
            }
            let statement = shared.registry.intern(self.scope, parse.query, parse.types_raw);
            batch.named.push((parse.name.into(), statement));
        }
        write::parse_complete(&mut batch.out);
        Ok(())
    }

    fn bind_set(&self, body: &[u8], batch: &mut Batch) -> Result<(), NotOurs> {
        let bind = read::bind(body)?;
        // Formats: any; values: none.
        let formats = bind.rest.first_chunk().map_or(0, |count| usize::from(u16::from_be_bytes(*count)));
        let values = bind.rest.get(2 + 2 * formats..).and_then(|rest| rest.first_chunk::<2>());
        if !bind.portal.is_empty() || values != Some(&[0, 0]) {
            return Err(NotOurs);
        }
        batch.bound = if bind.statement.is_empty() {
            batch.unnamed.clone()
        } else {
            let statement = batch.statement(bind.statement).or_else(|| self.names.get(bind.statement));
            statement.and_then(|statement| own(&statement.query)).filter(is_set)
        };
        if batch.bound.is_none() {
            return Err(NotOurs);
        }
        write::bind_complete(&mut batch.out);
        Ok(())
    }
}

fn is_set(own: &Own) -> bool {
    matches!(own, Own::SetReadAfter { .. } | Own::ResetReadAfter)
}

impl Batch {
    fn statement(&self, name: &[u8]) -> Option<&Arc<Statement>> {
        self.named.iter().find(|(known, _)| **known == *name).map(|(_, statement)| statement)
    }

    /// A statement without parameters and without rows.
    fn describe(&mut self, target: read::Target<'_>) -> Result<(), NotOurs> {
        let known = match target.kind {
            TargetKind::Statement if target.name.is_empty() => self.unnamed.is_some(),
            TargetKind::Statement => self.statement(target.name).is_some(),
            TargetKind::Portal => target.name.is_empty() && self.bound.is_some(),
        };
        if !known {
            return Err(NotOurs);
        }
        describe_nothing(target.kind, &mut self.out);
        Ok(())
    }

    fn execute(&mut self, topology: &Topology, own: &Own) -> Result<(), NotOurs> {
        self.executed = true;
        let (tag, change) = match own {
            Own::SetReadAfter { local, value } => {
                let token = read_after::read(value).and_then(|token| match token {
                    Some(token) => match topology.position_after(&token) {
                        // Reads wait until it is known here.
                        Ok(_) | Err(TokenFault::Ahead) => Ok(Some(token)),
                        Err(fault) => Err(read_after::fault(&token, fault)),
                    },
                    None => Ok(None),
                });
                match token {
                    Ok(value) => (&b"SET"[..], Change { local: *local, value }),
                    Err(refusal) => return self.refuse(&refusal),
                }
            }
            Own::ResetReadAfter => (&b"RESET"[..], Change::default()),
            Own::ShowToken | Own::ShowReadAfter | Own::ShowLevel => return Err(NotOurs),
        };
        if change.local {
            write::notice_response(&mut self.out, &Report::new("WARNING", "25P01", LOCAL_ALONE));
        }
        self.changes.push(change);
        // proof: the command's tag has no NUL and three or five bytes.
        write::command_complete(&mut self.out, tag).map_err(|_| NotOurs)
    }

    fn refuse(&mut self, refusal: &Refusal) -> Result<(), NotOurs> {
        let report = Report::new("ERROR", refusal.code, &refusal.message);
        write::error_response(&mut self.out, &Report { nonlocalized: true, ..report });
        self.failed = true;
        Ok(())
    }
}
