//! Sockets over io_uring, beside a tokio current-thread runtime on the same thread.
//!
//! What a relay pays for is system calls (PERFORMANCE.md section 3: two receives, two sends and the waits are most
//! of a query's CPU). Over epoll each is a call of its own; here the sends of everything that ran in one turn of the
//! runtime, and the receives for it, share one `io_uring_enter`.
//!
//! How the two live together: tokio calls [`turn`] each time before it would park ([`tokio::runtime::Builder`]'s
//! `on_thread_park`). That hands over to the kernel what the tasks have queued, takes what has come, and wakes the
//! tasks concerned, in which case tokio does not park. When nothing has come it parks in epoll, where the ring's own
//! descriptor wakes it ([`attach`]). Timers, signals and every other socket go on as ever.
//!
//! A [`Socket`] belongs to the thread that made it. Where the kernel has no io_uring, or not enough of it, or forbids
//! it (seccomp filters of containers do), [`install`] says so, and the sockets stay with tokio.

mod driver;
mod kernel;
mod provided;
mod ring;
mod socket;

#[cfg(test)]
mod tests;

pub use driver::{Guard, attach, install, turn};
pub use kernel::defer_accept;
pub use ring::quiet::send_fd;
pub use socket::Socket;
