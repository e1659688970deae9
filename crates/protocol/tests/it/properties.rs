//! Random bytes: nothing panics, nothing is read beyond a frame, and how the bytes were cut up does not matter.

use howdah_protocol::{
    auth::{self, Credential, Entropy, Method, Progress, Secret, ServerLogin},
    frame::{self, Direction, FrameError, Limits, Step},
    read::{self, Authentication},
    startup,
};
use proptest::{collection::vec, prelude::*};

use crate::hostile::read_body;

const LIMITS: Limits = Limits { max_frame: 4096 };

/// Tag and body of a frame, or the error that ended the stream.
type Scanned = Result<(u8, Vec<u8>), FrameError>;

/// Scans a stream that comes in pieces, with a buffer as a relay would keep it.
fn scan(direction: Direction, pieces: &[&[u8]]) -> (Vec<Scanned>, Vec<u8>) {
    let (mut scanned, mut buffer) = (Vec::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match frame::next(direction, &LIMITS, &buffer) {
                Ok(Step::Partial(_)) => break,
                Ok(Step::Complete(frame)) => {
                    scanned.push(Ok((frame.tag, frame.body.to_vec())));
                    let taken = frame.bytes.len();
                    buffer.drain(..taken);
                }
                Err(error) => {
                    scanned.push(Err(error));
                    return (scanned, buffer);
                }
            }
        }
    }
    (scanned, buffer)
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::FromClient), Just(Direction::FromServer)]
}

/// A frame with a tag of either direction, and a length that is nearly always true.
fn some_frame() -> impl Strategy<Value = Vec<u8>> {
    let tag = prop::sample::select(b"BCDEFHPQSXcdfpR K123GWTZnstvANIV".to_vec());
    (tag, vec(any::<u8>(), 0..40), prop::bool::weighted(0.05)).prop_map(|(tag, body, lie)| {
        let length = body.len() as u32 + 4 + u32::from(lie);
        [&[tag][..], &length.to_be_bytes(), &body].concat()
    })
}

