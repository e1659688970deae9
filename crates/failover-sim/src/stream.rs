//! Streaming replication: receivers, senders, synchronous commits, replay, promotion: what a server does by itself. Read
//! next: [`crate::serve`] (what it does when it is asked).

use howdah_failover::{Method, NodeSpec, SyncNames};
use rand::Rng;

use crate::message::{Message, Outcome};
use crate::net::Peer;
use crate::pg::{Commit, Pg, Power, Recv, Send, WaitKind, target};
use crate::world::{Happening, NODE_TICK, World};

/// `wal_receiver_timeout` as Howdah sets it, and as it is by default.
const RECEIVER_TIMEOUT: (u64, u64) = (1_000_000, 60_000_000);
/// `wal_retrieve_retry_interval`, likewise.
const RETRY: (u64, u64) = (200_000, 5_000_000);
/// `wal_sender_timeout`.
const SENDER_TIMEOUT: u64 = 60_000_000;
/// `idle_session_timeout` of the control sessions.
const SESSION_LEASE: u64 = 3_000_000;

impl World {
    /// A server does what it does by itself.
    pub fn node_tick(&mut self, node: usize) {
        self.at(self.now + NODE_TICK, Happening::NodeTick(node));
        let now = self.now;
        let Some(pg) = self.nodes.get_mut(node) else { return };
        if let Power::Starting(until) = pg.power
            && now >= until
            && pg.frozen == 0
        {
            pg.power = Power::Up;
            pg.connect_at = now;
            self.say(|| format!("node {node} is up"));
        }
        let Some(pg) = self.nodes.get_mut(node).filter(|p| p.lives()) else { return };
        if pg.stop_at.is_some_and(|at| now >= at) && !pg.in_recovery {
            self.stop_cleanly(node);
            return;
        }
        if pg.in_recovery {
            pg.replay();
            self.promotion(node);
            self.receive(node);
        }
        self.expire_sessions(node);
        self.expire_senders(node);
        self.answer_waits(node);
    }

    /// A promotion that was asked for is done when replay is at the end and its time is over.
    fn promotion(&mut self, node: usize) {
        let now = self.now;
        let Some(pg) = self.nodes.get_mut(node) else { return };
        if pg.promote_at.is_none_or(|at| now < at) || pg.replayed < pg.wal.len() || pg.disk > 0 {
            return;
        }
        pg.promote_at = None;
        pg.in_recovery = false;
        pg.timeline += 1;
        let timeline = pg.timeline;
        pg.wal.branch(timeline);
        pg.replayed = pg.wal.len();
        let ended = pg.receiver.take();
        self.say(|| format!("node {node} is promoted to timeline {timeline}"));
        self.oracle.promoted(now, timeline);
        if let Some(recv) = ended {
            self.send(
                Peer::Node(node),
                Peer::Node(recv.sender),
                Message::StreamEnded { stream: recv.stream },
            );
        }
        self.push_wal(node);
    }

    /// The receiver: it notices a changed setting, times out, asks for answers, or is started.
    fn receive(&mut self, node: usize) {
        let now = self.now;
        let Some(pg) = self.nodes.get_mut(node) else { return };
        let busy = pg.paused || pg.conflict;
        if pg.conninfo_seen_at.is_some_and(|at| now >= at) && !busy {
            // The startup process has seen the setting: the receiver is stopped, and started anew by the new one.
            pg.conninfo_seen_at = None;
            pg.connect_at = now;
            self.stop_receiver(node);
        }
        let Some(pg) = self.nodes.get_mut(node) else { return };
        let timeout = if pg.tuned { RECEIVER_TIMEOUT.0 } else { RECEIVER_TIMEOUT.1 };
        if let Some(recv) = &mut pg.receiver {
            let silent = now.saturating_sub(recv.last_message);
            if silent >= timeout {
                self.say(|| format!("node {node}: its receiver times out"));
                self.stop_receiver(node);
            } else if silent >= timeout / 2 && now.saturating_sub(recv.pinged) >= timeout / 4 {
                recv.pinged = now;
                self.report(node, true);
            }
            return;
        }
        let blocked = busy || pg.promote_at.is_some() || pg.conninfo_seen_at.is_some() || now < pg.connect_at;
        let Some(sender) = target(&self.hosts, &pg.conninfo).filter(|_| !blocked) else { return };
        pg.connect_at = now + if pg.tuned { RETRY.0 } else { RETRY.1 };
        let stream = self.number();
        self.send(Peer::Node(node), Peer::Node(sender), Message::Attach { standby: node, stream });
    }

