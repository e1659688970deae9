//! Asks Patroni, where it manages the cluster that Howdah follows: a hint that wakes the probes, and the tags of the
//! nodes (`noloadbalance`, `nofailover`), which nobody else knows.
//!
//! Any Patroni answers for the whole cluster (`GET /cluster`), so one is asked at a time: the one that answered last, and
//! the next of the list when it does not. That none answers costs nothing but the hint: who is primary is read from the
//! servers (`howdah_failover::advice`). Read next: `patroni/http.rs` and `patroni/members.rs`.

mod http;
pub(crate) mod members;

use std::sync::Arc;
use std::time::Duration;

use howdah_failover::{Advice, Event};
use howdah_topology::{Gate, Mode};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::config::{ControllerConfig, NodeConfig, RestAddress};
use crate::handle::Shared;

/// Between two questions while all is well; Patroni reads its store for each.
const CALM: Duration = Duration::from_secs(1);

/// A Patroni answers within this, or the next one is asked.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// What it says of each node, in the order of the nodes.
type Said = Vec<Option<Advice>>;

/// The addresses that are asked: only where someone else promotes is there a manager.
fn asked(settings: &ControllerConfig) -> Vec<RestAddress> {
    if settings.mode == Mode::Follow { settings.patroni.clone() } else { Vec::new() }
}

/// The task that asks.
pub(crate) struct Patroni {
    cluster: String,
    nodes: Vec<NodeConfig>,
    shared: Arc<Shared>,
    events: mpsc::Sender<Event>,
    /// Between two questions while work is held.
    hurried: Duration,
    /// The place in the list of the one that answered last.
    last: usize,
    /// What was said last.
    said: Said,
    /// What the log was told last, so that it is told once.
    logged: Option<String>,
}

impl Patroni {
    pub(crate) fn new(config: &ControllerConfig, shared: Arc<Shared>, events: mpsc::Sender<Event>) -> Self {
        Self {
            cluster: config.cluster.clone(),
            nodes: config.nodes.clone(),
            shared,
            events,
            hurried: config.probe_interval,
            last: 0,
            said: Vec::new(),
            logged: None,
        }
    }

    /// Asks until the controller ends.
    pub(crate) async fn run(mut self) {
        let mut settings = self.shared.settings.subscribe();
        let mut news = self.shared.version.subscribe();
        loop {
            let asked = asked(&settings.borrow_and_update());
            if asked.is_empty() {
                self.nobody().await;
                // An error means that the controller is gone.
                if settings.changed().await.is_err() {
                    return;
                }
                continue;
            }
            let begun = Instant::now();
            self.round(&asked).await;
            tokio::select! {
                changed = settings.changed() => if changed.is_err() { return },
                () = self.rest(begun, &mut news) => {}
            }
        }
    }

    /// Waits for the next question: a while, or a short while from when work is held.
    async fn rest(&self, begun: Instant, news: &mut watch::Receiver<u64>) {
        loop {
            news.borrow_and_update();
            let held = self.shared.topology.load().gate != Gate::Open;
            let next = begun + if held { self.hurried } else { CALM };
            tokio::select! {
                () = sleep_until(next) => return,
                changed = news.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Asks one after the other until one answers.
    async fn round(&mut self, addresses: &[RestAddress]) {
        let mut failures = Vec::new();
        for step in 0..addresses.len() {
            let at = (self.last + step) % addresses.len();
            let address = &addresses[at];
            match self.ask(address).await {
                Ok(said) => {
                    self.last = at;
                    self.log_answer(&said);
                    self.said.clone_from(&said);
                    return self.tell(said).await;
                }
                Err(why) => failures.push(format!("{address}: {why}")),
            }
        }
        self.log(Some(format!(
            "Patroni does not answer, the nodes alone are asked ({})",
            failures.join("; ")
        )));
        let tags = self.said.iter().map(|advice| advice.map(Advice::tags)).collect();
        self.tell(tags).await;
    }

    async fn ask(&self, address: &RestAddress) -> Result<Said, String> {
        let limit = ANSWER_LIMIT;
        let answer = tokio::time::timeout(limit, http::get(address, "/cluster"));
        let body = answer.await.map_err(|_| format!("no answer within {limit:?}"))?;
        members::read(&body.map_err(|e| e.to_string())?, &self.nodes).map_err(|e| e.to_string())
    }

    /// There is no Patroni, or none any more.
    async fn nobody(&mut self) {
        self.logged = None;
        self.last = 0;
        if !std::mem::take(&mut self.said).is_empty() {
            self.tell(Vec::new()).await;
        }
    }

    async fn tell(&self, advice: Said) {
        // The receiver is gone only when the controller is.
        let _ = self.events.send(Event::Advised { advice }).await;
    }

    fn log_answer(&mut self, said: &Said) {
        let strange = said.iter().all(Option::is_none);
        let why = "Patroni answers, and none of its members is a node of this cluster, by address or by name";
        self.log(strange.then(|| why.to_owned()));
    }

    /// Tells the log what is wrong, or that nothing is any more, once.
    fn log(&mut self, wrong: Option<String>) {
        if self.logged == wrong {
            return;
        }
        match &wrong {
            Some(why) => tracing::warn!(cluster = %self.cluster, "{why}"),
            None => tracing::info!(cluster = %self.cluster, "Patroni answers"),
        }
        self.logged = wrong;
    }
}
