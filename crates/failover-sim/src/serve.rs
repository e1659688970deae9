//! What a server does when the pooler or a client asks: each action as `howdah_failover::action` says it. Read next:
//! [`crate::pooler`].

use howdah_failover::{Action, ActionError, Done, ProbeFailure};
use rand::Rng;

use crate::message::{Answer, Message, Request, Via};
use crate::net::Peer;
use crate::pg::{Pg, Session, Wait, WaitKind, conninfo};
use crate::stream::reload_delay;
use crate::wal::lsn;
use crate::world::World;

/// How long a promotion takes, microseconds, least and most.
const PROMOTION: (u64, u64) = (10_000, 80_000);

impl World {
    /// A pooler asks a server; what has to be flushed waits for a disk that is stuck.
    pub fn ask(&mut self, node: usize, from: Peer, request: Request) {
        let Some(pg) = self.nodes.get_mut(node) else { return };
        if pg.disk == 0 || pg.refuses().is_some() || !flushes(&request.action) {
            self.serve(node, request);
            return;
        }
        if let Via::Control(session) = request.via
            && let Some(known) = pg.sessions.get_mut(&session)
        {
            known.stuck = true;
        }
        pg.behind_disk.push((from, Message::Request(request)));
    }

    /// The disk answers again: what has waited for it is done now, in order, whoever may have gone meanwhile.
    pub fn disk_answers(&mut self, node: usize) {
        let waiting =
            self.nodes.get_mut(node).map(|p| std::mem::take(&mut p.behind_disk)).unwrap_or_default();
        for (from, message) in waiting {
            self.node_receives(node, from, message);
        }
        let Some(pg) = self.nodes.get_mut(node) else { return };
        let now = self.now;
        for session in pg.sessions.values_mut().filter(|s| s.stuck) {
            session.stuck = false;
            session.heard = now;
        }
        let ended: Vec<u64> = pg.sessions.iter().filter(|(_, s)| s.ended).map(|(id, _)| *id).collect();
        for session in ended {
            self.end_session(node, session);
        }
    }

    /// A pooler asks a server.
    fn serve(&mut self, node: usize, request: Request) {
        let now = self.now;
        let Some(pg) = self.nodes.get_mut(node) else { return };
        if let Some(failure) = pg.refuses() {
            if let Some(failure) = failure {
                let answer = failed(&request.action, failure);
                self.reply(node, &request, None, answer);
            }
            return;
        }
        let session = match request.via {
            Via::Open(session) => {
                pg.sessions.insert(
                    session,
                    Session { pooler: request.pooler, heard: now, stuck: false, ended: false },
                );
                Some(session)
            }
            Via::Control(session) => {
                let Some(known) = pg.sessions.get_mut(&session) else {
                    let answer = failed(&request.action, ProbeFailure::Eof);
                    self.reply(node, &request, None, answer);
                    return;
                };
                known.heard = now;
                Some(session)
            }
            Via::Fresh => None,
        };
        let refused = self.nodes.get_mut(node).is_some_and(|pg| pg.refuse(request.action.name()));
        if refused {
            let error = ActionError::Refused("a scenario has it so".to_owned());
            self.reply(node, &request, session, Answer::Action(Err(error)));
        } else if let Some(answer) = self.carry_out(node, &request, session) {
            self.reply(node, &request, session, answer);
        }
        self.answer_waits(node);
    }

    fn reply(&mut self, node: usize, request: &Request, session: Option<u64>, answer: Answer) {
        let name = request.action.name();
        let message = Message::Reply { life: request.life, id: request.id, name, session, answer };
        self.send(Peer::Node(node), Peer::Pooler(request.pooler), message);
    }

