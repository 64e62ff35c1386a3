//! Answers of name servers as they come to this host, on whatever interface: a packet socket that the kernel hands
//! nothing else. The kernel does so before it hands the answer to who asked, so a name is here before it is used.

use crate::answer;
use crate::clock::boot_time;
use crate::names::Names;
use nix::cmsg_space;
use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

/// The longest packet that is read, in bytes.
const LONGEST: u32 = 4096;
/// The most packets taken at a time.
const BATCH: u32 = 64;
/// The most packets taken in a second: who sends more must not have the daemon exceed its budget.
const PACE: u32 = 1000;

/// Where answers come in.
#[derive(Debug)]
pub struct Answers {
    socket: Socket,
    buffer: Vec<u8>,
    control: Vec<u8>,
    second: Instant,
    left: u32,
    told: u64,
    /// What was counted.
    pub counted: Counted,
}

/// What became of packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Answers that named an address.
    pub taken: u64,
    /// Packets that couldn't be read.
    pub unreadable: u64,
    /// Packets that there was no room for.
    pub lost: u64,
}

impl Answers {
    /// Listens.
    ///
    /// # Errors
    /// When the system doesn't let this process see packets (CAP_NET_RAW).
    pub fn open() -> io::Result<Self> {
        let all = (libc::ETH_P_ALL as u16).to_be();
        let socket = Socket::new(
            Domain::PACKET,
            Type::DGRAM.nonblocking().cloexec(),
            Some(Protocol::from(i32::from(all))),
        )?;
        // What came before the filter is looked at once more when it is read.
        socket.attach_filter(&filter())?;
        setsockopt(&socket, sockopt::RxqOvfl, &1)?;
        Ok(Self {
            socket,
            buffer: vec![0; LONGEST as usize],
            control: cmsg_space!(u32),
            second: Instant::now(),
            left: PACE,
            told: 0,
            counted: Counted::default(),
        })
    }

    /// What to wait on.
    ///
    /// # Errors
    /// For how long not to look, when there was too much of late.
    pub fn wait(&self, now: Instant) -> Result<BorrowedFd<'_>, Duration> {
        match self.pause(now) {
            Duration::ZERO => Ok(self.socket.as_fd()),
            left => Err(left),
        }
    }

    fn pause(&self, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.second);
        match self.left {
            0 => Duration::from_secs(1).saturating_sub(passed),
            _ => Duration::ZERO,
        }
    }

    /// Takes what is there, a bounded number at a time.
    pub fn take(&mut self, names: &mut Names) {
        let now = Instant::now();
        if now.saturating_duration_since(self.second) >= Duration::from_secs(1) {
            (self.second, self.left) = (now, PACE);
        }
        for _ in 0..BATCH.min(self.left) {
            // Nothing more, or an interface that went down: there is nothing to be done about either.
            let Some(length) = self.receive() else { break };
            self.left -= 1;
            match answer::read(self.buffer.get(..length).unwrap_or_default()) {
                Ok(Some(answer)) => {
                    self.counted.taken += 1;
                    names.learn(&answer, boot_time());
                }
                Ok(None) => {}
                Err(_) => self.counted.unreadable += 1,
            }
        }
    }

    /// How many packets were lost since this was asked.
    pub fn lost(&mut self) -> u64 {
        self.counted.lost - std::mem::replace(&mut self.told, self.counted.lost)
    }

    fn receive(&mut self) -> Option<usize> {
        let mut parts = [IoSliceMut::new(&mut self.buffer)];
        let (control, flags) = (Some(self.control.as_mut_slice()), MsgFlags::empty());
        let got = recvmsg::<()>(self.socket.as_raw_fd(), &mut parts, control, flags).ok()?;
        for message in got.cmsgs().into_iter().flatten() {
            if let ControlMessageOwned::RxqOvfl(lost) = message {
                // The kernel counts from the start, in 32 bits.
                let more = lost.wrapping_sub(self.counted.lost as u32);
                self.counted.lost += u64::from(more);
            }
        }
        Some(got.bytes)
    }
}

/// Lets UDP from port 53 to this host pass, over IPv4 but for later pieces, and over IPv6 without extension headers.
fn filter() -> [SockFilter; 18] {
    use libc::{BPF_ABS, BPF_B, BPF_H, BPF_IND, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD};
    use libc::{BPF_LDX, BPF_MSH, BPF_RET};
    let step = |code: u32, yes, no, k| SockFilter::new(code as u16, yes, no, k);
    let load = |size, mode, at| step(BPF_LD | size | mode, 0, 0, at);
    // How many steps to pass over if so, and if not.
    let equal = |value, yes, no| step(BPF_JMP | BPF_JEQ | BPF_K, yes, no, value);
    let about = |what: i32| load(BPF_H, BPF_ABS, (libc::SKF_AD_OFF + what) as u32);
    [
        about(libc::SKF_AD_PKTTYPE),
        equal(u32::from(libc::PACKET_HOST), 0, 15),
        about(libc::SKF_AD_PROTOCOL),
        equal(libc::ETH_P_IPV6 as u32, 8, 0),
        equal(libc::ETH_P_IP as u32, 0, 12),
        load(BPF_B, BPF_ABS, 9),
        equal(17, 0, 10),
        load(BPF_H, BPF_ABS, 6),
        step(BPF_JMP | BPF_JSET | BPF_K, 8, 0, 0x1fff),
        step(BPF_LDX | BPF_B | BPF_MSH, 0, 0, 0),
        load(BPF_H, BPF_IND, 0),
        equal(53, 4, 5),
        load(BPF_B, BPF_ABS, 6),
        equal(17, 0, 3),
        load(BPF_H, BPF_ABS, 40),
        equal(53, 0, 1),
        step(BPF_RET | BPF_K, 0, 0, LONGEST),
        step(BPF_RET | BPF_K, 0, 0, 0),
    ]
}

#[cfg(test)]
mod tests;
