//! The real socket, on the loopback interface: needs CAP_NET_RAW, and CAP_NET_BIND_SERVICE for a name server's port.

use super::*;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Mutex;

/// Each socket sees what the other test sends.
static ONE: Mutex<()> = Mutex::new(());

/// `pool.example` has the address 192.0.2.N.
fn reply(n: u8) -> Vec<u8> {
    let mut out = b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x04pool\x07example\0\0\x01\0\x01".to_vec();
    out.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02");
    out.push(n);
    out
}

/// At an address of the loopback interface that no other process has.
fn own(port: u16) -> io::Result<UdpSocket> {
    let [.., high, low] = std::process::id().to_be_bytes();
    UdpSocket::bind((Ipv4Addr::new(127, 53, high, low), port))
}

/// The socket, and a name server's; nothing where this process may not have them.
fn both() -> Option<(Answers, UdpSocket)> {
    match (Answers::open(), own(53)) {
        (Ok(answers), Ok(server)) => Some((answers, server)),
        (answers, server) => {
            let why = answers.err().or(server.err());
            println!("skipped: no packet socket or name server's port: {why:?}");
            None
        }
    }
}

#[test]
fn answers_on_the_loopback_interface_are_taken_and_nothing_else() {
    let _one = ONE.lock();
    let Some((mut answers, server)) = both() else {
        return;
    };
    let asker = own(0).unwrap();
    let (other, to) = (own(0).unwrap(), asker.local_addr().unwrap());
    // One that isn't from a name server's port, one that can't be read, and one that is right.
    other.send_to(&reply(1), to).unwrap();
    server.send_to(&reply(2)[..20], to).unwrap();
    server.send_to(&reply(3), to).unwrap();
    let mut names = Names::default();
    let address = |n| Ipv4Addr::new(192, 0, 2, n).into();
    while names.get(address(3), boot_time()).is_none() {
        let wait = answers.wait(Instant::now()).unwrap();
        let mut waiting = [PollFd::new(wait, PollFlags::POLLIN)];
        assert!(poll(&mut waiting, PollTimeout::from(10_000_u16)).unwrap() > 0);
        answers.take(&mut names);
    }
    assert_eq!(names.get(address(3), boot_time()), Some("pool.example"));
    assert_eq!(names.get(address(1), boot_time()), None);
    assert!(answers.counted.taken >= 1 && answers.counted.unreadable >= 1);
}

#[test]
fn who_sends_too_much_is_left_alone_and_what_is_lost_is_counted() {
    let _one = ONE.lock();
    let Some((mut answers, server)) = both() else {
        return;
    };
    let asker = own(0).unwrap();
    let to = asker.local_addr().unwrap();
    let mut names = Names::default();
    // As if all of this second's had been taken, in a second that doesn't end.
    answers.left = 0;
    answers.second = Instant::now() + Duration::from_secs(3600);
    for _ in 0..20_000 {
        server.send_to(&reply(1), to).unwrap();
    }
    answers.take(&mut names);
    assert!(names.is_empty());
    assert!(answers.wait(Instant::now()).is_err());
    // The next second has come.
    answers.second = Instant::now() - Duration::from_secs(1);
    assert!(answers.wait(Instant::now()).is_ok());
    answers.take(&mut names);
    assert!(!names.is_empty());
    assert_eq!(answers.left, PACE - BATCH);
    // With what comes next the kernel says what it had no room for.
    while answers.receive().is_some() {}
    server.send_to(&reply(1), to).unwrap();
    while answers.receive().is_none() {
        let mut waiting = [PollFd::new(answers.socket.as_fd(), PollFlags::POLLIN)];
        assert!(poll(&mut waiting, PollTimeout::from(10_000_u16)).unwrap() > 0);
    }
    assert!(answers.lost() > 0);
    assert_eq!(answers.lost(), 0);
}
