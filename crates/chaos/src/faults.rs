//! The rows of the table: what is done to which cluster, and what must hold.

use std::time::Duration;

/// Where a row's cluster runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Processes on loopback, synchronous replication.
    Processes,
    /// Processes on loopback, asynchronous replication.
    Asynchronous,
    /// Containers, synchronous replication.
    Containers,
}

impl Place {
    pub(crate) fn needs_containers(self) -> bool {
        self == Place::Containers
    }
}

/// What is done. `crate::plots` does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plot {
    /// Kill the primary; bring it back; again.
    Kill,
    /// Stop every process of the primary.
    Freeze,
    /// Kill the primary, and 15 s later the new one; bring both back.
    KillTwice,
    /// Kill primary after primary, then everything, and start all in this order.
    RestartAll,
    /// Kill the pooler and start it again.
    KillPooler,
    /// Freeze the pooler and let it go on.
    StallPooler,
    /// Pause the replay of a standby, then of the other.
    Lag,
    /// Checkpoints in a row while much is written.
    Checkpoint,
    /// Cut the primary off from everybody.
    CutAll,
    /// Cut the primary off from the other nodes only.
    CutNodes,
    /// Cut the pooler off from the primary only.
    CutPooler,
    /// Cut the pooler off from the primary and heal it, many times a second.
    Flap,
    /// A second pooler beside the primary; cut both off from everything but their clients.
    TwoSides,
    /// Kill the primary with two poolers at work.
    TwoPoolers,
    /// SWITCHOVER, with a supervisor beside each node.
    Switchover,
}

/// What a row must hold beside "nothing lost, nothing twice, nothing stale".
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The longest time that a session has no write acknowledged: median and worst of all rounds.
    pub(crate) write: Option<(Duration, Duration)>,
    /// The longest time that a reading session has no answer.
    pub(crate) read: Option<Duration>,
    /// Sessions may end: the pooler itself is killed.
    pub(crate) sessions_end: bool,
    /// How many promotions there are, where it is known.
    pub(crate) promotions: Option<u32>,
    /// How many errors a session may be told in a round.
    pub(crate) errors: u32,
    /// Bytes of acknowledged writes that may be lost: asynchronous replication.
    pub(crate) lost_bytes: u64,
}

/// A row.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) place: Place,
    pub(crate) plot: Plot,
    /// How often it is done.
    pub(crate) rounds: u32,
    /// Further settings of the cluster.
    pub(crate) settings: &'static str,
    pub(crate) limits: Limits,
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// One error a session and round: the statement in flight.
const PLAIN: Limits =
    Limits { write: None, read: None, sessions_end: false, promotions: None, errors: 1, lost_bytes: 0 };

/// No promotion, and nobody is told anything.
const UNNOTICED: Limits = Limits { promotions: Some(0), errors: 0, ..PLAIN };

const fn row(
    name: &'static str,
    what: &'static str,
    (place, plot): (Place, Plot),
    rounds: u32,
    limits: Limits,
) -> Fault {
    Fault { name, what, place, plot, rounds, settings: "", limits }
}

/// The table, in the order in which it is played.
pub(crate) const FAULTS: [Fault; 19] = [
    row(
        "kill",
        "kill -9 of the primary's processes",
        (Place::Processes, Plot::Kill),
        20,
        Limits { write: Some((ms(200), ms(800))), read: Some(ms(100)), ..PLAIN },
    ),
    row(
        "freeze",
        "every process of the primary stopped (SIGSTOP)",
        (Place::Processes, Plot::Freeze),
        3,
        Limits { write: Some((ms(2000), ms(2000))), ..PLAIN },
    ),
    row(
        "kill-twice",
        "the primary killed, the new primary killed 15 s later",
        (Place::Processes, Plot::KillTwice),
        1,
        Limits { promotions: Some(2), errors: 2, ..PLAIN },
    ),
    row(
        "restart-all",
        "two primaries killed one after the other, then all nodes; all started in each of the six orders",
        (Place::Processes, Plot::RestartAll),
        6,
        Limits { errors: 4, ..PLAIN },
    ),
    row(
        "two-poolers",
        "kill -9 of the primary with two Howdahs at work",
        (Place::Processes, Plot::TwoPoolers),
        3,
        Limits { write: Some((ms(2000), ms(2000))), ..PLAIN },
    ),
    row(
        "switchover",
        "SWITCHOVER again and again, a supervisor beside each node",
        (Place::Processes, Plot::Switchover),
        10,
        Limits { promotions: None, ..UNNOTICED },
    ),
    row(
        "pooler-killed",
        "Howdah itself killed (SIGKILL) and started again",
        (Place::Processes, Plot::KillPooler),
        3,
        Limits { sessions_end: true, promotions: Some(0), errors: 3, ..PLAIN },
    ),
    row(
        "pooler-stall",
        "Howdah stopped for 10 s (SIGSTOP), as a long pause of a garbage collector",
        (Place::Processes, Plot::StallPooler),
        2,
        UNNOTICED,
    ),
    row(
        "lag",
        "the replay of each standby paused in turn for 3 s",
        (Place::Processes, Plot::Lag),
        2,
        UNNOTICED,
    ),
    row(
        "checkpoint",
        "checkpoints in a row while 200 MB are written",
        (Place::Processes, Plot::Checkpoint),
        1,
        UNNOTICED,
    ),
    Fault {
        name: "async-kill",
        what: "kill -9 of the primary, asynchronous replication, max_lost_bytes = 1MB",
        place: Place::Asynchronous,
        plot: Plot::Kill,
        rounds: 3,
        settings: "max_lost_bytes=1MB",
        limits: Limits { lost_bytes: 1 << 20, write: Some((ms(4000), ms(4000))), ..PLAIN },
    },
    row(
        "container-kill",
        "docker kill of the primary",
        (Place::Containers, Plot::Kill),
        5,
        Limits { write: Some((ms(800), ms(800))), ..PLAIN },
    ),
    row(
        "container-pause",
        "docker pause of the primary",
        (Place::Containers, Plot::Freeze),
        2,
        Limits { write: Some((ms(2000), ms(2000))), ..PLAIN },
    ),
    row(
        "cut-off",
        "docker network disconnect of the primary: nobody reaches it",
        (Place::Containers, Plot::CutAll),
        2,
        Limits { write: Some((ms(2000), ms(2000))), ..PLAIN },
    ),
    row(
        "cut-from-standbys",
        "the primary cut off from the standbys, not from Howdah",
        (Place::Containers, Plot::CutNodes),
        2,
        Limits { ..PLAIN },
    ),
    row(
        "cut-from-howdah",
        "the primary cut off from Howdah, not from the standbys",
        (Place::Containers, Plot::CutPooler),
        2,
        Limits { promotions: Some(0), ..PLAIN },
    ),
    row(
        "flapping",
        "Howdah cut off from the primary and back, ten times in a row",
        (Place::Containers, Plot::Flap),
        1,
        UNNOTICED,
    ),
    row(
        "two-sides",
        "two Howdahs, one beside the primary with clients of its own; both cut off from the standbys and the other",
        (Place::Containers, Plot::TwoSides),
        1,
        Limits { promotions: Some(1), ..PLAIN },
    ),
    row(
        "container-restart-all",
        "docker kill of all nodes, all started again, the old primary first",
        (Place::Containers, Plot::RestartAll),
        1,
        Limits { errors: 4, ..PLAIN },
    ),
];
