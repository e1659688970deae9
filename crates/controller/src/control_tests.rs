//! The control session as the machine sees it: nothing is changed without the vote of the very session.

use std::sync::Arc;
use std::time::Duration;

use howdah_failover::{Action, ActionError, ActionId, Done, Event, Order, Path, ProbeFailure};
use howdah_testkit::{Cluster, DEFAULT_DEADLINE};
use howdah_topology::{Mode, NodeId};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::config::{ControllerConfig, NodeConfig};
use crate::control::Control;
use crate::link::{NodeLink, Timed};

/// A control session of one node, and orders to it.
struct Orders {
    link: Arc<NodeLink>,
    events: mpsc::Receiver<Event>,
    next: u64,
}

impl Orders {
    fn of(node: &howdah_testkit::Node) -> Self {
        let at = NodeConfig::new(node.name(), &node.host(), node.port());
        let mut config = ControllerConfig::new("main", vec![at.clone()], "postgres");
        config.mode = Mode::Manage;
        let (reports, _) = mpsc::channel(8);
        let (link, orders) = NodeLink::new(&config, NodeId(0), at, reports).unwrap();
        let link = Arc::new(link);
        let (sender, events) = mpsc::channel(8);
        let control = Control::new(Arc::clone(&link), [Arc::clone(&link)].into(), Clock::new(), sender);
        tokio::spawn(control.run(orders));
        Self { link, events, next: 0 }
    }

    async fn give(&mut self, action: Action) -> Event {
        self.next += 1;
        let within = Duration::from_secs(10);
        let order = Order { id: ActionId(self.next), node: NodeId(0), action, within };
        let timed = Timed { order, deadline: Instant::now() + within };
        assert!(self.link.control.try_send(timed).is_ok());
        tokio::time::timeout(DEFAULT_DEADLINE, self.events.recv()).await.unwrap().unwrap()
    }

    async fn act(&mut self, action: Action) -> Result<Done, ActionError> {
        match self.give(action).await {
            Event::ActionDone { id, result } => {
                assert_eq!(id, ActionId(self.next));
                result
            }
            other => panic!("{other:?}"),
        }
    }

    async fn probe(&mut self) -> Option<ProbeFailure> {
        match self.give(Action::Probe { path: Path::Standing }).await {
            Event::ProbeAnswered { .. } => None,
            Event::ProbeFailed { failure, .. } => Some(failure),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn nothing_is_changed_but_through_the_session_that_votes() {
    let cluster = Cluster::builder().replicas(0).start().await.unwrap();
    let node = cluster.node(0);
    let mut orders = Orders::of(node);
    let lost = Err(ActionError::SessionLost);
    assert_eq!(orders.act(Action::Lock).await, lost, "an order opens no session");
    assert_eq!(orders.probe().await, None);
    assert_eq!(orders.act(Action::Tune { on: true }).await, lost, "without a vote");
    assert!(matches!(orders.act(Action::Lock).await, Ok(Done::Locked { granted: true, .. })));
    assert_eq!(orders.act(Action::Tune { on: true }).await, Ok(Done::Written));

    // The session ends behind our back; the next probe tells it once, the one after opens another.
    let end = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'";
    assert_eq!(node.value(end).await.unwrap(), "t");
    let told = orders.probe().await;
    assert!(matches!(told, Some(ProbeFailure::StartingOrStopping | ProbeFailure::Eof)), "{told:?}");
    assert_eq!(orders.probe().await, None);
    assert_eq!(orders.act(Action::CheckVote).await, lost);
    assert_eq!(orders.act(Action::Tune { on: false }).await, lost);
    assert_eq!(node.value("SHOW wal_receiver_timeout").await.unwrap(), "1s", "it was changed all the same");
    assert!(matches!(orders.act(Action::Lock).await, Ok(Done::Locked { granted: true, .. })));
    assert_eq!(orders.act(Action::CheckVote).await, Ok(Done::Vote(true)));
    assert_eq!(orders.act(Action::Unlock).await, Ok(Done::Written));
    assert_eq!(orders.act(Action::Promote).await, lost);
}

/// `idle_session_timeout` is the lease: a pooler that asks nothing for three seconds has lost its vote.
#[tokio::test]
async fn a_silent_pooler_loses_its_vote() {
    let cluster = Cluster::builder().replicas(0).start().await.unwrap();
    let node = cluster.node(0);
    let mut orders = Orders::of(node);
    assert_eq!(orders.probe().await, None);
    assert!(matches!(orders.act(Action::Lock).await, Ok(Done::Locked { granted: true, .. })));
    let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
    assert_eq!(node.value(held).await.unwrap(), "1");
    howdah_testkit::wait_until("the vote to be free", DEFAULT_DEADLINE, || async {
        node.value(held).await.unwrap() == "0"
    })
    .await
    .unwrap();
    assert_eq!(orders.act(Action::CheckVote).await, Err(ActionError::SessionLost));
}

/// The key is Howdah's: another's session that holds it is a mistake, and is ended; another Howdah is waited for.
#[tokio::test]
async fn a_foreign_holder_of_the_vote_is_ended() {
    let cluster =
        Cluster::builder().replicas(0).setting("max_prepared_transactions", "1").start().await.unwrap();
    let node = cluster.node(0);
    let mut orders = Orders::of(node);
    assert_eq!(orders.probe().await, None);
    let lock = "SELECT pg_advisory_lock(4810324, 1)";
    let foreign = node.connect().await.unwrap();
    foreign.batch_execute(lock).await.unwrap();
    let granted = orders.act(Action::Lock).await;
    assert!(matches!(granted, Ok(Done::Locked { granted: true, foreign: None, .. })), "{granted:?}");
    assert!(foreign.batch_execute("SELECT 1").await.is_err(), "its session was ended");

    assert_eq!(orders.act(Action::Unlock).await, Ok(Done::Written));
    let named = format!("{} application_name=howdah", node.conninfo("postgres"));
    let howdah = node.connect_with(&named).await.unwrap();
    howdah.batch_execute(lock).await.unwrap();
    let missed = orders.act(Action::Lock).await;
    assert!(matches!(missed, Ok(Done::Locked { granted: false, foreign: None, .. })), "{missed:?}");
    howdah.batch_execute("SELECT pg_advisory_unlock_all()").await.unwrap();

    let prepare = "BEGIN; SELECT pg_advisory_xact_lock(4810324, 1); PREPARE TRANSACTION 'kept'";
    howdah.batch_execute(prepare).await.unwrap();
    let Ok(Done::Locked { granted: false, foreign: Some(who), .. }) = orders.act(Action::Lock).await else {
        panic!("a prepared transaction has no session that could be ended");
    };
    assert!(who.contains("a prepared transaction"), "{who}");
}
