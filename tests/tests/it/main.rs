//! Howdah between real clients and real servers, a module a topic. `support` has what they share.

mod auth;
mod cancel;
mod copy;
mod drivers;
mod hostile;
mod parameters;
mod pooling;
mod prepared;
mod program;
mod protocol;
mod routing;
mod support;
