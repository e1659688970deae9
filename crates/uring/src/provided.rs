//! The buffers that receives are given by the kernel as data comes: one ring of them for all sockets of a thread,
//! so that a socket that waits holds none (io_uring_register_buf_ring(3)).
#![allow(
    unsafe_code,
    reason = "memory that is shared with the kernel; what makes each block sound stands beside it"
)]

use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

/// Buffers of a thread (count); a power of two, as the kernel asks.
pub(crate) const BUFFERS: u16 = 128;

/// Bytes of each: PERFORMANCE.md found 16 KB enough for bulk data.
pub(crate) const BUFFER_SIZE: usize = 16 * 1024;

/// The group's number; a thread has one group only.
pub(crate) const GROUP: u16 = 0;

/// What the kernel wants the ring of entries aligned to.
const PAGE: usize = 4096;

/// The ring of entries and the memory that they point to. Never freed: a kernel that still has a receive under way
/// would write into it. There is one a thread, for as long as the process lives.
pub(crate) struct Provided {
    entries: NonNull<BufRingEntry>,
    memory: NonNull<u8>,
    tail: u16,
    /// Buffers that we hold, not the kernel.
    held: u16,
}

fn zeroed(bytes: usize) -> io::Result<NonNull<u8>> {
    let layout = Layout::from_size_align(bytes, PAGE).map_err(io::Error::other)?;
    // SAFETY: the size is not zero: both callers pass a product of constants above it.
    let memory = unsafe { alloc_zeroed(layout) };
    NonNull::new(memory).map_or_else(|| handle_alloc_error(layout), Ok)
}

impl Provided {
    /// Makes the buffers and gives them all to the kernel.
    ///
    /// # Errors
    /// A kernel without buffer rings (before 5.19).
    pub(crate) fn register(submitter: &Submitter<'_>) -> io::Result<Self> {
        let entries = zeroed(usize::from(BUFFERS) * size_of::<BufRingEntry>())?.cast::<BufRingEntry>();
        let memory = zeroed(usize::from(BUFFERS) * BUFFER_SIZE)?;
        // SAFETY: the memory holds `BUFFERS` entries, is aligned to a page, and is never freed.
        unsafe { submitter.register_buf_ring_with_flags(entries.as_ptr() as u64, BUFFERS, GROUP, 0)? };
        let mut this = Self { entries, memory, tail: 0, held: BUFFERS };
        (0..BUFFERS).for_each(|id| this.give_back(id));
        Ok(this)
    }

    /// Buffers that the kernel has to give (count).
    pub(crate) fn free(&self) -> u16 {
        BUFFERS - self.held
    }

    /// The kernel has filled this one: it is ours until [`Provided::give_back`].
    pub(crate) fn take(&mut self) {
        self.held += 1;
    }

    /// Copies `target.len()` bytes that lie at `from` in a buffer that we hold.
    pub(crate) fn copy(&self, id: u16, from: usize, target: &mut [u8]) {
        assert!(id < BUFFERS && from + target.len() <= BUFFER_SIZE, "within the buffer");
        // SAFETY: checked above to be inside of the memory. The kernel does not write to a buffer that it has filled
        // and not got back, and the memory was zeroed, so the bytes are initialised.
        unsafe {
            let source = self.memory.as_ptr().add(usize::from(id) * BUFFER_SIZE + from);
            std::ptr::copy_nonoverlapping(source, target.as_mut_ptr(), target.len());
        }
    }

    /// The kernel may fill this one again.
    pub(crate) fn give_back(&mut self, id: u16) {
        assert!(id < BUFFERS && self.held > 0, "a buffer that we hold");
        let slot = usize::from(self.tail & (BUFFERS - 1));
        // SAFETY: the slot is below `BUFFERS`. The kernel reads no entry at or behind the tail, which is published
        // after the entry is written. The first entry's last field is the tail (io_uring_buf_ring); no setter of an
        // entry touches it.
        unsafe {
            let entry = &mut *self.entries.as_ptr().add(slot);
            entry.set_addr(self.memory.as_ptr().add(usize::from(id) * BUFFER_SIZE) as u64);
            entry.set_len(BUFFER_SIZE as u32);
            entry.set_bid(id);
            self.tail = self.tail.wrapping_add(1);
            let tail = BufRingEntry::tail(self.entries.as_ptr()).cast_mut();
            AtomicU16::from_ptr(tail).store(self.tail, Ordering::Release);
        }
        self.held -= 1;
    }
}
