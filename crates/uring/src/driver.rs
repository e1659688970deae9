//! A thread's ring, and how tokio and the ring take turns.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use crate::ring::Ring;

/// So many turns that brought something may follow each other before tokio looks at its own sockets and timers
/// (count).
const TURNS_IN_A_ROW: u32 = 32;

thread_local! {
    static RING: RefCell<Option<(Arc<Home>, Ring)>> = const { RefCell::new(None) };
    /// Turns since tokio last looked after its own.
    static TURNS: Cell<u32> = const { Cell::new(0) };
    static PACER: RefCell<Option<Waker>> = const { RefCell::new(None) };
}

/// Which ring a socket belongs to, and the way back for sockets that are dropped on another thread.
#[derive(Debug, Default)]
pub(crate) struct Home {
    /// Their keys.
    strays: Mutex<Vec<u32>>,
    has_strays: AtomicBool,
}

/// Keeps the thread's ring. Dropped, what was written is handed to the kernel, and the ring is gone; sockets that
/// are left are closed.
#[derive(Debug)]
pub struct Guard {
    home: Arc<Home>,
    /// Not to be sent to another thread.
    _here: std::marker::PhantomData<*const ()>,
}

/// Gives this thread a ring. The runtime must call [`turn`] before it parks, and [`attach`] must be called in it.
///
/// # Errors
/// A kernel without io_uring or before 6.1, one that forbids it; a thread that has a ring already.
pub fn install() -> io::Result<Guard> {
    RING.with_borrow_mut(|place| {
        if place.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let home = Arc::new(Home::default());
        *place = Some((Arc::clone(&home), Ring::new()?));
        Ok(Guard { home, _here: std::marker::PhantomData })
    })
}

impl Drop for Guard {
    fn drop(&mut self) {
        turn();
        let ring = RING.with_borrow_mut(|place| place.take_if(|(home, _)| Arc::ptr_eq(home, &self.home)));
        drop(ring);
    }
}

/// Hands over what was written, takes what has come, and wakes those who wait for it: to be called before the
/// runtime parks. Does nothing on a thread without a ring.
pub fn turn() {
    let Some(mut woken) = with_any(|home, ring| {
        close_strays(home, ring);
        ring.turn();
        ring.woken()
    }) else {
        return;
    };
    if woken.is_empty() {
        TURNS.set(0);
        return;
    }
    for waker in woken.drain(..) {
        waker.wake();
    }
    let _ = with_any(|_, ring| ring.spare(woken));
    // Tokio does not park now. Before it has left its own sockets and timers alone for too long, a task that yields
    // makes it look.
    if TURNS.replace(TURNS.get() + 1) >= TURNS_IN_A_ROW {
        TURNS.set(0);
        if let Some(pacer) = PACER.take() {
            pacer.wake();
        }
    }
}

/// Lets the runtime that this is called in be woken by the thread's ring. Does nothing on a thread without one.
///
/// # Errors
/// As epoll_ctl(2).
pub fn attach() -> io::Result<()> {
    let Some(registered) = with_any(|_, ring| ring.kernel().register()) else { return Ok(()) };
    // Registered for as long as the task lives, which is as long as the runtime. Nobody waits for it: that epoll
    // returns is enough, since the ring is looked at before tokio parks again.
    let registered = registered?;
    tokio::spawn(async move {
        loop {
            let mut woken = false;
            poll_fn(|cx| {
                if std::mem::replace(&mut woken, true) {
                    return Poll::Ready(());
                }
                PACER.set(Some(cx.waker().clone()));
                Poll::Pending
            })
            .await;
            tokio::task::yield_now().await;
            let _ = registered.get_ref();
        }
    });
    Ok(())
}

pub(crate) fn is_installed() -> bool {
    RING.with_borrow(Option::is_some)
}

pub(crate) fn add(fd: OwnedFd) -> Result<(Arc<Home>, usize), OwnedFd> {
    let mut fd = Some(fd);
    let added = with_any(|home, ring| fd.take().map(|fd| (Arc::clone(home), ring.add(fd)))).flatten();
    match (added, fd) {
        (Some(added), _) => Ok(added),
        (None, Some(fd)) => Err(fd),
        (None, None) => unreachable!("the socket is either in the ring or here"),
    }
}

/// The thread's ring if it is this one.
pub(crate) fn with<R>(home: &Arc<Home>, act: impl FnOnce(&mut Ring) -> R) -> Option<R> {
    with_any(|this, ring| Arc::ptr_eq(this, home).then(|| act(ring))).flatten()
}

fn with_any<R>(act: impl FnOnce(&Arc<Home>, &mut Ring) -> R) -> Option<R> {
    // At the end of a thread its ring may be gone already, with every socket in it.
    RING.try_with(|place| {
        let mut place = place.borrow_mut();
        let (home, ring) = place.as_mut()?;
        Some(act(home, ring))
    })
    .ok()
    .flatten()
}

/// A socket's user is gone.
pub(crate) fn close(home: &Arc<Home>, key: u32) {
    if with(home, |ring| ring.close(key as usize)).is_none() {
        home.strays.lock().unwrap_or_else(PoisonError::into_inner).push(key);
        home.has_strays.store(true, Ordering::Release);
    }
}

fn close_strays(home: &Home, ring: &mut Ring) {
    if !home.has_strays.load(Ordering::Relaxed) || !home.has_strays.swap(false, Ordering::Acquire) {
        return;
    }
    for key in home.strays.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        ring.close(key as usize);
    }
}
