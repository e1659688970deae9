//! What an operator does to the pooler as a whole: PAUSE, RESUME, RELOAD, SHUTDOWN. Each has taken effect on all
//! threads when it answers (PGBOUNCER_BEHAVIOUR.md section 16, point 6).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use howdah_admin::ActionError;
use howdah_config::{Diagnostic, Severity};
use howdah_pool::PoolId;

use crate::directory::missing_cluster;
use crate::entry::Entry;
use crate::pooler::{Pooler, Stage};
use crate::pools::WaitError;

/// Between two looks at whether the servers are released (time); what releases them is a client's own task.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The entry of this name, for a command that needs it to be there already (RESUME, ENABLE).
pub(super) fn find(pooler: &Pooler, name: &str) -> Result<Arc<Entry>, ActionError> {
    pooler.entry(name).ok_or_else(|| ActionError::NoSuchDatabase(name.to_owned()))
}

/// The entry of this name, made from `*` if need be, for the other commands.
pub(super) fn find_or_make(pooler: &Arc<Pooler>, name: &str) -> Result<Arc<Entry>, ActionError> {
    pooler.find_entry(name).ok_or_else(|| ActionError::NoSuchDatabase(name.to_owned()))
}

/// Waits for a condition of the account.
pub(crate) async fn wait_until(pooler: &Arc<Pooler>, done: impl Fn(&Arc<Pooler>) -> bool) {
    while !done(pooler) {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// The pools of an entry, or all of them.
pub(crate) fn pools_of(pooler: &Arc<Pooler>, entry: Option<&Entry>) -> Vec<PoolId> {
    pooler.account(|account, _| match entry {
        Some(entry) => account.pools_in(entry.group).to_vec(),
        None => account.pools().map(|(pool, _)| pool).collect(),
    })
}

/// PAUSE: new work waits; ready when every server is released. An entry may be paused twice, the whole not.
pub(crate) async fn pause(pooler: &Arc<Pooler>, database: Option<&str>) -> Result<(), ActionError> {
    if pooler.stage() > Stage::Running {
        return Err(ActionError::ShuttingDown);
    }
    let entry = database.map(|name| find_or_make(pooler, name)).transpose()?;
    let held = pooler.is_suspended() || pooler.paused.load(Ordering::SeqCst);
    if held {
        return Err(ActionError::AlreadyPaused);
    }
    entry.as_ref().map_or(&pooler.paused, |entry| &entry.paused).store(true, Ordering::SeqCst);
    let pools = pools_of(pooler, entry.as_deref());
    pooler.account(|account, now| {
        for pool in &pools {
            account.pause(now, *pool);
        }
    });
    until_drained(pooler, entry.as_deref()).await;
    Ok(())
}

/// Waits until no server is in use or logs in.
async fn until_drained(pooler: &Arc<Pooler>, entry: Option<&Entry>) {
    wait_until(pooler, |pooler| is_drained(pooler, entry)).await;
}

/// Whether no server of an entry, or of any, is in use or logs in.
pub(crate) fn is_drained(pooler: &Arc<Pooler>, entry: Option<&Entry>) -> bool {
    let pools = pools_of(pooler, entry);
    pooler.account(|account, _| pools.iter().all(|pool| account.is_drained(*pool)))
}

/// RESUME.
pub(crate) fn resume(pooler: &Arc<Pooler>, database: Option<&str>) -> Result<(), ActionError> {
    if pooler.stage() > Stage::Running {
        return Err(ActionError::ShuttingDown);
    }
    if database.is_none() && super::suspend::end(pooler) {
        return Ok(());
    }
    let entry = database.map(|name| find(pooler, name)).transpose()?;
    let flag = entry.as_ref().map_or(&pooler.paused, |entry| &entry.paused);
    if !flag.swap(false, Ordering::SeqCst) {
        return Err(match database {
            Some(name) => ActionError::DatabaseNotPaused(name.to_owned()),
            None => ActionError::NotPaused,
        });
    }
    let own: Vec<Arc<Entry>> = match &entry {
        Some(_) => Vec::new(),
        None => pooler.entries.lock().values().filter(|e| e.paused.load(Ordering::SeqCst)).cloned().collect(),
    };
    if entry.is_some() && pooler.paused.load(Ordering::SeqCst) {
        // The PAUSE of everything holds it still.
        return Ok(());
    }
    let pools = pools_of(pooler, entry.as_deref());
    pooler.account(|account, now| {
        for pool in pools {
            let still = own.iter().any(|entry| account.pools_in(entry.group).contains(&pool));
            if !still {
                account.resume(now, pool);
            }
        }
    });
    Ok(())
}

/// SHUTDOWN WAIT_FOR_SERVERS: those who wait for a server are let go, and no other is given out.
pub(crate) fn wait_for_servers(pooler: &Arc<Pooler>) {
    pooler.enter(Stage::WaitForServers);
    pooler.turn_away(|_| true, &WaitError::ShuttingDown);
}

impl Pooler {
    /// RELOAD: reads the file again; a sentence for everything that needs a restart, which the log has as well.
    ///
    /// # Errors
    /// There is no file, or it has mistakes, one a line; the old settings stay then.
    pub(crate) fn reload_file(self: &Arc<Self>) -> Result<Vec<String>, String> {
        let file = self.config.load().settings.conffile.clone().or_else(|| self.config_file.clone());
        let Some(file) = file else { return Err("there is no configuration file".to_owned()) };
        let loaded = howdah_config::load(&file).map_err(|mistakes| {
            mistakes.iter().flat_map(Diagnostic::log_lines).collect::<Vec<_>>().join("\n")
        })?;
        let runs = |name: &str| self.clusters.contains_key(name);
        if let Some((database, cluster)) = missing_cluster(&loaded.config, runs) {
            return Err(format!("database {}: cluster {cluster} is new: it needs a restart", database.name));
        }
        if let Some(sentence) = crate::pam::is_missing(&loaded.config) {
            return Err(sentence.to_owned());
        }
        for warning in loaded.notes.iter().filter(|note| note.severity <= Severity::Warning) {
            tracing::warn!("{warning}");
        }
        let kept = self.apply(loaded.config);
        // What else the file says is in force all the same, as with PgBouncer.
        self.reload_tls()?;
        Ok(kept)
    }
}
