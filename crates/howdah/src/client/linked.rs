//! A client with a server: the relay. Bytes go through as they come; the session says what is put in, left out
//! and held back, and when the link is over.

use std::task::{Context, Poll};

use howdah_session::{Fatal, Outputs, PoolMode, Signal, Spelled, TransactionStatus};

use super::Client;
use super::acquire::Link;
use super::buffers::{self, Buffers};
use super::end::End;
use super::info::{Order, Phase};
use super::stream::{flush, write_or_keep};
use crate::server::ServerInfo;

/// A client that has so much to read yet is asked for no more (bytes): our own replies cost it no server's time.
const OUTPUT_ENOUGH: usize = 256 * 1024;

/// Why a link ends.
#[derive(Debug)]
pub(super) enum Leave {
    /// The server is free again.
    Idle,
    /// A replica refused: the batch runs again on the primary.
    Retry,
    /// The server is gone or of no use.
    ServerLost(String),
    /// The client is gone or has to go.
    End(End),
}

/// The socket of a server has failed; `tcp_user_timeout` ends here, too.
fn crashed(server: &ServerInfo, error: &std::io::Error) -> Leave {
    tracing::debug!("{} {error}", server.log_name());
    Leave::ServerLost("server conn crashed?".to_owned())
}

/// Whether a step brought anything.
type Step = Result<bool, Leave>;

impl Client {
    /// Moves bytes in both directions until the link is over.
    pub(super) fn poll_linked(&mut self, cx: &mut Context<'_>, link: &mut Link) -> Poll<Leave> {
        loop {
            match self.info.poll_order(cx.waker()) {
                Some(Order::Close(reason)) => return Poll::Ready(Leave::End(End::refused(reason))),
                Some(Order::ServerLost) => {
                    return Poll::Ready(Leave::ServerLost("epoch has ended".to_owned()));
                }
                Some(Order::Park) => {
                    self.park(cx, Some(link));
                    return Poll::Pending;
                }
                None => {}
            }
            match self.step(cx, link) {
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
                Err(leave) => return Poll::Ready(leave),
            }
        }
    }

    /// What waits goes out first, and whoever has something waiting is read from no further: a slow client slows
    /// its server down, and nothing else.
    fn step(&mut self, cx: &mut Context<'_>, link: &mut Link) -> Step {
        let mut progress = self.flush_both(cx, link)?;
        let may_ask = self.output.len() <= OUTPUT_ENOUGH && link.lease.conn().output.is_empty();
        if may_ask && (link.input_ready || !link.client_waits) && !self.is_held(link) {
            progress |= buffers::with(|buffers| self.take_from_client(cx, link, buffers))?;
        }
        if self.output.is_empty() {
            progress |= buffers::with(|buffers| self.take_from_server(cx, link, buffers))?;
        }
        Ok(progress)
    }

    fn flush_both(&mut self, cx: &mut Context<'_>, link: &mut Link) -> Step {
        let mut progress = false;
        if !self.output.is_empty() {
            let stream = &mut self.stream;
            match flush(&mut self.output, |bytes| stream.poll_write(cx, bytes)) {
                Poll::Ready(Ok(())) => progress = true,
                Poll::Ready(Err(_)) => return Err(Leave::End(End::UnexpectedEof)),
                Poll::Pending => {}
            }
        }
        let conn = link.lease.conn();
        if !conn.output.is_empty() {
            let stream = &mut conn.stream;
            match flush(&mut conn.output, |bytes| stream.poll_write(cx, bytes)) {
                Poll::Ready(Ok(())) => progress = true,
                Poll::Ready(Err(error)) => return Err(crashed(&conn.info, &error)),
                Poll::Pending => {}
            }
        }
        if progress && link.client_waits {
            link.input_ready = true;
        }
        Ok(progress)
    }

    fn take_from_client(&mut self, cx: &mut Context<'_>, link: &mut Link, buffers: &mut Buffers) -> Step {
        let mut held = std::mem::take(&mut self.input);
        let mut read = 0;
        // What is there already may be the beginning of a frame only: then its rest is to be read in the same turn,
        // so this counts as progress whatever comes of it.
        let again = std::mem::take(&mut link.input_ready);
        if !again {
            match self.stream.poll_read(cx, &mut buffers.read) {
                Poll::Pending => {
                    self.input = held;
                    return Ok(false);
                }
                Poll::Ready(Ok(0) | Err(_)) => return Err(Leave::End(End::UnexpectedEof)),
                Poll::Ready(Ok(bytes)) => read = bytes,
            }
            self.entry.counters.received.add(read as u64);
        }
        let chunk = &buffers.read[..read];
        let input = buffers::joined(&mut held, chunk);
        let conn = link.lease.conn();
        let look = || self.entry.topology();
        let outputs = Outputs { to_server: &mut buffers.to_server, to_client: &mut buffers.to_client };
        let turn = self
            .session
            .from_client(&mut conn.side, (&self.pooler.session, &look), input, outputs)
            .map_err(|fatal| Leave::End(self.broken(&fatal)))?;
        let bytes = if buffers.to_server.is_empty() { &input[turn.pass.clone()] } else { &buffers.to_server };
        let mut written = Ok(());
        if !bytes.is_empty() {
            if link.phase != Phase::Query {
                self.asked_something(link);
            }
            let conn = link.lease.conn();
            let stream = &mut conn.stream;
            written = write_or_keep(&mut conn.output, bytes, |bytes| stream.poll_write(cx, bytes));
        }
        // Kept before anything can fail: on a cluster the session goes on without the server.
        self.input = buffers::left_over(held, chunk, turn.consumed);
        written.map_err(|error| crashed(&link.lease.conn().info, &error))?;
        self.send(cx, &buffers.to_client).map_err(|_| Leave::End(End::UnexpectedEof))?;
        link.client_waits = turn.stalled;
        if turn.terminate {
            return Err(Leave::End(End::CloseRequest));
        }
        // A replica that the next batch must not go to is left in session pooling too.
        if turn.idle && (turn.stalled || self.session.pool_mode() != PoolMode::Session) {
            return Err(Leave::Idle);
        }
        Ok(again || read > 0 || turn.consumed > 0)
    }

