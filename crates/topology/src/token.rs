//! A causality token: the position that a read has to have seen, carried between sessions and Howdahs (DESIGN.md §6).
//!
//! A position says nothing without its history, so a token is (system identifier, timeline, LSN), and the history of the
//! present primary says whether it still exists (FAILOVER_PROTOCOL.md §8). Read next: [`crate::query`].

use std::fmt;
use std::str::FromStr;

use crate::{Lsn, Topology};

/// What `SHOW howdah.causal_token` gives and `SET howdah.read_after` takes, written `system:timeline:position`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// `system_identifier` of the cluster.
    pub system_id: u64,
    /// The timeline that the primary was on.
    pub timeline: u32,
    /// How far it had written; all that it had acknowledged lies before.
    pub lsn: Lsn,
}

/// The text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenError;

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a token is what SHOW howdah.causal_token gives: system, timeline and position, with colons between")
    }
}

impl std::error::Error for TokenError {}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.system_id, self.timeline, self.lsn)
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Token, TokenError> {
        let mut parts = text.splitn(3, ':');
        let mut part = || parts.next().ok_or(TokenError);
        let (system_id, timeline, lsn) = (part()?, part()?, part()?);
        let token = Token {
            system_id: number(system_id)?,
            timeline: number(timeline)?,
            lsn: lsn.parse().map_err(|_| TokenError)?,
        };
        if token.timeline == 0 { Err(TokenError) } else { Ok(token) }
    }
}

/// Decimal digits and nothing else (no sign, which the standard parser would take).
fn number<T: FromStr>(text: &str) -> Result<T, TokenError> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TokenError);
    }
    text.parse().map_err(|_| TokenError)
}

/// Why nothing that is known here can be shown to have what a token names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFault {
    /// No primary was found yet, or its timeline is older than the token's: whoever gave the token knew more. It may
    /// become true at any moment.
    Ahead,
    /// The token is of another cluster.
    Foreign {
        /// The system identifier of this one.
        here: u64,
    },
    /// The present primary left the token's timeline before that position: what was written behind the fork is lost, or
    /// was never acknowledged, and which of the two a position cannot tell.
    Lost {
        /// The fork.
        left_at: Lsn,
    },
    /// The token's timeline is no part of the present primary's history.
    Elsewhere,
}

impl Topology {
    /// The position in the present primary's history that a token names. A node of that history has what the token
    /// stands for once it has replayed this position; so has a replica that has not followed to the present timeline
    /// yet, since up to the fork the two histories are one.
    ///
    /// # Errors
    /// [`TokenFault`].
    pub fn position_after(&self, token: &Token) -> Result<Lsn, TokenFault> {
        let epoch = self.epoch.ok_or(TokenFault::Ahead)?;
        if epoch.system_id != token.system_id {
            return Err(TokenFault::Foreign { here: epoch.system_id });
        }
        if token.timeline == epoch.timeline {
            return Ok(token.lsn);
        }
        if token.timeline > epoch.timeline {
            return Err(TokenFault::Ahead);
        }
        let part = token.timeline == 1 || self.history.iter().any(|start| start.timeline == token.timeline);
        let later = self.history.iter().filter(|start| start.timeline > token.timeline);
        let left_at =
            later.map(|start| start.began_at).min().filter(|_| part).ok_or(TokenFault::Elsewhere)?;
        if token.lsn <= left_at { Ok(token.lsn) } else { Err(TokenFault::Lost { left_at }) }
    }
}