/// Cuts a stream at the given places.
fn cut<'a>(stream: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = places.iter().map(|place| place.index(stream.len() + 1)).collect();
    at.extend([0, stream.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect()
}

proptest! {
    #[test]
    fn cutting_a_stream_up_changes_nothing(
        direction in direction(),
        frames in vec(some_frame(), 0..12),
        places in vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let stream = frames.concat();
        let whole = scan(direction, &[&stream]);
        let pieces = scan(direction, &cut(&stream, &places));
        prop_assert_eq!(&whole.0, &pieces.0);
        // After an error the rest is never looked at, so only what is left of a good stream compares.
        if !matches!(whole.0.last(), Some(Err(_))) {
            prop_assert_eq!(whole.1, pieces.1);
        }
    }

    #[test]
    fn every_frame_accounts_for_its_bytes(direction in direction(), frames in vec(some_frame(), 0..12)) {
        let stream = frames.concat();
        let (scanned, left) = scan(direction, &[&stream]);
        let taken: usize = scanned.iter().flatten().map(|(_, body)| body.len() + frame::HEADER_LEN).sum();
        prop_assert_eq!(taken + left.len(), stream.len());
        prop_assert!(stream.ends_with(&left));
    }

    #[test]
    fn what_follows_a_frame_does_not_matter(
        direction in direction(),
        frame in some_frame(),
        after in vec(any::<u8>(), 0..20),
    ) {
        let alone = frame::next(direction, &LIMITS, &frame);
        let followed = [&frame[..], &after].concat();
        if let Ok(Step::Complete(_)) | Err(_) = alone {
            prop_assert_eq!(alone, frame::next(direction, &LIMITS, &followed));
        }
    }

    #[test]
    fn readers_take_any_bytes(
        direction in direction(),
        tag in any::<u8>(),
        body in prop_oneof![vec(any::<u8>(), 0..64), vec(prop::sample::select(b"\0\x01\x02aSPn=,r".to_vec()), 0..64)],
    ) {
        // An error or not: what matters is that it comes back. A reader has no more than the slice.
        let _ = read_body(direction, tag, &body);
        if let Some(names) = read::bind_names_prefix(&body) {
            prop_assert_eq!(names.len, names.portal.len() + names.statement.len() + 2);
            prop_assert!(names.len <= body.len());
        }
        if let Ok(Authentication::Sasl(mechanisms)) = read::authentication(&body) {
            prop_assert!(mechanisms.map(|name| name.len() + 1).sum::<usize>() + 5 == body.len());
        }
    }

    #[test]
    fn names_of_a_bind_are_those_of_the_whole(
        portal in "[a-z]{0,9}", statement in "[a-z]{0,9}", rest in vec(any::<u8>(), 6..20), seen in any::<prop::sample::Index>(),
    ) {
        let body = [portal.as_bytes(), b"\0", statement.as_bytes(), b"\0", &rest].concat();
        let bind = read::bind(&body).unwrap();
        if let Some(names) = read::bind_names_prefix(&body[..seen.index(body.len())]) {
            prop_assert_eq!((names.portal, names.statement), (bind.portal, bind.statement));
            prop_assert_eq!(&body[names.len..], bind.rest);
        }
    }

    #[test]
    fn startup_takes_any_bytes(
        code in prop_oneof![Just(0x3_0000_u32), Just(0x3_0002), Just(80_877_102), Just(80_877_103), any::<u32>()],
        body in prop_oneof![vec(any::<u8>(), 0..64), vec(prop::sample::select(b"user\0ab".to_vec()), 0..64)],
        after in vec(any::<u8>(), 0..8),
    ) {
        let length = body.len() as u32 + 8;
        let packet = [&length.to_be_bytes()[..], &code.to_be_bytes(), &body].concat();
        let alone = startup::read(&packet, startup::DEFAULT_MAX);
        let followed = startup::read(&[&packet[..], &after].concat(), startup::DEFAULT_MAX);
        prop_assert_eq!(&alone, &followed);
        if let Ok(read) = alone {
            prop_assert_eq!(read.map(|(_, consumed)| consumed), Some(packet.len()));
        }
    }

    #[test]
    fn options_take_any_text(options in any::<String>()) {
        let _ = startup::options::parse(&options);
    }

    #[test]
    fn options_give_back_what_was_escaped(value in "[ -~\t]{0,20}") {
        let escaped: String = value.chars().flat_map(|char| ['\\', char]).collect();
        let expected = vec![("a".to_owned(), value)];
        prop_assert_eq!(startup::options::parse(&format!("-c a={escaped}")).unwrap(), expected);
    }

    #[test]
    fn no_message_opens_a_clients_login(
        method in prop::sample::select(vec![Method::Plain, Method::Md5, Method::Scram]),
        known in any::<bool>(),
        messages in vec(vec(prop::sample::select(b"SCRAM-SHA-256\0n,y=rc=biws,p=\xff".to_vec()), 0..60), 1..4),
    ) {
        let entropy = Entropy { random: [1; 32], process_secret: [2; 32] };
        let secret = known.then(|| Secret::parse("a password that no message holds"));
        let mut login = auth::ClientLogin::new(method, b"u", secret, entropy, 1.try_into().unwrap());
        let mut out = Vec::new();
        login.start(&mut out).unwrap();
        for message in messages {
            prop_assert!(!matches!(login.message(&message, &mut out), Ok(Progress::Done(_))));
        }
    }

    #[test]
    fn no_message_gets_past_scram_with_a_server(
        messages in vec((10_u8..13, vec(prop::sample::select(b"r=,s=i=1v=AA".to_vec()), 0..60)), 1..4),
    ) {
        let mut login = ServerLogin::new(b"u", Credential::Password("p".into()), [3; 32]);
        let mut out = Vec::new();
        let sasl = read::authentication(b"\0\0\0\x0aSCRAM-SHA-256\0\0").unwrap();
        prop_assert_eq!(login.message(sasl, &mut out), Ok(Progress::Continue));
        for (code, data) in messages {
            let body = [&[0, 0, 0, code], &data[..]].concat();
            if let Ok(message) = read::authentication(&body) {
                let _ = login.message(message, &mut out);
            }
            prop_assert_ne!(login.message(Authentication::Ok, &mut out), Ok(Progress::Done(())));
        }
    }
}