    /// The client has broken the rules; the log may learn more of it than the client.
    pub(super) fn broken(&self, fatal: &Fatal) -> End {
        if let Some(detail) = fatal.detail() {
            tracing::error!("{} {detail}", self.info.log_name());
        }
        End::refused(fatal.message())
    }

    /// The client's turn is over, the server's begins.
    fn asked_something(&mut self, link: &mut Link) {
        let now = self.pooler.clock.now();
        if link.phase != Phase::IdleInTransaction {
            self.began = now;
        }
        self.asked = now;
        link.phase = Phase::Query;
        self.info.enter(Phase::Query, now);
        // A statement alone is a transaction too.
        self.info.transaction(Some(self.began));
    }

    fn take_from_server(&mut self, cx: &mut Context<'_>, link: &mut Link, buffers: &mut Buffers) -> Step {
        // Another process had received it and not looked at it.
        let is_there = std::mem::take(&mut link.answer_ready);
        let conn = link.lease.conn();
        let read = match is_there {
            true => 0,
            false => match conn.stream.poll_read(cx, &mut buffers.read) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Ok(0)) => return Err(Leave::ServerLost("server conn crashed?".to_owned())),
                Poll::Ready(Ok(read)) => read,
                Poll::Ready(Err(error)) => return Err(crashed(&conn.info, &error)),
            },
        };
        let mut held = std::mem::take(&mut conn.input);
        let chunk = &buffers.read[..read];
        let input = buffers::joined(&mut held, chunk);
        let now = self.pooler.clock.now();
        let turn = self.session.from_server(
            &mut conn.side,
            (&self.pooler.session, now),
            input,
            &mut buffers.to_client,
        );
        let turn = turn.map_err(|fault| Leave::ServerLost(fault.to_string()))?;
        for Spelled { name, asked, canonical } in conn.side.take_spelled(&self.pooler.session.tracked) {
            tracing::debug!(
                "{} varcache_set_canonical: setting {name} to its canonical version {} -> {}",
                self.info.log_name(),
                String::from_utf8_lossy(&asked),
                String::from_utf8_lossy(&canonical)
            );
        }
        let bytes = if buffers.to_client.is_empty() { &input[turn.pass] } else { &buffers.to_client };
        let sent = self.send(cx, bytes);
        link.lease.conn().input = buffers::left_over(held, chunk, turn.consumed);
        sent.map_err(|_| Leave::End(End::UnexpectedEof))?;
        link.input_ready |= link.client_waits;
        self.count(link, now);
        if let Some(fault) = turn.fault {
            return Err(Leave::ServerLost(fault.to_string()));
        }
        self.signal(turn.signal)
    }

    fn signal(&self, signal: Signal) -> Step {
        match signal {
            Signal::None => Ok(true),
            Signal::Retry => Err(Leave::Retry),
            Signal::TransactionRefused => {
                Err(Leave::End(End::refused(Fatal::TransactionInStatementMode.message())))
            }
            Signal::Idle if self.session.pool_mode() == PoolMode::Session => Ok(true),
            Signal::Idle => Err(Leave::Idle),
        }
    }

    /// The statistics of what has just been answered.
    fn count(&mut self, link: &mut Link, now: howdah_topology::Time) {
        let tally = self.session.take_tally();
        let counters = &self.entry.counters;
        counters.client_parses.add(tally.client_parses.into());
        counters.server_parses.add(tally.server_parses.into());
        counters.binds.add(tally.binds.into());
        if tally.queries == 0 {
            return;
        }
        counters.queries.add(tally.queries.into());
        counters.unprotected.add(tally.unprotected.into());
        counters.query_time.add(now.0.saturating_sub(self.asked.0));
        self.asked = now;
        let idle = link.lease.conn().side.status() == TransactionStatus::Idle;
        if idle {
            counters.transactions.add(tally.transactions.into());
            counters.transaction_time.add(now.0.saturating_sub(self.began.0));
        }
        let phase = if link.lease.conn().side.is_busy() {
            Phase::Query
        } else if idle {
            Phase::Linked
        } else {
            Phase::IdleInTransaction
        };
        if phase != link.phase {
            link.phase = phase;
            self.info.enter(phase, now);
        }
        self.info.transaction((!idle).then_some(self.began));
    }
}