    /// Carries one action out; `None`: it polls, and answers later.
    fn carry_out(&mut self, node: usize, request: &Request, session: Option<u64>) -> Option<Answer> {
        let now = self.now;
        let asker = (request.pooler, request.life);
        let done = |d: Done| Some(Answer::Action(Ok(d)));
        let waits = |pg: &mut Pg, kind| {
            pg.waits.push(Wait {
                asker,
                id: request.id,
                name: request.action.name(),
                kind,
                until: request.until,
            });
        };
        if !matches!(request.action, Action::Probe { .. } | Action::CheckVote) {
            self.say(|| format!("node {node} carries out {:?}", request.action));
        }
        let nodes = self.hosts.clone();
        let pg = self.nodes.get_mut(node)?;
        match &request.action {
            Action::Probe { .. } => return Some(Answer::Sample(Box::new(pg.sample(&nodes)))),
            Action::Lock => {
                let free = pg.vote.is_none() || pg.vote == session;
                if free {
                    pg.vote = session;
                }
                let sample = Box::new(pg.sample(&nodes));
                return done(Done::Locked { granted: free, foreign: None, sample });
            }
            Action::CheckVote => return done(Done::Vote(pg.vote.is_some() && pg.vote == session)),
            Action::Unlock => {
                if pg.vote == session {
                    pg.vote = None;
                }
            }
            Action::Fence { record } => {
                pg.fence = Some(record.clone());
                pg.conninfo.clear();
                let delay = reload_delay(&mut self.rng);
                pg.conninfo_seen_at = Some(now + delay);
                waits(pg, WaitKind::Fenced);
                return None;
            }
            Action::ReadPosition => {
                waits(pg, WaitKind::Replayed);
                return None;
            }
            Action::AwaitPromoted => {
                waits(pg, WaitKind::Promoted);
                return None;
            }
            Action::WriteNames { names } => {
                pg.sync_names = names.clone();
                let inserted = (!pg.in_recovery).then(|| pg.wal.end());
                self.release_commits(node);
                return done(Done::Names { inserted });
            }
            Action::Promote => self.serve_promote(node),
            Action::Repoint { to } if !self.makes_slot(request.pooler, node, usize::from(to.0)) => {
                let why = "the slot could not be made".to_owned();
                return Some(Answer::Action(Err(ActionError::Refused(why))));
            }
            other => self.write_setting(node, other),
        }
        done(Done::Written)
    }

    /// Where the cluster uses slots, the pooler makes the standby's slot on its new sender first.
    fn makes_slot(&mut self, pooler: usize, node: usize, to: usize) -> bool {
        if !self.slots {
            return true;
        }
        let (here, there) = (Peer::Pooler(pooler), Peer::Node(to));
        let reached = self.net.reaches(here, there) && self.net.reaches(there, here);
        let Some(sender) = self.nodes.get_mut(to).filter(|p| reached && p.lives() && p.disk == 0) else {
            return false;
        };
        sender.slots.insert(node);
        true
    }

    /// `pg_promote()`.
    pub fn serve_promote(&mut self, node: usize) {
        let takes = self.rng.random_range(PROMOTION.0..PROMOTION.1);
        let Some(pg) = self.nodes.get_mut(node).filter(|p| p.in_recovery && p.promote_at.is_none()) else {
            return;
        };
        pg.promote_at = Some(self.now + takes + pg.slow);
        // A promotion ends a pause of the replay, and the receiver.
        pg.paused = false;
        let stream = pg.receiver.take().map(|r| (r.sender, r.stream));
        if let Some((sender, stream)) = stream {
            self.send(Peer::Node(node), Peer::Node(sender), Message::StreamEnded { stream });
        }
    }

