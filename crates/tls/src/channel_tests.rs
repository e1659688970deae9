//! Two channels back to back over sockets that take and give what the test says.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll, Waker};

use rcgen::{CertificateParams, KeyPair};

use crate::channel::Channel;
use crate::setup_tests::settings;
use crate::{Acceptor, ClientChannel, Connector, Raw, ServerChannel, Settings, Verify};

/// One direction of a wire, with room for so much.
#[derive(Default)]
struct Wire {
    bytes: VecDeque<u8>,
    room: usize,
    closed: bool,
}

/// The end of a wire; gives at most so much at once.
struct Socket<'a> {
    from: &'a mut Wire,
    to: &'a mut Wire,
    at_once: usize,
}

impl Raw for Socket<'_> {
    fn poll_read(&mut self, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let length = buffer.len().min(self.from.bytes.len()).min(self.at_once);
        if length == 0 {
            return if self.from.closed { Poll::Ready(Ok(0)) } else { Poll::Pending };
        }
        for byte in &mut buffer[..length] {
            *byte = self.from.bytes.pop_front().unwrap();
        }
        Poll::Ready(Ok(length))
    }

    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let length = bytes.len().min(self.to.room.saturating_sub(self.to.bytes.len())).min(self.at_once);
        if length == 0 {
            return Poll::Pending;
        }
        self.to.bytes.extend(&bytes[..length]);
        Poll::Ready(Ok(length))
    }
}

struct Pair {
    client: ClientChannel,
    server: ServerChannel,
    up: Wire,
    down: Wire,
    at_once: usize,
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

impl Pair {
    fn new(room: usize, at_once: usize, protocols: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let (cert_file, key_file) = (dir.path().join("s.crt"), dir.path().join("s.key"));
        std::fs::write(&cert_file, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        let own = Settings {
            cert_file: Some(cert_file.clone()),
            key_file: Some(key_file),
            protocols: protocols.to_owned(),
            ..settings()
        };
        let server = Acceptor::build(&own, Verify::Nothing).unwrap().value.accept(Vec::new()).unwrap();
        let trusts = Settings { ca_file: Some(cert_file), ..settings() };
        let client = Connector::build(&trusts, Verify::Name).unwrap().value.connect("localhost").unwrap();
        let wire = || Wire { room, ..Wire::default() };
        Self { client, server, up: wire(), down: wire(), at_once }
    }

    fn client(&mut self) -> (&mut ClientChannel, Socket<'_>) {
        let raw = Socket { from: &mut self.down, to: &mut self.up, at_once: self.at_once };
        (&mut self.client, raw)
    }

    fn server(&mut self) -> (&mut ServerChannel, Socket<'_>) {
        let raw = Socket { from: &mut self.up, to: &mut self.down, at_once: self.at_once };
        (&mut self.server, raw)
    }

    fn shake_hands(&mut self) {
        let (mut ours, mut theirs) = (false, false);
        for _ in 0..100_000 {
            let (channel, mut raw) = self.client();
            ours |= channel.poll_handshake(&mut context(), &mut raw).map(Result::unwrap).is_ready();
            let (channel, mut raw) = self.server();
            theirs |= channel.poll_handshake(&mut context(), &mut raw).map(Result::unwrap).is_ready();
            if ours && theirs {
                return;
            }
        }
        panic!("no handshake");
    }

    /// Sends `bytes` from the client to the server, whose buffer is so large.
    fn send_up(&mut self, bytes: &[u8], buffer: usize) -> Vec<u8> {
        let (mut sent, mut got) = (0, Vec::new());
        let mut target = vec![0; buffer];
        while got.len() < bytes.len() {
            if sent < bytes.len() {
                let (channel, mut raw) = self.client();
                if let Poll::Ready(written) = channel.poll_write(&mut context(), &mut raw, &bytes[sent..]) {
                    sent += written.unwrap();
                }
            } else {
                // What a socket did not take goes out with the next call, whichever it is.
                let (channel, mut raw) = self.client();
                assert!(channel.poll_read(&mut context(), &mut raw, &mut [0; 16]).is_pending());
            }
            let (channel, mut raw) = self.server();
            if let Poll::Ready(read) = channel.poll_read(&mut context(), &mut raw, &mut target) {
                got.extend_from_slice(&target[..read.unwrap()]);
            }
        }
        got
    }
}

fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 % 251) as u8).collect()
}

#[test]
fn bytes_come_as_they_were_sent_whatever_the_sockets_take() {
    for protocols in ["tlsv1.3", "tlsv1.2"] {
        for (room, at_once) in
            [(usize::MAX, usize::MAX), (1000, usize::MAX), (usize::MAX, 1), (7, 3), (40_000, 16_000)]
        {
            let mut pair = Pair::new(room, at_once, protocols);
            pair.shake_hands();
            assert!(
                pair.server.negotiated().is_some() && pair.client.negotiated() == pair.server.negotiated()
            );
            for (length, buffer) in
                [(1, 32_768), (100, 7), (16_384, 16_384), (100_000, 32_768), (50_000, 2_000)]
            {
                let bytes = noise(length);
                assert_eq!(
                    pair.send_up(&bytes, buffer),
                    bytes,
                    "{protocols} {room} {at_once} {length} {buffer}"
                );
            }
            assert!(!pair.server.has_unread() && !pair.client.has_unread());
        }
    }
}

