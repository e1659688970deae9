//! The decision table: what is done in which state, when, and why. Each row is data: the graph in
//! `docs/failover-graph.md`, the reachability test and the sentences of `SHOW FAILOVERS` come from it. In each state the
//! first row whose guard holds is taken; rows of one state stand in the order of precedence.
//!
//! Read next: `crate::guards` (what a guard asks) and `crate::steps` (what an act does).

/// Where the machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// No primary is known, or none is trusted yet.
    Start,
    /// The primary is known; work goes on.
    Follow,
    /// A change of settings on some nodes, under their locks, while work goes on.
    Upkeep,
    /// The primary did not answer; work is held and evidence gathered.
    Suspect,
    /// A switchover takes the locks while work goes on.
    Prepare,
    /// New work is held, transactions end, the standbys receive everything.
    Drain,
    /// The supervisor stops the primary.
    Stop,
    /// Taking the locks.
    Vote,
    /// Stopping the receivers.
    Fence,
    /// Reading the positions.
    Elect,
    /// The preferred candidate streams from the furthest what it lacks.
    CatchUp,
    /// Pointing the others at the elected one.
    Repoint,
    /// Checking the locks once more.
    Recheck,
    /// The promotion is asked for.
    Promote,
    /// The promotion was asked for, the votes are gone, and what came of it is not known.
    Doubt,
    /// The new primary is published; marks are cleared.
    Settle,
    /// Putting everything back.
    CallOff,
    /// Waiting a random time before the next try.
    BackOff,
    /// Stopped: a person must look.
    Halted,
}

impl State {
    /// Its name: a step of a failover in SHOW FAILOVERS.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            State::Start => "start",
            State::Follow => "follow",
            State::Upkeep => "upkeep",
            State::Suspect => "suspect",
            State::Prepare => "prepare",
            State::Drain => "drain",
            State::Stop => "stop",
            State::Vote => "vote",
            State::Fence => "fence",
            State::Elect => "elect",
            State::CatchUp => "catch_up",
            State::Repoint => "repoint",
            State::Recheck => "recheck",
            State::Promote => "promote",
            State::Doubt => "doubt",
            State::Settle => "settle",
            State::CallOff => "call_off",
            State::BackOff => "back_off",
            State::Halted => "halted",
        }
    }
}

/// What a row asks. `crate::guards` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Two nodes are out of recovery in one timeline.
    Diverged,
    /// A node is out of recovery, no older than what is known, and enough nodes follow it.
    PrimaryTrusted,
    /// No node that answers is out of recovery, and one does not answer.
    PrimaryMissing,
    /// A node is out of recovery in a newer epoch than the published one.
    NewerPrimary,
    /// The newest question to the primary was not answered, or it is a standby now.
    PrimaryFails,
    /// The primary answered a question that was asked after the suspicion began.
    PrimaryAnswers,
    /// None is published, and a node is out of recovery.
    PrimaryFound,
    /// The operator has ordered a failover, and it is possible.
    OperatorAsks,
    /// The operator has ordered a switchover, and it is possible.
    OperatorSwitches,
    /// Everyone was asked: the primary's vote and a quorum of votes are held.
    Prepared,
    /// The primary has no transaction and a standby has everything; or the time is over and the operator forces it. Its
    /// supervisor answers.
    Drained,
    /// The same, no supervisor answers, and the operator forces it.
    DrainedAlone,
    /// The time for the drain has run out.
    DrainLate,
    /// The primary has stopped.
    PrimaryStopped,
    /// The order to stop could not be given.
    StopRefused,
    /// The time for the stop has run out.
    StopLate,
    /// The evidence says dead, Howdah promotes here, and a quorum can be reached.
    Dead,
    /// Settings of some node are to be changed.
    UpkeepDue,
    /// The next order of the change can be given.
    JobNext,
    /// The change is made or has failed, with a primary published.
    JobOver,
    /// The same, without a primary.
    JobOverInStart,
    /// A vote is someone else's.
    VoteMissed,
    /// A voter was not asked yet, and nothing is under way.
    VoteNext,
    /// Enough votes.
    VotesHeld,
    /// Everyone was asked, and there are too few votes.
    VotesShort,
    /// Votes were held and are lost, nothing irreversible was asked for.
    VotesLost,
    /// A receiver does not stop because replay is paused or in a conflict.
    FenceBlocked,
    /// The receivers of a quorum are gone.
    FenceProven,
    /// Everything was tried and too few receivers are gone.
    FenceFailed,
    /// A fenced node has not replayed all that it has, and there is time left for it.
    ReplayUnfinished,
    /// The positions of a quorum are read, and there is a candidate that has everything.
    Elected,
    /// The same, and the preferred candidate lacks what another has.
    ElectedBehind,
    /// The preferred candidate has received what the furthest has.
    CaughtUp,
    /// It has not, and cannot any more, or not in time.
    CatchUpLate,
    /// The positions are read, and nobody can be promoted.
    ElectFailed,
    /// The elected one has its names, and the others were told where to stream from.
    RepointDone,
    /// The elected one did not take its names.
    NamesFailed,
    /// A quorum of votes was seen to be held since the step began.
    VotesConfirmed,
    /// The elected one is out of recovery.
    OutOfRecovery,
    /// The promotion was certainly not carried out.
    NotPromoted,
    /// The promotion's answer is lost, and it may be asked for again.
    PromotionUnanswered,
    /// The promotion was asked for, and the votes are lost or a newer primary is there.
    PromotionInDoubt,
    /// The elected one was restarted since it was asked, and is a standby.
    ElectedRestarted,
    /// The time for the promotion has run out.
    PromotionLate,
    /// Nothing is under way.
    Idle,
    /// The wait is over.
    BackoffOver,
    /// The operator says: look anew.
    OperatorResumes,
}

