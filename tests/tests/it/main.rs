//! Howdah between real clients and real servers, a module a topic. `support` has what they share.

// A failed expectation is a failed test, in its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod acknowledgements;
mod auth;
mod auth_query;
mod cancel;
mod causal;
mod commits;
mod copy;
mod drivers;
mod faults;
mod hba;
mod hostile;
mod hosts;
mod ldap;
mod limits;
mod loads;
mod notices;
mod operator;
mod parameters;
mod patroni;
mod peers;
mod pooling;
mod prepared;
mod process;
mod program;
mod protocol;
mod replication;
mod routing;
mod side_by_side;
mod support;
mod switchover;
mod takeover;
mod timeouts;
mod tls;
