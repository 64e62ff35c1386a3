//! Kernel uevents over netlink: devices that come, go and change.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, socket,
    },
};
use quantumos_dimensions::event::Uevent;
use tokio::io::{Interest, unix::AsyncFd};

use super::{Told, watch};

/// The multicast group in which the kernel itself speaks; udev speaks in group 2.
const KERNEL: u32 = 1;
/// Longest uevent that the kernel makes (`UEVENT_BUFFER_SIZE` and a header).
const LONGEST: usize = 4096;

/// A socket that hears uevents.
#[derive(Debug)]
pub(crate) struct Uevents {
    socket: AsyncFd<OwnedFd>,
}

impl Uevents {
    /// # Errors
    /// The sandbox or the kernel may refuse the socket.
    pub fn open() -> io::Result<Self> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::NetlinkKObjectUEvent,
        )?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, KERNEL))?;
        Ok(Self {
            socket: watch(socket, Interest::READABLE)?,
        })
    }

    /// The next uevent.
    ///
    /// # Errors
    /// The socket is of no more use.
    pub async fn next(&self) -> io::Result<Told> {
        let mut buffer = [0_u8; LONGEST];
        loop {
            let mut guard = self.socket.readable().await?;
            match recvfrom::<NetlinkAddr>(self.socket.as_raw_fd(), &mut buffer) {
                Ok((length, sender)) => {
                    // Only the kernel has port 0: others may not speak in its name.
                    if sender.is_some_and(|sender| sender.pid() == 0)
                        && let Some(uevent) = buffer.get(..length).and_then(Uevent::parse)
                    {
                        return Ok(Told::Uevent(uevent));
                    }
                }
                Err(Errno::EAGAIN) => guard.clear_ready(),
                Err(Errno::EINTR) => {}
                Err(Errno::ENOBUFS) => return Ok(Told::Lost),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
