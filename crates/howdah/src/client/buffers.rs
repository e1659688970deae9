//! The buffers of a thread. A client has none of its own: what a read brought is handed on in the same turn, and
//! only what could not be is copied (PERFORMANCE.md: 7–18 KB a client otherwise).

use std::cell::RefCell;

/// Bytes asked for in one read; not less than the longest frame that is forwarded whole only.
pub(crate) const READ_SIZE: usize = 32 * 1024;

/// Scratch buffers larger than this are given back after the turn (bytes).
const KEEP_UP_TO: usize = 256 * 1024;

const _: () = assert!(READ_SIZE >= howdah_session::STREAM_FRAMES_ABOVE);

/// One thread's buffers.
pub(crate) struct Buffers {
    pub(crate) read: Box<[u8]>,
    pub(crate) to_server: Vec<u8>,
    pub(crate) to_client: Vec<u8>,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::new(Buffers {
        read: vec![0; READ_SIZE].into_boxed_slice(),
        to_server: Vec::new(),
        to_client: Vec::new(),
    });
}

/// Lends the thread's buffers for one turn; the scratch ones come empty.
pub(crate) fn with<R>(turn: impl FnOnce(&mut Buffers) -> R) -> R {
    BUFFERS.with(|buffers| {
        let mut buffers = buffers.borrow_mut();
        let result = turn(&mut buffers);
        clear(&mut buffers.to_server);
        clear(&mut buffers.to_client);
        result
    })
}

/// What came now, behind what was kept of earlier.
pub(crate) fn joined<'a>(held: &'a mut Vec<u8>, chunk: &'a [u8]) -> &'a [u8] {
    if held.is_empty() {
        return chunk;
    }
    held.extend_from_slice(chunk);
    held
}

/// What is kept of [`joined`] when so much of it is done with; holds no memory when that is all.
pub(crate) fn left_over(held: Vec<u8>, chunk: &[u8], done: usize) -> Vec<u8> {
    match (held.is_empty(), done) {
        (true, _) => chunk[done..].to_vec(),
        (false, 0) => held,
        (false, _) => held[done..].to_vec(),
    }
}

/// Empties a scratch buffer; a large one gives its memory back.
fn clear(scratch: &mut Vec<u8>) {
    if scratch.capacity() > KEEP_UP_TO { *scratch = Vec::new() } else { scratch.clear() }
}
