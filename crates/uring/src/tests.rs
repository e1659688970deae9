//! Against real sockets and the kernel of this machine.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::{Guard, Socket, attach, install, turn};

/// How long anything here may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Runs `test` in a runtime with a ring. Where the kernel forbids io_uring there is nothing to test, and it says so.
fn with_ring<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    let Some((runtime, ring)) = runtime() else { return };
    runtime.block_on(async {
        attach().unwrap();
        tokio::time::timeout(LIMIT, test()).await.expect("within the limit");
    });
    drop(runtime);
    drop(ring);
}

fn runtime() -> Option<(tokio::runtime::Runtime, Guard)> {
    match install() {
        Ok(ring) => {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            Some((builder.enable_all().on_thread_park(turn).build().unwrap(), ring))
        }
        Err(error) => {
            eprintln!("not tested, since io_uring is not available: {error}");
            None
        }
    }
}

/// A socket over the ring, and its other end as a blocking one.
fn pair() -> (Socket, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Socket::adopt(OwnedFd::from(ours)).unwrap(), theirs)
}

async fn read(socket: &mut Socket, buffer: &mut [u8]) -> usize {
    poll_fn(|cx| socket.poll_read(cx, buffer)).await.unwrap()
}

async fn write_all(socket: &mut Socket, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let written = poll_fn(|cx| socket.poll_write(cx, bytes)).await.unwrap();
        bytes = &bytes[written..];
    }
}

/// Bytes that differ from place to place, so that one that is lost or doubled shows.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

#[test]
fn bytes_go_both_ways_and_the_end_is_seen() {
    with_ring(|| async {
        let (mut socket, mut peer) = pair();
        let echo = std::thread::spawn(move || {
            let mut buffer = [0; 5];
            for _ in 0..1000 {
                peer.read_exact(&mut buffer).unwrap();
                peer.write_all(&buffer).unwrap();
            }
        });
        for round in 0..1000_u32 {
            let sent = format!("{round:05}").into_bytes();
            write_all(&mut socket, &sent).await;
            let (mut buffer, mut got) = ([0; 5], 0);
            while got < 5 {
                got += read(&mut socket, &mut buffer[got..]).await;
            }
            assert_eq!(buffer.as_slice(), sent);
        }
        echo.join().unwrap();
        assert_eq!(read(&mut socket, &mut [0; 5]).await, 0);
        assert!(socket.has_unread(), "the end is something to read");
    });
}

#[test]
fn a_large_transfer_keeps_its_order_in_both_directions() {
    with_ring(|| async {
        let (mut socket, mut peer) = pair();
        let bytes = pattern(8 << 20);
        let expected = bytes.clone();
        let other = std::thread::spawn(move || {
            let mut all = vec![0; expected.len()];
            peer.read_exact(&mut all).unwrap();
            assert!(all == expected, "what was sent is what came");
            peer.write_all(&all).unwrap();
        });
        write_all(&mut socket, &bytes).await;
        let mut back = Vec::new();
        let mut buffer = vec![0; 10_000];
        while back.len() < bytes.len() {
            let length = read(&mut socket, &mut buffer).await;
            back.extend_from_slice(&buffer[..length]);
        }
        assert!(back == bytes, "what came back is what was sent");
        other.join().unwrap();
    });
}

#[test]
fn what_was_written_before_the_drop_arrives() {
    with_ring(|| async {
        let (mut socket, mut peer) = pair();
        write_all(&mut socket, b"last ").await;
        write_all(&mut socket, b"words").await;
        drop(socket);
        let heard = tokio::task::spawn_blocking(move || {
            let mut heard = String::new();
            peer.read_to_string(&mut heard).unwrap();
            heard
        });
        assert_eq!(heard.await.unwrap(), "last words");
    });
}

#[test]
fn what_was_written_last_arrives_when_the_ring_goes() {
    let Some((runtime, ring)) = runtime() else { return };
    let (socket, mut peer) = runtime.block_on(async {
        attach().unwrap();
        let (mut socket, peer) = pair();
        write_all(&mut socket, b"bye").await;
        (socket, peer)
    });
    drop(socket);
    drop(runtime);
    drop(ring);
    let mut heard = String::new();
    peer.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "bye");
}

