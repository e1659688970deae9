//! The round of a logged-in client: idle, a server for its next request, linked, and back.

use std::future::poll_fn;
use std::io;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use howdah_failover::Report;
use howdah_session::{Plan, PoolMode};

use super::buffers;
use super::end::End;
use super::info::{Order, Phase};
use super::linked::Leave;
use super::stream::{flush, write_or_keep};
use super::{Client, acquire::Link};
use crate::directory::{routing, session_options};

/// How long a client is given to take the reason of its end (time).
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Length of Terminate (bytes).
const TERMINATE_SIZE: u64 = 5;

impl Client {
    /// Serves the client until it is gone. Boxed, since an argument of a future is kept twice.
    pub(crate) async fn serve(mut self: Box<Self>) {
        let end = self.rounds().await;
        // The end is rare: it takes no room in the task of every client.
        Box::pin(self.finish(&end)).await;
    }

    /// Ends a client that was not let in after all.
    pub(super) async fn serve_end(mut self, end: &End) {
        self.finish(end).await;
    }

    async fn rounds(&mut self) -> End {
        loop {
            let round = match poll_fn(|cx| self.poll_idle(cx)).await {
                Ok(plan) => self.round(plan).await,
                Err(end) => Err(end),
            };
            if let Err(end) = round {
                return end;
            }
        }
    }

    async fn round(&mut self, plan: Plan) -> Result<(), End> {
        self.asked = self.pooler.clock.now();
        let mut link = match self.acquire_now(plan) {
            Ok(link) => link,
            // The way with waits in it is rare and its future large.
            Err(begun) => match Box::pin(self.acquire(plan, begun)).await? {
                Some(link) => link,
                None => return Ok(()),
            },
        };
        self.begin(&mut link);
        self.relay(link).await
    }

    /// Goes on with a server that another process has begun with.
    pub(super) async fn go_on(mut self: Box<Self>, link: Link) {
        match Box::pin(self.relay(link)).await {
            Ok(()) => self.serve().await,
            Err(end) => Box::pin(self.finish(&end)).await,
        }
    }

    /// A server and its client until they part.
    async fn relay(&mut self, mut link: Link) -> Result<(), End> {
        let leave = poll_fn(|cx| self.poll_linked(cx, &mut link)).await;
        let reign = link.reign;
        self.leave(link, leave)?;
        match self.session.doubt() {
            Some(xid) => Box::pin(self.resolve(xid, reign)).await,
            None => Ok(()),
        }
    }

