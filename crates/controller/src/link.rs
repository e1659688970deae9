//! One node as the controller reaches it: where, with which sessions, and what is remembered of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod,
    Runtime, Timeouts,
};
use futures_util::FutureExt as _;
use howdah_failover::{ActionError, Order};
use howdah_topology::{Mode, NodeId};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::ask::Second;
use crate::config::{ControllerConfig, NodeConfig};
use crate::connect::{ReportSender, Target};
use crate::questions::PREPARE_SQL;
use crate::sample::Memory;

/// Sessions that the pool of a node opens at most: one for what an action waits for, one for freshness, and one
/// for a repeated action while the first hangs.
const SECOND_SESSIONS: usize = 3;

/// Orders that may wait for the control session; the machine has few at a time on one node.
pub(crate) const ORDERS_WAITING: usize = 64;

/// An order and the moment at which its answer is lost.
pub(crate) struct Timed {
    pub(crate) order: Order,
    pub(crate) deadline: Instant,
}

/// One node.
pub(crate) struct NodeLink {
    pub(crate) id: NodeId,
    pub(crate) config: NodeConfig,
    pub(crate) target: Target,
    pub(crate) control: mpsc::Sender<Timed>,
    pool: Pool,
    /// Whether it is looked at what `manage` demands.
    managed: AtomicBool,
    memory: Mutex<Memory>,
    /// When it was made.
    pub(crate) since: Instant,
}

impl NodeLink {
    /// The link, and the orders that its control session is to carry out.
    pub(crate) fn new(
        settings: &ControllerConfig,
        id: NodeId,
        config: NodeConfig,
        reports: ReportSender,
    ) -> Result<(Self, mpsc::Receiver<Timed>), deadpool_postgres::BuildError> {
        let target = Target::new(settings, id, &config, reports);
        let second = target.in_database(&settings.dbname);
        let manager = Manager::from_connect(
            second.config.clone(),
            second,
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let prepare = Hook::async_fn(|client: &mut ClientWrapper, _| {
            async move { client.batch_execute(&PREPARE_SQL).await.map_err(HookError::Backend) }.boxed()
        });
        let pool = Pool::builder(manager)
            .max_size(SECOND_SESSIONS)
            .runtime(Runtime::Tokio1)
            .post_create(prepare)
            .build()?;
        let (control, orders) = mpsc::channel(ORDERS_WAITING);
        let (memory, since) = (Mutex::default(), Instant::now());
        let managed = AtomicBool::new(settings.mode == Mode::Manage);
        Ok((Self { id, config, target, control, pool, managed, memory, since }, orders))
    }

    /// What is remembered of the node.
    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is looked at what `manage` demands.
    pub(crate) fn is_managed(&self) -> bool {
        self.managed.load(Ordering::Relaxed)
    }

    /// Takes over what of the settings is used here and may change while it runs.
    pub(crate) fn take_over(&self, settings: &ControllerConfig) {
        self.target.set_limit(settings.probe_timeout);
        self.managed.store(settings.mode == Mode::Manage, Ordering::Relaxed);
    }

    /// Never behind another: whoever finds no session asks again.
    async fn lend(&self) -> Result<Object, ActionError> {
        let limit = self.target.limit();
        let timeouts = Timeouts { wait: Some(Duration::ZERO), create: Some(limit), recycle: Some(limit) };
        // The pool's own limits do not hold for the hook that prepares the questions.
        match tokio::time::timeout(limit, self.pool.timeout_get(&timeouts)).await {
            Ok(Ok(lent)) => Ok(lent),
            Ok(Err(PoolError::Backend(e) | PoolError::PostCreateHook(HookError::Backend(e)))) => {
                Err(ActionError::Refused(e.to_string()))
            }
            Ok(Err(_)) | Err(_) => Err(ActionError::Unanswered),
        }
    }

    /// A session beside the control session.
    pub(crate) async fn second(&self) -> Result<Second, ActionError> {
        self.lend().await.map(Second::new)
    }

    /// Opens the pool's first session before it is needed, so that no action waits for a login.
    pub(crate) async fn warm(&self) {
        drop(self.lend().await);
    }
}