#[test]
fn a_peer_that_is_gone_is_an_error_of_a_later_write() {
    with_ring(|| async {
        let (mut socket, peer) = pair();
        drop(peer);
        let error = loop {
            match poll_fn(|cx| socket.poll_write(cx, b"anybody?")).await {
                Ok(_) => tokio::task::yield_now().await,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    });
}

/// More sockets with something to read than there are buffers, and nobody reads: the others go on, nothing is lost.
#[test]
fn sockets_that_nobody_reads_from_do_not_stop_the_others() {
    with_ring(|| async {
        let mut crowd: Vec<(Socket, UnixStream)> = (0..300).map(|_| pair()).collect();
        let sent = pattern(100_000);
        for (_, peer) in &mut crowd {
            peer.write_all(&sent).unwrap();
        }
        let (mut socket, mut peer) = pair();
        for _ in 0..100 {
            peer.write_all(b"x").unwrap();
            assert_eq!(read(&mut socket, &mut [0; 5]).await, 1);
        }
        let mut buffer = vec![0; 7000];
        for (socket, _peer) in &mut crowd {
            assert!(socket.has_unread());
            let mut got = Vec::new();
            while got.len() < sent.len() {
                let length = read(socket, &mut buffer).await;
                got.extend_from_slice(&buffer[..length]);
            }
            assert!(got == sent, "each its own bytes");
            assert!(!socket.has_unread());
        }
    });
}

/// A slow peer: a writer is held up, and goes on when the peer reads.
#[test]
fn a_peer_that_does_not_read_holds_the_writer_up() {
    with_ring(|| async {
        let (mut socket, mut peer) = pair();
        let bytes = pattern(4 << 20);
        let mut taken = 0;
        let stuck = tokio::time::timeout(Duration::from_millis(200), async {
            while taken < bytes.len() {
                taken += poll_fn(|cx| socket.poll_write(cx, &bytes[taken..])).await.unwrap();
            }
        });
        assert!(stuck.await.is_err(), "not all of it fits anywhere");
        let expected = bytes.clone();
        let reader = std::thread::spawn(move || {
            let mut all = vec![0; expected.len()];
            peer.read_exact(&mut all).unwrap();
            assert!(all == expected, "nothing lost, nothing twice");
        });
        write_all(&mut socket, &bytes[taken..]).await;
        tokio::task::spawn_blocking(|| reader.join().unwrap()).await.unwrap();
    });
}

/// While the ring always has something, timers go on.
#[test]
fn a_busy_ring_does_not_starve_timers() {
    with_ring(|| async {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let mut left = Socket::adopt(OwnedFd::from(theirs)).unwrap();
        ours.write_all(&[0; 64]).unwrap();
        let mut right = Socket::adopt(OwnedFd::from(ours)).unwrap();
        let relay = async {
            let mut buffer = [0; 64];
            loop {
                let length = read(&mut left, &mut buffer).await;
                write_all(&mut left, &buffer[..length]).await;
                let length = read(&mut right, &mut buffer).await;
                write_all(&mut right, &buffer[..length]).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_millis(50), relay).await.is_err());
    });
}

#[test]
fn a_socket_is_of_no_use_elsewhere_and_can_be_dropped_there() {
    with_ring(|| async {
        let (mut socket, mut peer) = pair();
        std::thread::spawn(move || {
            let waker = std::task::Waker::noop();
            let cx = std::task::Context::from_waker(waker);
            let std::task::Poll::Ready(Err(error)) = socket.poll_read(&cx, &mut [0; 1]) else {
                panic!("no read without the ring")
            };
            assert_eq!(error.kind(), std::io::ErrorKind::NotConnected);
        })
        .join()
        .unwrap();
        let ended = tokio::task::spawn_blocking(move || peer.read(&mut [0; 1]).unwrap());
        assert_eq!(ended.await.unwrap(), 0);
    });
}

#[test]
fn a_thread_has_one_ring() {
    let Ok(ring) = install() else { return };
    assert_eq!(install().unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    drop(ring);
    drop(install().unwrap());
    assert!(!Socket::is_possible());
    let (ours, _theirs) = UnixStream::pair().unwrap();
    assert!(Socket::adopt(OwnedFd::from(ours)).is_err());
}
