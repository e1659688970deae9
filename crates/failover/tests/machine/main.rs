//! The machine against servers that do at once what they are told: what it orders, what it shows, what it refuses.
//!
//! What faults do to it is for `failover-sim`; here is one situation at a time, and its sentence.
//!
//! - `bench.rs`: the servers and the clock.
//! - `demands.rs`: what `manage` demands (FAILOVER_PROTOCOL.md §1).
//! - `unnamed.rs`: a primary that dies before the names were written (§2).
//! - `cascade.rs`: standbys of standbys (§10).
//! - `foreign.rs`: a vote that no Howdah holds (§4).
//! - `loss.rs`: what a promotion loses (§6).
//! - `prefer.rs`: a preferred candidate that is not the furthest (§6).
//! - `reload.rs`: settings that change meanwhile.
//! - `leave.rs`: a primary that an order leaves while it lives (§10).
//! - `limit.rs`: so many failovers in an hour, and no more (§10).
//! - `replay.rs`: replay that stands still between fence and election (§§5, 6).
//! - `release.rs`: what is put back when Howdah lets go.

// The helpers of a test may panic as the test itself may.
#![allow(clippy::unwrap_used)]

mod bench;
mod cascade;
mod demands;
mod foreign;
mod leave;
mod limit;
mod loss;
mod marks;
mod prefer;
mod release;
mod reload;
mod replay;
mod unnamed;