    /// The receiver ends, and the next one waits its time.
    fn stop_receiver(&mut self, node: usize) {
        let Some(recv) = self.nodes.get_mut(node).and_then(|p| p.receiver.take()) else { return };
        self.send(Peer::Node(node), Peer::Node(recv.sender), Message::StreamEnded { stream: recv.stream });
    }

    /// A standby asks to be streamed to.
    pub fn serve_attach(&mut self, node: usize, standby: usize, stream: u64) {
        let now = self.now;
        let (Some(pg), Some(other)) = (self.nodes.get(node), self.nodes.get(standby)) else { return };
        // A standby that is ahead of its sender is refused; one with another history may be let in by mistake.
        let ahead = pg.wal.is_prefix_of(&other.wal) && other.wal.len() > pg.wal.len();
        let no_slot = self.slots && !pg.slots.contains(&standby);
        if pg.power != Power::Up || ahead || no_slot {
            self.send(Peer::Node(node), Peer::Node(standby), Message::StreamEnded { stream });
            return;
        }
        let lying = !other.wal.is_prefix_of(&pg.wal);
        // Where it is the sender knows by its first reply: a connection that was closed while the sender was frozen gives none.
        let sender = Send { stream, flushed: 0, replayed: 0, sent: 0, heard: now, replied: 0 };
        if let Some(pg) = self.nodes.get_mut(node) {
            pg.senders.insert(standby, sender);
        }
        self.send(Peer::Node(node), Peer::Node(standby), Message::Attached { sender: node, stream, lying });
        self.push_wal(node);
    }

    /// The sender streams.
    pub fn attached(&mut self, node: usize, sender: usize, stream: (u64, bool)) {
        let now = self.now;
        let nodes = &self.hosts;
        let Some(pg) = self.nodes.get_mut(node) else { return };
        let wanted = target(nodes, &pg.conninfo) == Some(sender) && pg.conninfo_seen_at.is_none();
        if pg.power != Power::Up
            || !pg.in_recovery
            || !wanted
            || pg.receiver.is_some()
            || pg.promote_at.is_some()
        {
            self.send(Peer::Node(node), Peer::Node(sender), Message::StreamEnded { stream: stream.0 });
            return;
        }
        pg.receiver =
            Some(Recv { stream: stream.0, sender, last_message: now, pinged: now, lying: stream.1 });
        self.say(|| {
            format!("node {node} streams from node {sender}{}", if stream.1 { " and lies" } else { "" })
        });
    }

    /// Sends to every standby what it has not been sent, and a sign of life.
    pub fn push_wal(&mut self, node: usize) {
        let Some(pg) = self.nodes.get_mut(node) else { return };
        let (upto, generation) = (pg.wal.len(), pg.wal.generation);
        let mut out = Vec::new();
        for (standby, sender) in &mut pg.senders {
            sender.sent = upto;
            out.push((*standby, Message::Stream { sender: node, stream: sender.stream, upto, generation }));
        }
        for (standby, message) in out {
            self.send(Peer::Node(node), Peer::Node(standby), message);
        }
    }

