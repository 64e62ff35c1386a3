//! Connections on the running kernel.

#![allow(clippy::expect_used, clippy::panic)]

mod support;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;

use quantumos_ebpf::{Class, ConnectEvent, Event, Rings, SecurityProbes, Settings};
use support::{load, wait_for};

const TCP: u16 = 6;
const UDP: u16 = 17;

fn connections() -> Option<(SecurityProbes, Rings)> {
    load(&Settings {
        classes: [Class::Connect].into(),
        ignore_self: false,
        ..Settings::default()
    })
}

/// The first connection that this process makes to `port`.
fn next(rings: &mut Rings, port: u16) -> ConnectEvent {
    wait_for(rings, "connect", |event| match event {
        Event::Connect(connect)
            if connect.context.process.pid == std::process::id() && connect.port == port =>
        {
            Some(connect.clone())
        }
        _ => None,
    })
}

#[test]
fn a_refused_connection_is_seen_with_its_peer() {
    let Some((_probes, mut rings)) = connections() else {
        return;
    };
    for address in [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ] {
        let Ok(listener) = TcpListener::bind((address, 0)) else {
            println!("skipped: no {address}");
            continue;
        };
        let port = listener.local_addr().expect("address").port();
        drop(listener);
        TcpStream::connect((address, port)).expect_err("nobody listens");
        let event = next(&mut rings, port);
        assert_eq!(
            (event.address, event.port, event.protocol),
            (address, port, TCP)
        );
        assert_eq!(event.context.tid, nix::unistd::gettid().as_raw() as u32);
        assert_eq!(event.context.uid, nix::unistd::getuid().as_raw());
    }
}

#[test]
fn an_accepted_connection_is_seen_once() {
    let Some((_probes, mut rings)) = connections() else {
        return;
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("listen");
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("listen");
    let port = |listener: &TcpListener| listener.local_addr().expect("address").port();
    let _one = TcpStream::connect((Ipv4Addr::LOCALHOST, port(&listener))).expect("connect");
    let _two = TcpStream::connect((Ipv4Addr::LOCALHOST, port(&other))).expect("connect");
    let mut times = 0;
    wait_for(&mut rings, "the second", |event| match event {
        Event::Connect(connect) if connect.port == port(&listener) => {
            times += 1;
            None
        }
        Event::Connect(connect) if connect.port == port(&other) => Some(()),
        _ => None,
    });
    assert_eq!(times, 1);
}

#[test]
fn datagram_peers_are_seen() {
    let Some((_probes, mut rings)) = connections() else {
        return;
    };
    for address in [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ] {
        let Ok(peer) = UdpSocket::bind((address, 0)) else {
            println!("skipped: no {address}");
            continue;
        };
        let port = peer.local_addr().expect("address").port();
        let socket = UdpSocket::bind((address, 0)).expect("bind");
        socket.connect((address, port)).expect("connect");
        let event = next(&mut rings, port);
        assert_eq!((event.address, event.protocol), (address, UDP));
    }
}

#[test]
fn a_mapped_address_is_given_as_ipv4() {
    let Some((_probes, mut rings)) = connections() else {
        return;
    };
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        println!("skipped: no IPv6");
        return;
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("listen");
    let port = listener.local_addr().expect("address").port();
    let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
    TcpStream::connect((mapped, port)).expect("connect");
    assert_eq!(
        next(&mut rings, port).address,
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    );
}

#[test]
fn local_sockets_are_not_reported() {
    let Some((_probes, mut rings)) = connections() else {
        return;
    };
    let directory = tempfile::tempdir().expect("directory");
    UnixStream::connect(directory.path().join("nothing")).expect_err("nobody listens");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("listen");
    let port = listener.local_addr().expect("address").port();
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("connect");
    let own = std::process::id();
    let first = wait_for(&mut rings, "connect", |event| match event {
        Event::Connect(connect)
            if connect.context.process.pid == own
                && connect.context.tid == nix::unistd::gettid().as_raw() as u32 =>
        {
            Some(connect.port)
        }
        _ => None,
    });
    assert_eq!(first, port);
}