#[test]
fn an_idle_channel_holds_no_buffers() {
    let mut pair = Pair::new(usize::MAX, usize::MAX, "secure");
    pair.shake_hands();
    pair.send_up(&noise(100_000), 32_768);
    let (channel, mut raw) = pair.server();
    assert!(channel.poll_read(&mut context(), &mut raw, &mut [0; 100]).is_pending());
    assert_eq!(channel.buffered(), 0);
}

#[test]
fn the_end_is_the_end_with_or_without_a_word() {
    for polite in [true, false] {
        let mut pair = Pair::new(usize::MAX, usize::MAX, "secure");
        pair.shake_hands();
        if polite {
            let (channel, mut raw) = pair.client();
            channel.close(&mut context(), &mut raw);
        }
        pair.up.closed = true;
        for _ in 0..2 {
            let (channel, mut raw) = pair.server();
            let read = channel.poll_read(&mut context(), &mut raw, &mut [0; 100]);
            assert!(matches!(read, Poll::Ready(Ok(0))), "{polite}: {read:?}");
        }
    }
}

#[test]
fn what_is_no_tls_is_an_error_and_the_peer_is_told() {
    let mut pair = Pair::new(usize::MAX, usize::MAX, "secure");
    pair.shake_hands();
    pair.up.bytes.extend([0x17, 3, 3, 0, 40]);
    pair.up.bytes.extend([9_u8; 40]);
    let (channel, mut raw) = pair.server();
    let read = channel.poll_read(&mut context(), &mut raw, &mut [0; 100]);
    assert!(
        matches!(&read, Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::InvalidData),
        "{read:?}"
    );
    let write = channel.poll_write(&mut context(), &mut raw, b"more");
    assert!(matches!(write, Poll::Ready(Err(_))), "nothing behind an alert: {write:?}");
    assert!(!pair.down.bytes.is_empty(), "the alert");
    // A handshake with nonsense.
    let mut pair = Pair::new(usize::MAX, usize::MAX, "secure");
    pair.up.bytes.extend([0x55; 100]);
    let (channel, mut raw) = pair.server();
    assert!(matches!(channel.poll_handshake(&mut context(), &mut raw), Poll::Ready(Err(_))));
    // And one that ends in the middle.
    let mut pair = Pair::new(usize::MAX, usize::MAX, "secure");
    pair.up.bytes.extend([0x16, 3, 1]);
    pair.up.closed = true;
    let (channel, mut raw) = pair.server();
    assert!(matches!(channel.poll_handshake(&mut context(), &mut raw), Poll::Ready(Err(_))));
}

#[test]
fn other_bytes_than_those_that_were_pending_are_refused() {
    let mut pair = Pair::new(usize::MAX, usize::MAX, "secure");
    pair.shake_hands();
    pair.up.room = pair.up.bytes.len() + 10;
    let (channel, mut raw) = pair.client();
    assert!(channel.poll_write(&mut context(), &mut raw, &noise(1000)).is_pending());
    pair.up.room = usize::MAX;
    let (channel, mut raw) = pair.client();
    assert!(matches!(channel.poll_write(&mut context(), &mut raw, b"few"), Poll::Ready(Err(_))));
}

/// How much memory a channel takes, for the record; its limit is what DESIGN.md section 11 leaves for it.
#[test]
fn a_channel_is_small() {
    let size = size_of::<ServerChannel>();
    assert!(size <= 2048, "{size} bytes");
    assert!(size_of::<Channel<()>>() <= 96);
}

#[test]
fn no_flipped_bit_passes_and_none_is_a_panic() {
    // Of the client's first flight, and of data: whatever is flipped, the server sees an error or waits for more.
    for place in 0..300 {
        let mut pair = Pair::new(usize::MAX, usize::MAX, "secure");
        let (channel, mut raw) = pair.client();
        assert!(channel.poll_handshake(&mut context(), &mut raw).is_pending());
        let length = pair.up.bytes.len();
        pair.up.bytes[place * 7 % length] ^= 1 << (place % 8);
        let (channel, mut raw) = pair.server();
        let _ = channel.poll_handshake(&mut context(), &mut raw);
    }
    let mut pair = Pair::new(usize::MAX, usize::MAX, "secure");
    pair.shake_hands();
    let (channel, mut raw) = pair.client();
    assert!(channel.poll_write(&mut context(), &mut raw, &noise(100)).is_ready());
    pair.up.bytes[50] ^= 1;
    let (channel, mut raw) = pair.server();
    assert!(matches!(channel.poll_read(&mut context(), &mut raw, &mut [0; 200]), Poll::Ready(Err(_))));
}
