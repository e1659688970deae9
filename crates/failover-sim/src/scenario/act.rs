//! What happens in a scenario: a fault that begins or ends, an operator's command, a server that is started. Read next:
//! [`super::condition`].

use howdah_failover::Command;

use super::words::{Read, Words, Wrong};
use crate::faults::{Kind, Tamper, Whom};
use crate::net::Peer;
use crate::pooler::id_of;
use crate::world::World;

/// Something that happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// A fault begins (or ends).
    Fault(Kind, bool),
    /// An operator's command at a pooler.
    Operator(usize, Command),
    /// A standby has so many entries of its own beyond what it received.
    Diverge(usize, u64),
    /// So many transactions are open on a server.
    Open(usize, u32),
    /// A server refuses an action, so many times.
    Refuse(usize, &'static str, u32),
    /// Someone promotes a server by hand.
    Promote(usize),
    /// Someone makes a server a standby of the primary and forgets to rewind it.
    Rejoin(usize),
    /// The world goes on for so long, microseconds.
    Pass(u64),
}

/// Reads one.
///
/// # Errors
/// The words are no such thing.
pub fn read(words: &mut Words) -> Read<Act> {
    let first = words.word("what happens")?;
    if let Some(act) = server(&first.text, words)?.or(network(&first.text, words)?) {
        return Ok(act);
    }
    let act = match first.text.as_str() {
        "restart" => Act::Fault(Kind::RestartPooler(words.pooler()?), true),
        "lose" | "delay" => tamper(first.text == "delay", words)?,
        "refuse" => {
            let (node, action) = (words.node()?, words.action()?);
            let times = if words.is_empty() { 1 } else { words.number()? };
            Act::Refuse(node, action, u32::try_from(times).unwrap_or(u32::MAX))
        }
        "promote" => Act::Promote(words.node()?),
        "rejoin-unrewound" => Act::Rejoin(words.node()?),
        "pass" => Act::Pass(words.time()?),
        "switchover" | "failover" | "resume" | "maintenance" => operator(&first.text, words)?,
        other => return Err(Wrong { column: first.column, what: format!("nothing is called {other:?}") }),
    };
    Ok(act)
}

/// What happens to a server.
fn server(word: &str, words: &mut Words) -> Read<Option<Act>> {
    let whom = |words: &mut Words| match words.take("primary") {
        true => Ok(Whom::Primary),
        false => words.node().map(Whom::Node),
    };
    let (kind, on) = match word {
        "kill" => {
            let whom = whom(words)?;
            (Kind::Kill { whom, silent: words.take("silent") }, true)
        }
        "start" => (Kind::Kill { whom: whom(words)?, silent: false }, false),
        "freeze" | "thaw" => {
            let kind = match words.peer()? {
                Peer::Node(node) => Kind::Freeze(Whom::Node(node)),
                Peer::Pooler(p) => Kind::FreezePooler(p),
            };
            (kind, word == "freeze")
        }
        "pause-replay" | "resume-replay" => (Kind::Pause(words.node()?), word == "pause-replay"),
        "conflict" | "end-conflict" => (Kind::Conflict(words.node()?), word == "conflict"),
        "stall" | "unstall" => (Kind::Stall(words.node()?), word == "stall"),
        "disk-stuck" | "disk-answers" => (Kind::Disk(whom(words)?), word == "disk-stuck"),
        "end-sessions" => (Kind::EndSessions(words.node()?), true),
        "cancel" => (Kind::Cancel(whom(words)?), true),
        "slow-promotion" => (Kind::Slow(words.time()?), true),
        "clock" => {
            let node = words.node()?;
            let sign = if words.take("back") { -1 } else { 1 };
            words.take("forward");
            let by = i64::try_from(words.time()?).unwrap_or(i64::MAX) * sign;
            (Kind::Clock { node, by }, true)
        }
        "diverge" => return Ok(Some(Act::Diverge(words.node()?, words.number()?))),
        "open-transactions" => {
            let node = words.node()?;
            return Ok(Some(Act::Open(node, u32::try_from(words.number()?).unwrap_or(u32::MAX))));
        }
        _ => return Ok(None),
    };
    Ok(Some(Act::Fault(kind, on)))
}