    /// WAL arrives, and is flushed.
    pub fn streamed(&mut self, node: usize, sender: usize, what: (u64, usize, u32)) {
        let (stream, upto, generation) = what;
        let now = self.now;
        let Some(from) = self.nodes.get(sender) else { return };
        let same = from.wal.generation == generation;
        let news = self.nodes.get(node).and_then(|pg| pg.wal.missing_from(&from.wal, upto)).filter(|_| same);
        let Some(pg) = self.nodes.get_mut(node).filter(|p| p.power == Power::Up) else { return };
        if pg.receiver.as_ref().is_none_or(|r| r.stream != stream) {
            // What comes for a connection that is closed is answered with a reset, however the end of it was lost.
            self.send(Peer::Node(node), Peer::Node(sender), Message::StreamEnded { stream });
            return;
        }
        let stalled = pg.stalled > 0 || pg.disk > 0;
        let Some(recv) = pg.receiver.as_mut().filter(|r| r.stream == stream && !stalled) else { return };
        recv.last_message = now;
        let (lying, moved) = (recv.lying, news.as_ref().is_some_and(|n| !n.0.is_empty()));
        if let Some(news) = news.filter(|_| !lying) {
            pg.wal.extend(news);
            // The timeline is that of the WAL received, not of the sender.
            pg.timeline = pg.wal.timeline().max(pg.timeline);
            pg.received_null = false;
        }
        self.report(node, false);
        if moved {
            self.push_wal(node);
        }
    }

    /// Reports to the sender.
    fn report(&mut self, node: usize, ping: bool) {
        let Some(pg) = self.nodes.get(node) else { return };
        let Some(recv) = &pg.receiver else { return };
        let (to, stream) = (recv.sender, recv.stream);
        let (flushed, replayed, at) = (pg.wal.len(), pg.replayed, pg.reads_clock(self.now));
        self.send(
            Peer::Node(node),
            Peer::Node(to),
            Message::Flushed { standby: node, stream, flushed, replayed, ping, at },
        );
    }

    /// A standby has reported.
    pub fn flushed(&mut self, node: usize, from: (usize, u64, i64), what: (usize, usize, bool)) {
        let (standby, stream, at) = from;
        let (flushed, replayed, ping) = what;
        let now = self.now;
        let Some(pg) = self.nodes.get_mut(node).filter(|p| p.power == Power::Up) else { return };
        let Some(sender) = pg.senders.get_mut(&standby).filter(|s| s.stream == stream) else { return };
        sender.flushed = flushed;
        sender.replayed = replayed;
        sender.heard = now;
        sender.replied = at;
        self.release_commits(node);
        if ping {
            self.push_wal(node);
        }
    }

    /// One end of a stream is gone.
    pub fn stream_ended(&mut self, node: usize, stream: u64) {
        let Some(pg) = self.nodes.get_mut(node) else { return };
        pg.senders.retain(|_, s| s.stream != stream);
        if pg.receiver.as_ref().is_some_and(|r| r.stream == stream) {
            pg.receiver = None;
        }
    }

    fn expire_senders(&mut self, node: usize) {
        let now = self.now;
        if let Some(pg) = self.nodes.get_mut(node) {
            pg.senders.retain(|_, s| now.saturating_sub(s.heard) < SENDER_TIMEOUT);
        }
    }

    /// The lease of a control session: a pooler that is not heard of loses its session and its vote.
    fn expire_sessions(&mut self, node: usize) {
        let now = self.now;
        let Some(pg) = self.nodes.get_mut(node) else { return };
        let ended: Vec<u64> = pg
            .sessions
            .iter()
            .filter(|(_, s)| !s.stuck && now.saturating_sub(s.heard) >= SESSION_LEASE)
            .map(|(id, _)| *id)
            .collect();
        for session in ended {
            self.end_session(node, session);
        }
    }

    /// A session has ended at the server.
    pub fn end_session(&mut self, node: usize, session: u64) {
        let Some(pg) = self.nodes.get_mut(node) else { return };
        if let Some(stuck) = pg.sessions.get_mut(&session).filter(|s| s.stuck) {
            // It is in a system call, and sees that its connection has ended when it comes back.
            stuck.ended = true;
            return;
        }
        let Some(ended) = pg.sessions.remove(&session) else { return };
        if pg.vote == Some(session) {
            pg.vote = None;
        }
        self.say(|| format!("node {node} ends session {session}"));
        self.send(Peer::Node(node), Peer::Pooler(ended.pooler), Message::SessionEnded { node, session });
    }

