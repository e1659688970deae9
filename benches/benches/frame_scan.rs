//! How fast frames are found in bytes from a socket: [`howdah_protocol::frame`] over whole buffers, by headers alone.

#![allow(clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use howdah_protocol::frame::{self, Direction, Limits, Step};
use howdah_protocol::write;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("frame_scan");
    Scan::from_server().rows(1_000, 4).bench(&mut group, "1000 rows of 4 bytes");
    Scan::from_server().rows(1_000, 100).bench(&mut group, "1000 rows of 100 bytes");
    Scan::from_server().rows(10, 100_000).bench(&mut group, "10 rows of 100 kB");
    Scan::from_client().pipeline(1).bench(&mut group, "Bind Execute Sync");
    Scan::from_client().pipeline(100).bench(&mut group, "100 times Bind Execute, Sync");
    group.finish();
    criterion.final_summary();
}

/// The bytes that are scanned.
struct Scan {
    direction: Direction,
    frames: usize,
    bytes: Vec<u8>,
}

impl Scan {
    fn from_server() -> Self {
        Self { direction: Direction::FromServer, frames: 0, bytes: Vec::new() }
    }

    fn from_client() -> Self {
        Self { direction: Direction::FromClient, frames: 0, bytes: Vec::new() }
    }

    /// DataRows with one value of this length (bytes).
    fn rows(mut self, count: usize, length: usize) -> Self {
        let value = vec![b'x'; length];
        for _ in 0..count {
            write::data_row(&mut self.bytes, &[Some(&value)]).unwrap();
        }
        self.frames += count;
        self
    }

    /// `count` times Bind and Execute, and a Sync.
    fn pipeline(mut self, count: usize) -> Self {
        for _ in 0..count {
            // One parameter in text form, `42`; results in text form.
            write::bind(&mut self.bytes, b"", b"statement_1", b"\0\0\0\x01\0\0\0\x0242\0\0").unwrap();
            write::execute(&mut self.bytes, b"", 0).unwrap();
        }
        write::sync(&mut self.bytes);
        self.frames += 2 * count + 1;
        self
    }

    fn bench(self, group: &mut BenchmarkGroup<'_, WallTime>, name: &str) {
        let limits = Limits::default();
        assert_eq!(count(self.direction, &limits, &self.bytes), self.frames);
        group.throughput(Throughput::Elements(self.frames as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| count(self.direction, &limits, black_box(&self.bytes)));
        });
    }
}

/// Goes through whole frames as the relay does.
fn count(direction: Direction, limits: &Limits, mut bytes: &[u8]) -> usize {
    let mut frames = 0;
    while let Step::Complete(frame) = frame::next(direction, limits, bytes).unwrap() {
        bytes = &bytes[frame.bytes.len()..];
        frames += 1;
    }
    frames
}