    fn write_setting(&mut self, node: usize, action: &Action) {
        let delay = reload_delay(&mut self.rng);
        let now = self.now;
        let nodes = &self.hosts;
        let Some(pg) = self.nodes.get_mut(node) else { return };
        match action {
            Action::ResumeReplay => pg.paused = false,
            Action::EndConflictingReads => pg.conflict = false,
            Action::WriteMembers { members } => pg.members = Some(members.clone()),
            Action::Repoint { to } => {
                if let Some(to) = nodes.get(usize::from(to.0)) {
                    pg.conninfo = conninfo(to, &pg.name);
                    pg.conninfo_seen_at = Some(now + delay);
                }
            }
            Action::Undo { .. } => {
                if let Some(record) = pg.fence.take() {
                    pg.conninfo = record.old_conninfo;
                    pg.conninfo_seen_at = Some(now + delay);
                }
            }
            Action::ClearFence => pg.fence = None,
            Action::Stop { order } => {
                pg.stop_order = Some(order.started_at);
                let meant = pg.supervised && u64::try_from(order.started_at) == Ok(pg.started_at);
                pg.stop_at = meant.then_some(now + delay);
            }
            // What the supervisor has read it obeys.
            Action::Recall => pg.stop_order = None,
            Action::SetReadOnly { on } => pg.read_only = *on,
            Action::Tune { on } => pg.tuned = *on,
            _ => {}
        }
    }

    /// An order that has polled is answered.
    pub fn answer_wait(&mut self, node: usize, wait: &Wait) {
        let nodes = self.hosts.clone();
        let Some(pg) = self.nodes.get(node) else { return };
        let answer = match wait.kind {
            WaitKind::Fenced => Ok(Done::Fenced {
                receiver_gone: pg.receiver.is_none(),
                replay_paused: pg.paused,
                recovery_conflict: pg.conflict,
            }),
            WaitKind::Replayed => Ok(Done::Position {
                timeline: pg.timeline,
                received: (!pg.received_null).then(|| pg.wal.end()),
                replayed: lsn(pg.replayed),
                at_end: pg.replayed >= pg.wal.len(),
                replay_paused: pg.paused,
                recovery_conflict: pg.conflict,
            }),
            WaitKind::Promoted if pg.in_recovery => Err(ActionError::Unanswered),
            WaitKind::Promoted => Ok(Done::Promoted { sample: Box::new(pg.sample(&nodes)) }),
        };
        let (pooler, life) = wait.asker;
        let answer = Answer::Action(answer);
        let message = Message::Reply { life, id: wait.id, name: wait.name, session: None, answer };
        self.send(Peer::Node(node), Peer::Pooler(pooler), message);
    }

    /// Answers a client through its pooler.
    pub fn answer_client(&mut self, node: usize, client: usize, message: Message) {
        let Some(p) = self.clients.get(client).map(|c| c.pooler) else { return };
        self.send(Peer::Node(node), Peer::Pooler(p), message);
    }

    /// Everything that is open to a node ends at once.
    pub fn reset_peers(&mut self, node: usize) {
        for p in 0..self.poolers.len() {
            self.send(Peer::Node(node), Peer::Pooler(p), Message::Reset { node });
        }
        let Some(pg) = self.nodes.get(node) else { return };
        let mut streams: Vec<(usize, u64)> = pg.senders.iter().map(|(n, s)| (*n, s.stream)).collect();
        streams.extend(pg.receiver.as_ref().map(|r| (r.sender, r.stream)));
        for (other, stream) in streams {
            self.send(Peer::Node(node), Peer::Node(other), Message::StreamEnded { stream });
        }
    }
}

/// The answer to an action on a server that does not take it.
fn failed(action: &Action, failure: ProbeFailure) -> Answer {
    match action {
        Action::Probe { .. } => Answer::Failed(failure),
        _ => Answer::Action(Err(ActionError::Unanswered)),
    }
}

/// Whether an order's effect has to reach the disk before it is answered: ALTER SYSTEM and CHECKPOINT.
fn flushes(action: &Action) -> bool {
    !matches!(
        action,
        Action::Probe { .. }
            | Action::Lock
            | Action::Unlock
            | Action::CheckVote
            | Action::ResumeReplay
            | Action::EndConflictingReads
            | Action::ReadPosition
            | Action::AwaitPromoted
    )
}

/// For the pooler's books: whether an order goes through the control session.
#[must_use]
pub fn by_control(action: &Action) -> bool {
    !matches!(
        action,
        Action::EndConflictingReads | Action::ReadPosition | Action::AwaitPromoted | Action::Checkpoint
    )
}