    /// Acknowledges the commits that have what they wait for.
    pub fn release_commits(&mut self, node: usize) {
        let Some(pg) = self.nodes.get_mut(node) else { return };
        let nodes = &self.hosts;
        let rows = pg.flushed_rows(nodes);
        let protected = !pg.sync_names.is_async();
        let done: Vec<Commit> =
            pg.commits.iter().filter(|c| satisfied(&pg.sync_names, &rows, c.len)).copied().collect();
        pg.commits.retain(|c| !done.iter().any(|d| d.write == c.write));
        let timeline = pg.timeline;
        for Commit { client, write, len } in done {
            let outcome = Outcome::Acknowledged { protected, timeline, len };
            self.answer_client(node, client, Message::Written { client, write, outcome });
        }
    }

    /// Answers the orders that poll.
    pub fn answer_waits(&mut self, node: usize) {
        let now = self.now;
        let Some(pg) = self.nodes.get_mut(node) else { return };
        let pg_now = pg.clone_light();
        let (done, left) = std::mem::take(&mut pg.waits).into_iter().partition(|w| {
            let met = match w.kind {
                WaitKind::Fenced => pg_now.receiver_gone || pg_now.paused || pg_now.conflict,
                WaitKind::Replayed => pg_now.at_end || pg_now.paused || pg_now.conflict,
                WaitKind::Promoted => !pg_now.in_recovery,
            };
            met || now + NODE_TICK >= w.until
        });
        pg.waits = left;
        let done: Vec<crate::pg::Wait> = done;
        for wait in done {
            self.answer_wait(node, &wait);
        }
    }
}

/// Whether a commit has what it waits for.
#[must_use]
pub fn satisfied(names: &SyncNames, rows: &[(String, usize)], len: usize) -> bool {
    if names.is_async() {
        return true;
    }
    let has = |name: &String| rows.iter().find(|(n, _)| n == name).map(|(_, flushed)| *flushed >= len);
    if names.is_wildcard() {
        return rows.iter().filter(|(_, flushed)| *flushed >= len).count() >= names.k;
    }
    let mut here = names.names.iter().filter_map(has);
    match names.method {
        Method::Any => here.filter(|ok| *ok).count() >= names.k,
        Method::First => {
            let first: Vec<bool> = here.by_ref().take(names.k).collect();
            first.len() >= names.k && first.iter().all(|ok| *ok)
        }
    }
}

/// What the waits look at.
struct Light {
    receiver_gone: bool,
    paused: bool,
    conflict: bool,
    at_end: bool,
    in_recovery: bool,
}

impl Pg {
    /// What its standbys have flushed, by name.
    #[must_use]
    pub fn flushed_rows(&self, nodes: &[NodeSpec]) -> Vec<(String, usize)> {
        let row = |(n, s): (&usize, &Send)| Some((nodes.get(*n)?.application_name.clone(), s.flushed));
        self.senders.iter().filter_map(row).collect()
    }

    fn clone_light(&self) -> Light {
        Light {
            receiver_gone: self.receiver.is_none(),
            paused: self.paused,
            conflict: self.conflict,
            at_end: self.replayed >= self.wal.len(),
            in_recovery: self.in_recovery,
        }
    }

    /// Replays some more.
    fn replay(&mut self) {
        if self.paused || self.conflict {
            return;
        }
        self.replayed = (self.replayed + 50).min(self.wal.len());
    }
}

/// A bounded pause of the model: how soon the startup process sees a changed setting, microseconds.
pub fn reload_delay(rng: &mut rand::rngs::SmallRng) -> u64 {
    rng.random_range(2_000..60_000)
}
