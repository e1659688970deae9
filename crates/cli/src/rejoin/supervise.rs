//! `howdah rejoin --supervise`: PostgreSQL beside it, started by whichever way leads into the cluster, and again
//! whenever it ends; stopped for a switchover when a pooler orders it (FAILOVER_PROTOCOL.md section 10).
//!
//! `verdict.rs` says whom to follow, `watch.rs` reads the orders, `server.rs` is the process, `pace.rs` the back-off.

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use howdah::StopOrder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::carry::Carry;
use super::pace::Pace;
use super::peers::Peers;
use super::programs::Programs;
use super::server::Server;
use super::verdict::{Verdict, judge};
use super::watch::{Login, Role};
use super::{Error, Options, decide, settings, state, watch as session};
use crate::args::{say, warn};

/// How often a primary is looked for while the server is down (time).
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// How often a running primary looks whether another was promoted in its place (time): it may have been frozen.
const REPLACED_INTERVAL: Duration = Duration::from_secs(5);

/// A server that does not stop by itself within this is stopped at once (time).
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// What the looks at the directory and at the peers need; shared with the threads that wait for programs.
#[derive(Debug)]
struct Place {
    options: Options,
    programs: Programs,
    peers: Peers,
}

/// How a watch over a running server ended.
#[derive(Debug)]
enum Event {
    /// SIGTERM or SIGINT.
    Told,
    /// A pooler orders a stop.
    Order(StopOrder),
    /// Another node is the primary of a newer timeline.
    Replaced(u32),
    /// It has ended by itself.
    Ended(String),
}

/// What came of an attempt to start.
enum Begun {
    Runs(Server),
    /// SIGTERM or SIGINT came first.
    Told,
}

/// Why the server is to be started.
#[derive(Debug, Clone, Copy)]
enum Start {
    /// For the first time.
    First,
    /// It has ended or was stopped; as a primary it waits so long for another to be promoted in its place.
    Again { patience: Duration },
}

/// The signals that end the supervisor.
struct Told {
    terminate: Signal,
    interrupt: Signal,
}

