//! The calls of the control side: logins, time, and what an operator does.

use super::{At, Conn, Error, Token, World};
use howdah_pool::{CloseReason, FailureKind, LoginId, PoolId, PoolSettings, ServerId, Time};
use std::time::Duration;

impl World {
    // ---- logins ----

    pub(crate) fn login_of(&self, pool: PoolId) -> Option<LoginId> {
        self.model.get(&pool)?.login
    }

    pub(crate) fn login_ok(&mut self, pool: PoolId) {
        self.login_ok_unpolled(pool);
        self.done();
    }

    pub(crate) fn login_ok_unpolled(&mut self, pool: PoolId) {
        let login = self.pool(pool).login.take().expect("a login in flight");
        let conn = self.next_conn;
        self.next_conn += 1;
        let server = self.servers.get_mut(&login.server()).expect("a server");
        (server.at, server.conn) = (At::Transit, Some(conn));
        let p = self.pool(pool);
        (p.retry_at, p.refused) = (Time::ZERO, false);
        self.pools.login_succeeded(self.now, login, Conn(conn));
    }

    pub(crate) fn login_fails(&mut self, pool: PoolId, error: Error, kind: FailureKind) {
        self.login_fails_unpolled(pool, error, kind);
        self.done();
    }

    pub(crate) fn login_fails_unpolled(&mut self, pool: PoolId, error: Error, kind: FailureKind) {
        let login = self.pool(pool).login.take().expect("a login in flight");
        let server = self.servers.remove(&login.server()).expect("a server");
        let now = self.now;
        if !server.stale && kind != FailureKind::Aborted {
            let p = self.pool(pool);
            p.retry_at = now.after(p.settings.login_retry);
            p.refused = kind == FailureKind::Refused;
        }
        self.pools.login_failed(now, login, error, kind);
    }

    /// Answers all logins that are or come in flight with success.
    pub(crate) fn all_logins_ok(&mut self) {
        while let Some(pool) = self.model.iter().find(|(_, p)| p.login.is_some()).map(|(id, _)| *id) {
            self.login_ok(pool);
        }
    }

    // ---- time and the operator ----

    /// Lets time pass and runs a round of maintenance.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
        self.pools.maintain(self.now);
        self.done();
        let now = self.now;
        for (id, p) in &self.model {
            let timeout = p.settings.server_idle_timeout;
            let connected = self.count(*id, |s| s.at != At::Login);
            let over = |server: &&ServerId| now.since(self.servers[*server].since) > timeout;
            if timeout > Duration::ZERO && connected > p.settings.min_size as usize {
                assert_eq!(p.idle.iter().find(over), None, "idle for too long");
            }
            let limit = p.settings.query_wait_timeout;
            if limit > Duration::ZERO {
                assert!(
                    p.queue.front().is_none_or(|queued| now.since(queued.since) <= limit),
                    "waits for too long"
                );
            }
        }
    }

    pub(crate) fn pause(&mut self, pool: PoolId) {
        let was = std::mem::replace(&mut self.pool(pool).paused, true);
        assert_eq!(self.pools.pause(self.now, pool), !was);
        self.done();
        assert!(self.pool(pool).idle.is_empty(), "PAUSE closes idle servers");
    }

    pub(crate) fn resume(&mut self, pool: PoolId) {
        let was = std::mem::replace(&mut self.pool(pool).paused, false);
        assert_eq!(self.pools.resume(self.now, pool), was);
        self.done();
    }

    pub(crate) fn hold(&mut self, pool: PoolId) {
        self.pool(pool).held = true;
        self.pools.hold(pool);
        self.done();
    }

    pub(crate) fn release(&mut self, pool: PoolId) {
        self.pool(pool).held = false;
        self.pools.release(self.now, pool);
        self.done();
    }

    fn all_stale(&mut self, pool: PoolId) {
        for server in self.servers.values_mut().filter(|s| s.pool == pool) {
            server.stale = true;
        }
        let p = self.pool(pool);
        (p.retry_at, p.refused) = (Time::ZERO, false);
    }

    pub(crate) fn invalidate(&mut self, pool: PoolId, reason: CloseReason) {
        self.invalidate_unpolled(pool, reason);
        self.done();
        assert!(self.pool(pool).idle.is_empty(), "the idle ones were stale");
    }

    pub(crate) fn invalidate_unpolled(&mut self, pool: PoolId, reason: CloseReason) {
        self.all_stale(pool);
        self.pools.invalidate(self.now, pool, reason);
    }

    pub(crate) fn fence(&mut self, pool: PoolId, until: u64) {
        self.all_stale(pool);
        let p = self.pool(pool);
        p.fenced = p.fenced.max(Some(until));
        self.pools.fence(self.now, pool, until);
        self.done();
    }

    pub(crate) fn unfence(&mut self, pool: PoolId, epoch: u64) -> bool {
        let p = self.pool(pool);
        p.fenced = p.fenced.filter(|until| epoch < *until);
        let open = p.fenced.is_none();
        assert_eq!(self.pools.unfence(self.now, pool, epoch), open);
        self.done();
        open
    }

    pub(crate) fn kill(&mut self, pool: PoolId, reason: CloseReason) -> Vec<Token> {
        self.all_stale(pool);
        let p = self.pool(pool);
        p.paused = true;
        let waited: Vec<Token> = p.queue.drain(..).map(|queued| queued.token).collect();
        assert_eq!(self.pools.kill(self.now, pool, reason), waited);
        self.done();
        waited
    }

    pub(crate) fn set_settings(&mut self, pool: PoolId, settings: PoolSettings) {
        self.pool(pool).settings = settings.clone();
        self.pools.set_settings(self.now, pool, settings);
        self.done();
    }

    pub(crate) fn set_group_limit(&mut self, group: usize, limit: u32) {
        self.groups[group].1 = limit;
        self.pools.set_group_limit(self.now, self.groups[group].0, limit);
        self.done();
    }

    pub(crate) fn set_attended(&mut self, pool: PoolId, attended: bool) {
        self.pool(pool).attended = attended;
        self.pools.set_attended(pool, attended);
    }

    pub(crate) fn remove_pool(&mut self, pool: PoolId) {
        for server in self.servers.values_mut().filter(|s| s.pool == pool) {
            server.stale = true;
        }
        self.pool(pool).removed = true;
        self.pools.remove_pool(self.now, pool);
        self.done();
        assert!(self.pool(pool).queue.is_empty() && self.pool(pool).idle.is_empty());
    }
}
