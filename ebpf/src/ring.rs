//! The ring buffers' reading end. A drain is bounded, so that a flood of events cannot keep its caller from
//! everything else, and what one drain takes is handed over in order of time across classes.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use aya::maps::{MapData, RingBuf};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use crate::decode::decode;
use crate::event::{Class, Event};
use crate::layout::SOON_NS;

/// What a drain did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Drained {
    /// Events handed over.
    pub events: usize,
    /// Records that did not decode. Always 0 unless the kernel's side is broken.
    pub malformed: usize,
    /// The bound was reached: there may be more.
    pub more: bool,
}

/// The ring of one class.
pub struct Ring {
    class: Class,
    ring: RingBuf<MapData>,
}

impl Ring {
    pub(crate) const fn new(class: Class, ring: RingBuf<MapData>) -> Self {
        Self { class, ring }
    }

    /// Which class of event comes here.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.class
    }

    /// Takes up to `max` records, oldest first. Never waits.
    pub fn drain(&mut self, max: usize, take: &mut dyn FnMut(Event)) -> Drained {
        let mut drained = Drained::default();
        for _ in 0..max {
            let Some(record) = self.ring.next() else {
                return drained;
            };
            match decode(&record) {
                Ok(event) => {
                    drop(record);
                    drained.events += 1;
                    take(event);
                }
                Err(error) => {
                    drained.malformed += 1;
                    tracing::debug!(class = %self.class, %error, "a record does not decode");
                }
            }
        }
        drained.more = true;
        drained
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

impl AsRawFd for Ring {
    fn as_raw_fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }
}

/// The rings of every covered class behind one descriptor, which becomes readable when one of them gets a record that is
/// not to wait. Beginnings and ends of processes are let wait where another record came shortly before: after a drain
/// that found something, drain again after [`Rings::AGAIN`], readable or not.
///
/// It suits `tokio::io::unix::AsyncFd`: clear its readiness only after a drain that left nothing
/// ([`Drained::more`] false).
pub struct Rings {
    epoll: Epoll,
    rings: Vec<Ring>,
    batch: Vec<Event>,
}

impl Rings {
    /// How long after a drain that found something there has to be another.
    pub const AGAIN: Duration = Duration::from_nanos(2 * SOON_NS as u64);

    pub(crate) fn new(rings: Vec<Ring>) -> Result<Self, Errno> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        for (index, ring) in rings.iter().enumerate() {
            epoll.add(ring, EpollEvent::new(EpollFlags::EPOLLIN, index as u64))?;
        }
        Ok(Self {
            epoll,
            rings,
            batch: Vec::new(),
        })
    }

    /// Takes up to `max` records of each class and hands them over in order of time. Never waits.
    ///
    /// Order holds within one call; an event that a CPU was still writing comes with the next one, so
    /// a later call may bring an event that is older than the last of this one.
    pub fn drain(&mut self, max: usize, take: &mut dyn FnMut(Event)) -> Drained {
        let mut total = Drained::default();
        let batch = &mut self.batch;
        for ring in &mut self.rings {
            let one = ring.drain(max, &mut |event| batch.push(event));
            total.events += one.events;
            total.malformed += one.malformed;
            total.more |= one.more;
        }
        batch.sort_by_key(|event| event.context().time);
        for event in batch.drain(..) {
            take(event);
        }
        total
    }

    /// The rings one by one, for a caller that gives each class a task of its own.
    #[must_use]
    pub fn into_rings(self) -> Vec<Ring> {
        self.rings
    }
}

impl AsFd for Rings {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}

impl AsRawFd for Rings {
    fn as_raw_fd(&self) -> RawFd {
        self.epoll.0.as_raw_fd()
    }
}