/// What a row does. `crate::steps` does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Nothing beyond the change of state.
    Nothing,
    /// Publish the trusted primary and open the gate.
    Adopt,
    /// Begin to suspect: everyone is asked at once.
    Suspect,
    /// Forget the published primary's trust: it must be found again.
    LookAnew,
    /// Begin a failover.
    BeginAttempt,
    /// Begin a switchover: a checkpoint while work goes on.
    BeginSwitchover,
    /// Where the primary has a vote of its own: mark it as one that is left.
    MarkPrimary,
    /// Order the supervisor to stop the primary; from now on everyone is asked often.
    StopPrimary,
    /// The primary is gone: fence every node whose vote is held.
    FenceStopped,
    /// Ask for the next lock.
    LockNext,
    /// Fence every node whose vote is held.
    FenceAll,
    /// Resume replay, end conflicting reads, fence again.
    Remedy,
    /// Read the positions of the fenced.
    ReadPositions,
    /// Resume replay, end conflicting reads, read the position again.
    HelpReplay,
    /// Point the preferred candidate at the furthest.
    StreamFromFurthest,
    /// Fence the preferred candidate again, whatever it has received.
    FenceAgain,
    /// Write the elected one's names and point the others at it.
    RepointOthers,
    /// Check every vote.
    CheckVotes,
    /// Ask for the promotion.
    Promote,
    /// Publish the new epoch, open the gate, clear the marks.
    Publish,
    /// Give the locks back; the failover is over.
    EndAttempt,
    /// The primary goes on: what was gathered for the failover is forgotten.
    Release,
    /// Put everything back where the vote is still held.
    Undo,
    /// Give the locks back and draw a random wait.
    BackOff,
    /// Begin a change of settings.
    BeginJob,
    /// The next order of the change.
    JobStep,
    /// Give the locks back; the change is over.
    EndJob,
    /// The same, and suspect.
    AbandonJob,
    /// Stop.
    Halt,
}

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its name, `state.reason`.
    pub name: &'static str,
    /// In this state,
    pub from: State,
    /// when this holds,
    pub guard: Guard,
    /// go there
    pub to: State,
    /// and do this,
    pub act: Act,
    /// for this reason.
    pub sentence: &'static str,
}

macro_rules! rows {
    ($($name:literal: $from:ident, $guard:ident => $to:ident, $act:ident, $sentence:literal;)+) => {
        &[$(Row { name: $name, from: State::$from, guard: Guard::$guard, to: State::$to, act: Act::$act,
            sentence: $sentence }),+]
    };
}