    /// Reads until there is something that needs a server; says what it needs.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Result<Plan, End>> {
        loop {
            match self.info.poll_order(cx.waker()) {
                Some(Order::Close(reason)) => return Poll::Ready(Err(End::refused(reason))),
                Some(Order::Park) => {
                    self.park(cx, None);
                    return Poll::Pending;
                }
                Some(Order::ServerLost) | None => {}
            }
            if !self.output.is_empty() {
                let stream = &mut self.stream;
                match flush(&mut self.output, |bytes| stream.poll_write(cx, bytes)) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(Err(End::UnexpectedEof)),
                    Poll::Pending => return Poll::Pending,
                }
            }
            match self.take_in() {
                Ok(Plan::NeedMore) => {}
                Ok(Plan::Ignore { .. }) => continue,
                Ok(Plan::Terminate) => return Poll::Ready(Err(End::CloseRequest)),
                Ok(plan) => return Poll::Ready(Ok(plan)),
                Err(end) => return Poll::Ready(Err(end)),
            }
            match self.poll_fill(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(end)) => return Poll::Ready(Err(end)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Reads what the client has sent into `input`.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        let (stream, input) = (&mut self.stream, &mut self.input);
        let read = buffers::with(|buffers| {
            let read = stream.poll_read(cx, &mut buffers.read);
            if let Poll::Ready(Ok(bytes)) = read {
                input.extend_from_slice(&buffers.read[..bytes]);
            }
            read
        });
        match read {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Err(End::UnexpectedEof)),
            Poll::Ready(Ok(bytes)) => {
                self.entry.counters.received.add(bytes as u64);
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Takes over settings that have changed.
    pub(super) fn refresh(&mut self) {
        let generation = self.pooler.generation.load(Ordering::Acquire);
        if generation == self.generation {
            return;
        }
        self.generation = generation;
        let (config, database) = (self.pooler.config.load_full(), self.entry.database());
        let options = session_options(&config, &database, &self.user);
        self.session.set_options(self.pooler.options.share(options.into()));
        if let Some((mode, policy)) = routing(&config, &database, &self.user) {
            let last_write = self.pooler.last_write(&self.entry.name, &database, &policy);
            self.session.set_routing(mode, policy);
            self.session.set_database(last_write);
        }
    }

    /// Writes to the client, as much as it takes; the rest waits in `output`.
    pub(super) fn send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> io::Result<()> {
        self.entry.counters.sent.add(bytes.len() as u64);
        let stream = &mut self.stream;
        write_or_keep(&mut self.output, bytes, |bytes| stream.poll_write(cx, bytes))
    }

    /// The server goes back, or goes.
    fn leave(&mut self, mut link: Link, leave: Leave) -> Result<(), End> {
        let now = self.pooler.clock.now();
        *self.info.link.lock() = None;
        self.info
            .prepared
            .store(u32::try_from(self.session.prepared_statements()).unwrap_or(u32::MAX), Ordering::Relaxed);
        self.info.transaction(None);
        self.info.wait_at_gate(None);
        self.info.unprotected.store(self.session.is_unprotected(&link.lease.conn().side), Ordering::Relaxed);
        self.cut_short = link.lease.conn().side.is_mid_answer();
        let outcome = match leave {
            Leave::Idle => {
                self.release(link);
                Ok(())
            }
            Leave::Retry => {
                self.run_again(&mut link);
                self.release(link);
                Ok(())
            }
            Leave::ServerLost(reason) => self.server_lost(link, &reason),
            Leave::End(end) => {
                if link.phase == Phase::IdleInTransaction {
                    // One that its client leaves open has ended all the same.
                    self.entry.counters.transactions.add(1);
                    self.entry.counters.transaction_time.add(now.0.saturating_sub(self.began.0));
                }
                self.release_after(link, end.server_reason());
                Err(end)
            }
        };
        self.info.enter(Phase::Idle, now);
        outcome
    }

    /// What the client had sent goes to the front of its input again.
    fn run_again(&mut self, link: &mut Link) {
        let mut bytes = link.lease.conn().side.take_retry();
        bytes.append(&mut self.input);
        self.input = bytes;
        self.session.refused_by_replica();
    }

    fn server_lost(&mut self, mut link: Link, reason: &str) -> Result<(), End> {
        if self.entry.cluster.is_none() {
            link.lease.discard(reason, false);
            return Err(End::refused("server conn crashed?"));
        }
        let conn = link.lease.conn();
        if let Some(node) = conn.info.node.filter(|_| !conn.side.is_replica()) {
            self.session.lost_primary(node, self.pooler.clock.now());
        }
        self.entry.report(conn.info.node, Report::Eof);
        let lost = self.session.server_lost(&mut conn.side, &mut self.output);
        if lost == howdah_session::Lost::Retry {
            self.run_again(&mut link);
        }
        link.lease.discard(reason, false);
        match lost {
            howdah_session::Lost::Broken => Err(End::refused("server conn crashed?")),
            _ => Ok(()),
        }
    }

    fn release(&mut self, link: Link) {
        self.release_after(link, super::end::SERVER_NOT_READY);
    }

    /// A server that nobody is waiting for an answer of goes back to its pool, after a reset if it needs one; any other
    /// is closed for this reason.
    fn release_after(&mut self, mut link: Link, unready: &str) {
        let is_session = self.session.pool_mode() == PoolMode::Session;
        let mid_frame = self.session.is_mid_frame();
        let conn = link.lease.conn();
        conn.info.release();
        if let Some(cluster) = &self.entry.cluster
            && !conn.side.is_replica()
        {
            cluster.handle.note_write();
        }
        let prepared = u32::try_from(conn.side.prepared_statements()).unwrap_or(u32::MAX);
        conn.info.prepared.store(prepared, Ordering::Relaxed);
        if !conn.side.is_clean() || mid_frame || !conn.input.is_empty() || !conn.output.is_empty() {
            return link.lease.discard(unready, false);
        }
        let settings = &self.pooler.config.load().settings;
        let reset = (is_session || settings.server_reset_query_always)
            .then(|| settings.server_reset_query.clone())
            .filter(|query| !query.is_empty());
        if reset.is_none() && !conn.info.is_being_canceled() {
            return link.lease.give_back();
        }
        link.lease.begin_test();
        tokio::spawn(crate::maintain::recover(link.lease, reset));
    }

    /// Tells the client, writes the log, and leaves the books.
    async fn finish(&mut self, end: &End) {
        let pooler = std::sync::Arc::clone(&self.pooler);
        if *end == End::CloseRequest {
            // PgBouncer forwards no Terminate and counts none.
            self.entry.counters.received.take_back(TERMINATE_SIZE);
        }
        crate::client::login::log_end(&pooler, &self.info, end);
        if !self.cut_short {
            end.tell(&mut self.output);
        }
        let stream = &mut self.stream;
        let output = &mut self.output;
        let last = poll_fn(|cx| flush(output, |bytes| stream.poll_write(cx, bytes)));
        if end.is_ours() {
            // A client that takes nothing any more is not waited for.
            let _ = tokio::time::timeout(LAST_WORDS, last).await;
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.entry.clients.fetch_sub(1, Ordering::Relaxed);
        self.pooler.user_left(&self.user);
        self.pooler.clients.remove(&self.info);
    }
}