impl Told {
    fn new() -> Result<Self, Error> {
        let take =
            |kind| signal(kind).map_err(|error| Error::Failed(format!("signals cannot be taken: {error}")));
        Ok(Self { terminate: take(SignalKind::terminate())?, interrupt: take(SignalKind::interrupt())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// The supervisor of one node.
struct Supervisor {
    place: Arc<Place>,
    login: Login,
    told: Told,
    pace: Pace,
    role: watch::Sender<Role>,
}

/// Runs it until it is told to end; the server is stopped cleanly then.
///
/// # Errors
/// The directory is nothing that this program may touch, or the server did not stop cleanly.
pub(crate) fn run(options: &Options, programs: Programs, peers: Peers) -> Result<ExitCode, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::Failed(format!("cannot start the runtime: {error}")))?;
    let login = Login::new(options.local.as_deref())?;
    let place = Arc::new(Place { options: options.clone(), programs, peers });
    runtime.block_on(async {
        let (pace, role) = (Pace::default(), watch::Sender::new(Role::Unknown));
        Supervisor { place, login, told: Told::new()?, pace, role }.run().await
    })
}

impl Supervisor {
    async fn run(mut self) -> Result<ExitCode, Error> {
        let mut begun = match state::running(&self.place.options.pgdata) {
            Some(pid) => {
                self.say(&format!("a server (process {pid}) runs already: it is watched"));
                Begun::Runs(Server::found(pid))
            }
            None => self.start(Start::First, &[]).await?,
        };
        loop {
            let Begun::Runs(server) = begun else { return Ok(ExitCode::SUCCESS) };
            let Some(next) = self.round(server).await? else { return Ok(ExitCode::SUCCESS) };
            begun = next;
        }
    }

    /// A running server until its end, and the next start. `None`: it was stopped, and so are we.
    async fn round(&mut self, mut server: Server) -> Result<Option<Begun>, Error> {
        let since = Instant::now();
        let event = self.watch(&mut server).await;
        let options = self.place.options.clone();
        let (start, others) = match event {
            Event::Told => {
                self.say("stopping the server");
                self.stop(&mut server).await;
                self.stopped_cleanly()?;
                return Ok(None);
            }
            Event::Order(order) => {
                self.say(&format!("stopping the primary for a switchover of {}", order.pooler));
                self.stop(&mut server).await;
                self.say("stopped; waiting for the new primary");
                (Start::Again { patience: Duration::from_secs(options.switchover_wait) }, order.others)
            }
            Event::Replaced(timeline) => {
                self.say(&format!("another node is the primary of timeline {timeline}: stopping this one"));
                self.stop(&mut server).await;
                (Start::Again { patience: Duration::ZERO }, Vec::new())
            }
            Event::Ended(how) => {
                self.say(&format!("the server has ended ({how})"));
                let pause = self.pace.after(since.elapsed());
                if self.pause(pause).await {
                    return Ok(None);
                }
                (Start::Again { patience: Duration::from_secs(options.crash_wait) }, Vec::new())
            }
        };
        self.role.send_replace(Role::Unknown);
        self.start(start, &others).await.map(Some)
    }

    /// Until something happens to a running server.
    async fn watch(&mut self, server: &mut Server) -> Event {
        let (place, role) = (Arc::clone(&self.place), self.role.subscribe());
        let name = self.place.options.name();
        let pgdata = &place.options.pgdata;
        tokio::select! {
            how = server.ended() => Event::Ended(how),
            () = self.told.wait() => Event::Told,
            order = session::order(&self.login, pgdata, &self.role) => Event::Order(order),
            timeline = replaced(&place, role.clone()) => Event::Replaced(timeline),
            never = tell(&name, role.clone()) => match never {},
        }
    }

    /// A fast shutdown; when it takes too long, or somebody insists, an immediate one.
    async fn stop(&mut self, server: &mut Server) {
        server.stop();
        tokio::select! {
            _ = server.ended() => return,
            () = self.told.wait() => {}
            () = tokio::time::sleep(STOP_LIMIT) => {}
        }
        self.say("the server is stopped immediately");
        server.stop_immediately();
        server.ended().await;
    }

    /// What the directory says of the stop.
    fn stopped_cleanly(&self) -> Result<(), Error> {
        match state::look(&self.place.options.pgdata, &self.place.programs)? {
            state::Node::Stopped(control) if !control.state.starts_with("shut down") => {
                Err(Error::Failed(format!("the server has not stopped cleanly: {}", control.state)))
            }
            _ => Ok(()),
        }
    }

    /// Makes the directory ready and starts the server, with all the waits and tries that it takes.
    ///
    /// # Errors
    /// The first look finds what this program must not touch, or the server cannot be run.
    async fn start(&mut self, start: Start, others: &[(String, u16)]) -> Result<Begun, Error> {
        let (mut first, patience) = match start {
            Start::First => (true, Duration::ZERO),
            Start::Again { patience } => (false, patience),
        };
        let deadline = Instant::now() + patience;
        let mut tries = Pace::default();
        let mut waits_for = String::new();
        loop {
            let pause = match self.step(others, Instant::now() < deadline).await {
                Ok(Verdict::Wait(what)) => {
                    if what != waits_for {
                        self.say(&what);
                        waits_for = what;
                    }
                    LOOK_INTERVAL
                }
                Ok(_) => return Server::start(&self.place.options, &self.place.programs).map(Begun::Runs),
                Err(refused @ Error::Refused(_)) if first => return Err(refused),
                Err(error) => {
                    warn(&format!("howdah rejoin: {error}\n"));
                    tries.after(Duration::ZERO).max(LOOK_INTERVAL)
                }
            };
            first = false;
            if self.pause(pause).await {
                return Ok(Begun::Told);
            }
        }
    }

    /// Waits; whether we were told to end meanwhile.
    async fn pause(&mut self, pause: Duration) -> bool {
        tokio::time::timeout(pause, self.told.wait()).await.is_ok()
    }

    /// One look, and what follows from it. It is not broken off by a signal: a directory must not stay half rewound.
    async fn step(&self, others: &[(String, u16)], patient: bool) -> Result<Verdict, Error> {
        let (place, others) = (Arc::clone(&self.place), others.to_vec());
        let step = tokio::task::spawn_blocking(move || place.step(&others, patient)).await;
        step.map_err(|error| Error::Failed(format!("a look at the directory broke off: {error}")))?
    }

    fn say(&self, what: &str) {
        say(&format!("{}: {what}\n", self.place.options.name()));
    }
}

impl Place {
    fn step(&self, others: &[(String, u16)], patient: bool) -> Result<Verdict, Error> {
        let node = state::look(&self.options.pgdata, &self.programs)?;
        let mark = settings::mark(&self.options.pgdata);
        let seen = self.peers.with(others).look(&self.programs);
        let verdict = judge(&node, mark.as_ref(), &seen, patient);
        if let Verdict::AsItWas(why) = &verdict {
            say(&format!("{}\n{why}\n", node.sentence()));
        }
        let (Verdict::Follow, Some((primary, source))) = (&verdict, seen.primary()) else {
            return Ok(verdict);
        };
        say(&format!("{}\n{}\n", node.sentence(), source.sentence(primary)));
        let plan = decide::decide(&node, source).map_err(Error::Refused)?;
        say(&format!("{}\n", plan.why));
        let login = self.peers.login_at(primary);
        let (options, programs) = (&self.options, &self.programs);
        Carry { options, primary, login: &login, programs, node: &node }.out(plan.way)?;
        Ok(verdict)
    }

    /// The timeline of a primary whose history goes on from where this one's ends or ended.
    fn successor(&self, system: u64, timeline: u32) -> Option<u32> {
        let seen = self.peers.look(&self.programs);
        let (_, source) = seen.primary()?;
        let newer = source.system == system && source.timeline > timeline;
        (newer && source.end_of(timeline).is_some()).then_some(source.timeline)
    }
}

/// Says what the server is whenever that changes.
async fn tell(name: &str, mut role: watch::Receiver<Role>) -> Infallible {
    loop {
        let now = *role.borrow_and_update();
        match now {
            Role::Unknown => {}
            Role::Standby => say(&format!("{name}: runs as a standby\n")),
            Role::Primary { timeline, .. } => {
                say(&format!("{name}: runs as the primary of timeline {timeline}\n"));
            }
        }
        if role.changed().await.is_err() {
            // The sender is the supervisor's, which waits for this.
            return std::future::pending().await;
        }
    }
}

/// Waits until this node, a primary, is one no more for the others.
async fn replaced(place: &Arc<Place>, role: watch::Receiver<Role>) -> u32 {
    loop {
        tokio::time::sleep(REPLACED_INTERVAL).await;
        let Role::Primary { system, timeline } = *role.borrow() else { continue };
        let place = Arc::clone(place);
        let look = tokio::task::spawn_blocking(move || place.successor(system, timeline));
        if let Ok(Some(newer)) = look.await {
            return newer;
        }
    }
}