/// The table.
pub const ROWS: &[Row] = rows! {
    "start.diverged": Start, Diverged => Halted, Halt, "two nodes are out of recovery in one timeline: their histories differ and no program may choose";
    "start.trusted": Start, PrimaryTrusted => Follow, Adopt, "a primary is found and enough nodes follow it or know of no newer epoch";
    "start.upkeep": Start, UpkeepDue => Upkeep, BeginJob, "settings of a node are to be changed before a primary can be trusted";
    "start.missing": Start, PrimaryMissing => Suspect, Suspect, "no node that answers is a primary";

    "follow.diverged": Follow, Diverged => Halted, Halt, "two nodes are out of recovery in one timeline: their histories differ and no program may choose";
    "follow.newer": Follow, NewerPrimary => Start, LookAnew, "a node is in a newer epoch";
    "follow.manual": Follow, OperatorAsks => Vote, BeginAttempt, "the operator has ordered a failover";
    "follow.switchover": Follow, OperatorSwitches => Prepare, BeginSwitchover, "the operator has ordered a switchover: votes are taken while work goes on";
    "follow.suspect": Follow, PrimaryFails => Suspect, Suspect, "the primary does not answer: new work is held";
    "follow.upkeep": Follow, UpkeepDue => Upkeep, BeginJob, "settings of a node are to be changed";

    "upkeep.newer": Upkeep, NewerPrimary => Start, AbandonJob, "a node is in a newer epoch: the change is given up";
    "upkeep.suspect": Upkeep, PrimaryFails => Suspect, AbandonJob, "the primary does not answer: the change is given up and new work is held";
    "upkeep.over": Upkeep, JobOver => Follow, EndJob, "the change is made or given up";
    "upkeep.over_in_start": Upkeep, JobOverInStart => Start, EndJob, "the change is made or given up";
    "upkeep.next": Upkeep, JobNext => Upkeep, JobStep, "the next order of the change";

    "suspect.diverged": Suspect, Diverged => Halted, Halt, "two nodes are out of recovery in one timeline: their histories differ and no program may choose";
    "suspect.newer": Suspect, NewerPrimary => Start, LookAnew, "a node is in a newer epoch";
    "suspect.found": Suspect, PrimaryFound => Start, LookAnew, "a node is out of recovery";
    "suspect.alive": Suspect, PrimaryAnswers => Follow, Release, "a false alarm: the primary answers, and work goes on";
    "suspect.manual": Suspect, OperatorAsks => Vote, BeginAttempt, "the operator has ordered a failover";
    "suspect.dead": Suspect, Dead => Vote, BeginAttempt, "the primary is dead or cut off, and a quorum of its standbys can be reached";

    "prepare.newer": Prepare, NewerPrimary => CallOff, Undo, "a node is in a newer epoch";
    "prepare.fails": Prepare, PrimaryFails => CallOff, Undo, "the primary does not answer: that is for a failover";
    "prepare.missed": Prepare, VoteMissed => CallOff, Undo, "a vote is held by someone else";
    "prepare.next": Prepare, VoteNext => Prepare, LockNext, "the next vote in the order of the node list";
    "prepare.held": Prepare, Prepared => Drain, MarkPrimary, "the votes are held: new work waits while the primary is drained";
    "prepare.short": Prepare, Idle => CallOff, Undo, "too few votes";

    "drain.newer": Drain, NewerPrimary => CallOff, Undo, "a node is in a newer epoch";
    "drain.fails": Drain, PrimaryFails => CallOff, Undo, "the primary does not answer: that is for a failover";
    "drain.lost": Drain, VotesLost => CallOff, Undo, "votes are lost";
    "drain.done": Drain, Drained => Stop, StopPrimary, "the primary is drained: its supervisor is to stop it";
    "drain.alone": Drain, DrainedAlone => Fence, FenceAll, "the primary is drained, nobody can stop it, and the operator forces it";
    "drain.late": Drain, DrainLate => CallOff, Undo, "transactions did not end, or no standby had everything, in time";

    "stop.newer": Stop, NewerPrimary => CallOff, Undo, "a node is in a newer epoch";
    "stop.lost": Stop, VotesLost => CallOff, Undo, "votes are lost";
    "stop.done": Stop, PrimaryStopped => Fence, FenceStopped, "the primary has stopped";
    "stop.refused": Stop, StopRefused => CallOff, Undo, "the order to stop could not be given to the primary";
    "stop.late": Stop, StopLate => CallOff, Undo, "the primary was not stopped in time";

    "vote.alive": Vote, PrimaryAnswers => CallOff, Undo, "the primary answers again";
    "vote.newer": Vote, NewerPrimary => CallOff, Undo, "a node is in a newer epoch";
    "vote.missed": Vote, VoteMissed => CallOff, Undo, "a vote is held by someone else";
    "vote.next": Vote, VoteNext => Vote, LockNext, "the next vote in the order of the node list";
    "vote.held": Vote, VotesHeld => Fence, FenceAll, "a quorum of votes is held";
    "vote.short": Vote, VotesShort => CallOff, Undo, "too few votes";

    "fence.alive": Fence, PrimaryAnswers => CallOff, Undo, "the primary answers again";
    "fence.newer": Fence, NewerPrimary => CallOff, Undo, "a node is in a newer epoch";
    "fence.lost": Fence, VotesLost => CallOff, Undo, "votes are lost";
    "fence.blocked": Fence, FenceBlocked => Fence, Remedy, "a receiver does not stop while replay is paused or in a conflict with a read";
    "fence.proven": Fence, FenceProven => Elect, ReadPositions, "the receivers of a quorum are gone: the old primary can acknowledge nothing more";
    "fence.failed": Fence, FenceFailed => CallOff, Undo, "the receivers of a quorum did not stop in time";

    "elect.alive": Elect, PrimaryAnswers => CallOff, Undo, "the primary answers again";
    "elect.newer": Elect, NewerPrimary => CallOff, Undo, "a node is in a newer epoch";
    "elect.lost": Elect, VotesLost => CallOff, Undo, "votes are lost";
    "elect.replay": Elect, ReplayUnfinished => Elect, HelpReplay, "nobody is judged by what it has not replayed: replay is helped where it is paused or in a conflict with a read, and waited for";
    "elect.behind": Elect, ElectedBehind => CatchUp, StreamFromFurthest, "the preferred candidate lacks what another has: it streams that first";
    "elect.done": Elect, Elected => Repoint, RepointOthers, "the furthest candidate is elected";
    "elect.failed": Elect, ElectFailed => CallOff, Undo, "nobody can be promoted";

    "catch_up.alive": CatchUp, PrimaryAnswers => CallOff, Undo, "the primary answers again";
    "catch_up.newer": CatchUp, NewerPrimary => CallOff, Undo, "a node is in a newer epoch";
    "catch_up.lost": CatchUp, VotesLost => CallOff, Undo, "votes are lost";
    "catch_up.done": CatchUp, CaughtUp => Fence, FenceAgain, "the preferred candidate has what the furthest has: it is fenced again";
    "catch_up.late": CatchUp, CatchUpLate => Fence, FenceAgain, "the preferred candidate has not received what the furthest has in time: it is fenced again";

    "repoint.alive": Repoint, PrimaryAnswers => CallOff, Undo, "the primary answers again";
    "repoint.newer": Repoint, NewerPrimary => CallOff, Undo, "a node is in a newer epoch";
    "repoint.lost": Repoint, VotesLost => CallOff, Undo, "votes are lost";
    "repoint.failed": Repoint, NamesFailed => CallOff, Undo, "the elected node did not take its synchronous names";
    "repoint.done": Repoint, RepointDone => Recheck, CheckVotes, "the others were told to stream from the elected one";

    "recheck.alive": Recheck, PrimaryAnswers => CallOff, Undo, "the primary answers again";
    "recheck.doubt": Recheck, PromotionInDoubt => Doubt, Nothing, "the promotion was asked for, its answer is lost, and so are votes";
    "recheck.newer": Recheck, NewerPrimary => CallOff, Undo, "a node is in a newer epoch";
    "recheck.lost": Recheck, VotesLost => CallOff, Undo, "votes were lost between check and promotion";
    "recheck.done": Recheck, VotesConfirmed => Promote, Promote, "every vote of the quorum is still held";

    "promote.done": Promote, OutOfRecovery => Settle, Publish, "the elected node is out of recovery: the new epoch is published";
    "promote.not_done": Promote, NotPromoted => CallOff, Undo, "the promotion was refused";
    "promote.restarted": Promote, ElectedRestarted => CallOff, Undo, "the elected node was restarted before it was promoted";
    "promote.again": Promote, PromotionUnanswered => Recheck, CheckVotes, "the promotion was not answered: the votes are checked and it is asked for again";
    "promote.late": Promote, PromotionLate => Halted, Halt, "the promotion was asked for and what came of it is not known";

    "doubt.newer": Doubt, NewerPrimary => Start, EndAttempt, "a node is in a newer epoch";
    "doubt.restarted": Doubt, ElectedRestarted => CallOff, Undo, "the elected node was restarted before it was promoted";
    "doubt.late": Doubt, PromotionLate => Halted, Halt, "the promotion was asked for and what came of it is not known";

    "settle.done": Settle, Idle => Follow, EndAttempt, "the failover is over";

    "call_off.done": CallOff, Idle => BackOff, BackOff, "everything that could be reached is put back";

    "back_off.newer": BackOff, NewerPrimary => Start, LookAnew, "a node is in a newer epoch";
    "back_off.alive": BackOff, PrimaryAnswers => Follow, Release, "the primary answers, and work goes on";
    "back_off.over": BackOff, BackoffOver => Suspect, Suspect, "the wait is over: the evidence is gathered anew";

    "halted.newer": Halted, NewerPrimary => Start, EndAttempt, "a node is in a newer epoch";
    "halted.restarted": Halted, ElectedRestarted => CallOff, Undo, "the elected node was restarted before it was promoted";
    "halted.resume": Halted, OperatorResumes => Start, EndAttempt, "the operator says: look anew";
};
