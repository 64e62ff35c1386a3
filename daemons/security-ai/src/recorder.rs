//! Writes events down for who asks, as a capture: one JSON object a line, and a last line that says how it ended.
//!
//! The thread that takes events hands lines to a queue and never waits; what the queue has no room for is counted and
//! told in a line of its own as soon as there is room, and in the last line. A thread of its own writes them to the descriptor, and gives up when nobody reads.

use crate::clock;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use quantumos_detect::{Event, capture};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

/// Lines that may wait for the reader.
const QUEUE: usize = 8192;
/// How long a reader may read nothing.
const PATIENCE: u16 = 5000;
/// The longest recording.
pub const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Where the thread that takes events puts them.
#[derive(Debug)]
pub struct Tap {
    lines: SyncSender<String>,
    dropped: Arc<AtomicU64>,
}

impl Tap {
    /// Writes an event down; whether the recording goes on. `time` in microseconds of the real-time clock.
    pub fn take(&self, event: &impl Event, time: u64) -> bool {
        match self.lines.try_send(capture::write(event, time)) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(TrySendError::Disconnected(_)) => false,
        }
    }

    /// Whether anybody still reads.
    #[must_use]
    pub fn is_over(&self) -> bool {
        // The writer holds the other one until it ends.
        Arc::strong_count(&self.dropped) == 1
    }
}

/// Starts a recording into a descriptor. It ends after `length`, when the reader closes, or with the tap.
///
/// # Errors
/// When the descriptor can't be used, or the system gives no thread.
pub fn start(to: OwnedFd, length: Duration) -> io::Result<Tap> {
    start_with(to, length, PATIENCE)
}

/// The same, for a reader that may read nothing for `patience` milliseconds.
fn start_with(to: OwnedFd, length: Duration, patience: u16) -> io::Result<Tap> {
    let flags = OFlag::from_bits_truncate(fcntl(&to, FcntlArg::F_GETFL)?);
    fcntl(&to, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    let (lines, waiting) = sync_channel(QUEUE);
    let dropped = Arc::new(AtomicU64::new(0));
    let counted = dropped.clone();
    std::thread::Builder::new()
        .name("recorder".into())
        .stack_size(256 * 1024)
        .spawn(move || {
            let end = Instant::now() + length.min(LONGEST);
            if let Err(error) = record(Slow(File::from(to), patience), &waiting, end, &counted) {
                tracing::info!(%error, "a recording ended early");
            }
        })?;
    Ok(Tap { lines, dropped })
}

/// A descriptor whose reader may be slow, and for how many milliseconds it may read nothing.
struct Slow(File, u16);

fn record(
    mut to: Slow,
    waiting: &Receiver<String>,
    end: Instant,
    dropped: &AtomicU64,
) -> io::Result<()> {
    let now = || clock::real_time(clock::boot_time());
    let (started, mut events, mut told) = (now(), 0_u64, 0);
    let left = || end.saturating_duration_since(Instant::now());
    while let Ok(line) = waiting.recv_timeout(left()) {
        let so_far = dropped.load(Ordering::Relaxed);
        if so_far != told {
            // A reader that never gets the last line knows this much.
            told = so_far;
            write(&mut to, format!("{{\"dropped\":{so_far}}}\n").as_bytes())?;
        }
        write(&mut to, line.as_bytes())?;
        write(&mut to, b"\n")?;
        events += 1;
        if left().is_zero() {
            break;
        }
    }
    let last = serde_json::json!({
        "end": {"started_at": started, "ended_at": now(), "events": events, "dropped": dropped.load(Ordering::Relaxed)},
    });
    write(&mut to, format!("{last}\n").as_bytes())
}

/// Writes all, waiting for the reader where it has to, but not for ever.
fn write(Slow(to, patience): &mut Slow, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let mut descriptors = [PollFd::new(to.as_fd(), PollFlags::POLLOUT)];
                if poll(&mut descriptors, PollTimeout::from(*patience))? == 0 {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use quantumos_detect::{Class, Field, Record};
    use std::io::{BufRead, BufReader};

    fn event(n: usize) -> Record {
        Record::new(Class::ProcessCreation).with(Field::Image, format!("/bin/{n}"))
    }

    #[test]
    fn what_is_taken_is_written_and_the_end_is_told() {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let tap = start(writer, LONGEST).unwrap();
        for n in 0..3 {
            assert!(tap.take(&event(n), n as u64));
        }
        assert!(!tap.is_over());
        drop(tap);
        let lines: Vec<_> = BufReader::new(File::from(reader))
            .lines()
            .map(Result::unwrap)
            .collect();
        assert_eq!(lines.len(), 4);
        let read = capture::read(&lines[2]).unwrap();
        assert_eq!((read.time, read.record), (2, event(2)));
        let end: serde_json::Value = serde_json::from_str(&lines[3]).unwrap();
        assert_eq!(
            (&end["end"]["events"], &end["end"]["dropped"]),
            (&3.into(), &0.into())
        );
    }

    #[test]
    fn a_reader_that_reads_nothing_holds_nobody_up_and_drops_are_counted() {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let tap = start_with(writer, LONGEST, u16::MAX).unwrap();
        let taken = 4 * QUEUE;
        for n in 0..taken {
            assert!(tap.take(&event(n), 0));
        }
        drop(tap);
        let lines: Vec<_> = BufReader::new(File::from(reader))
            .lines()
            .map(Result::unwrap)
            .collect();
        let end: serde_json::Value = serde_json::from_str(lines.last().unwrap()).unwrap();
        let (events, dropped) = (&end["end"]["events"], &end["end"]["dropped"]);
        assert!(dropped.as_u64().unwrap() > 0);
        assert_eq!(
            events.as_u64().unwrap() + dropped.as_u64().unwrap(),
            taken as u64
        );
        let told: Vec<u64> = lines
            .iter()
            .filter_map(|line| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["dropped"].as_u64()
            })
            .collect();
        assert!(!told.is_empty() && told.is_sorted() && told.last() <= dropped.as_u64().as_ref());
        let others = 1 + told.len() as u64;
        assert_eq!(lines.len() as u64 - others, events.as_u64().unwrap());
    }

    #[test]
    fn a_reader_that_leaves_ends_it() {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let tap = start(writer, LONGEST).unwrap();
        drop(reader);
        // The writer meets the closed end with one of the next lines.
        while tap.take(&event(0), 0) {
            std::thread::yield_now();
        }
        while !tap.is_over() {
            std::thread::yield_now();
        }
    }
}