/// What happens to the network.
fn network(word: &str, words: &mut Words) -> Read<Option<Act>> {
    let (kind, on) = match word {
        "cut" | "heal" => {
            let from = words.peer()?;
            let both = !words.take(">");
            (Kind::Cut { from, to: words.peer()?, both }, word == "cut")
        }
        "isolate" | "unite" => match words.peer()? {
            Peer::Node(node) => (Kind::Isolate(Whom::Node(node)), word == "isolate"),
            pooler @ Peer::Pooler(_) => (Kind::Split(vec![pooler]), word == "isolate"),
        },
        "mute" | "unmute" => (Kind::Mute(Whom::Node(words.node()?)), word == "mute"),
        "deafen" | "undeafen" => (Kind::Deafen(Whom::Node(words.node()?)), word == "deafen"),
        "split" | "join" => {
            let mut side = vec![words.peer()?];
            while !words.is_empty() {
                side.push(words.peer()?);
            }
            (Kind::Split(side), word == "split")
        }
        "loss" => (Kind::Loss(u32::try_from(words.number()?).unwrap_or(1000)), true),
        "flap" => (Kind::Flap(Whom::Node(words.node()?)), true),
        "calm" => (Kind::Loss(0), false),
        _ => return Ok(None),
    };
    Ok(Some(Act::Fault(kind, on)))
}

/// `lose order fence 2`, `delay answer promote 3s`.
fn tamper(late: bool, words: &mut Words) -> Read<Act> {
    let answer = words.take("answer");
    if !answer && !words.take("order") {
        let word = words.word("`order` or `answer`")?;
        return Err(Wrong { column: word.column, what: "`order` or `answer` must stand here".to_owned() });
    }
    let action = words.action()?;
    let late = if late { Some(words.time()?) } else { None };
    let left = if words.is_empty() { 1 } else { words.number()? };
    let left = u32::try_from(left).unwrap_or(u32::MAX);
    Ok(Act::Fault(Kind::Tamper(Tamper { action, answer, late, left }), true))
}

fn operator(word: &str, words: &mut Words) -> Read<Act> {
    let pooler = words.pooler_or_first();
    let to = if words.take("to") { Some(id_of(words.node()?)) } else { None };
    let command = match word {
        "switchover" => Command::Switchover { to, force: words.take("force") },
        "failover" => Command::Failover { to },
        "resume" => Command::Resume,
        _ => Command::Maintenance(!words.take("off")),
    };
    Ok(Act::Operator(pooler, command))
}

impl World {
    /// Lets it happen.
    pub fn act_out(&mut self, act: &Act) {
        match act {
            Act::Fault(Kind::Loss(0), false) => {
                self.net.loss = 0;
                self.net.flap = None;
            }
            Act::Fault(kind, on) => {
                let kind = self.aim(kind.clone());
                self.apply(&kind, *on);
            }
            Act::Refuse(node, action, times) => {
                if let Some(pg) = self.nodes.get_mut(*node) {
                    pg.refuses = Some((action, *times));
                }
            }
            Act::Promote(node) => self.serve_promote(*node),
            Act::Rejoin(node) => {
                let primary = self.newest_published().map(|(primary, _)| primary);
                self.rejoin(*node, primary, false);
            }
            Act::Operator(pooler, command) => self.command(*pooler, *command),
            Act::Diverge(node, entries) => self.diverge(*node, *entries),
            Act::Open(node, count) => {
                if let Some(pg) = self.nodes.get_mut(*node) {
                    pg.open_transactions = *count;
                }
            }
            // The player lets time pass.
            Act::Pass(_) => {}
        }
    }

    /// A standby was once promoted by mistake and rejoined without a rewind: it has a history of its own.
    fn diverge(&mut self, node: usize, entries: u64) {
        if let Some(pg) = self.nodes.get_mut(node) {
            let timeline = pg.timeline;
            (0..entries).for_each(|_| pg.wal.push(timeline, None));
            pg.replayed = pg.wal.len();
            pg.received_null = false;
        }
    }
}
