//! Messages by hand, as a name server or somebody hostile would write them.

use super::*;
use proptest::prelude::*;

const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;

/// A name as it is written out, without compression.
fn name(text: &str) -> Vec<u8> {
    let labels = text.split('.').filter(|label| !label.is_empty());
    let mut out: Vec<u8> = labels
        .flat_map(|label| std::iter::once(label.len() as u8).chain(label.bytes()))
        .collect();
    out.push(0);
    out
}

fn record(owner: &[u8], kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let mut out = owner.to_vec();
    out.extend(kind.to_be_bytes());
    out.extend(1_u16.to_be_bytes());
    out.extend(ttl.to_be_bytes());
    out.extend((data.len() as u16).to_be_bytes());
    out.extend(data);
    out
}

/// A message with one question, whose name stands at 12.
fn reply(flags: u16, asked: &[u8], answers: u16, records: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![0x12, 0x34];
    for number in [flags, 1, answers, 0, 0] {
        out.extend(number.to_be_bytes());
    }
    out.extend(asked);
    out.extend([0, 1, 0, 1]);
    out.extend(records.concat());
    out
}

const ANSWER: u16 = 0x8180;
/// Where the question's name stands.
const ASKED: &[u8] = &[0xc0, 12];

fn v4(bytes: &[u8], port: u16, protocol: u8, offset: u16) -> Vec<u8> {
    let mut out = vec![0x46, 0, 0, 0, 0, 0];
    out.extend(offset.to_be_bytes());
    out.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 1, 1, 1, 1]);
    out.extend(udp(bytes, port));
    out
}

fn v6(bytes: &[u8], next: u8) -> Vec<u8> {
    let mut out = vec![0x60, 0, 0, 0, 0, 0, next, 64];
    out.extend([0; 32]);
    out.extend(udp(bytes, 53));
    out
}

fn udp(bytes: &[u8], port: u16) -> Vec<u8> {
    let mut out = port.to_be_bytes().to_vec();
    out.extend(40_000_u16.to_be_bytes());
    out.extend((bytes.len() as u16 + 8).to_be_bytes());
    out.extend([0, 0]);
    out.extend(bytes);
    out
}

fn pool() -> Vec<u8> {
    let record = record(ASKED, A, 300, &[192, 0, 2, 7]);
    reply(ANSWER, &name("Pool.MineXMR.com"), 1, &[record])
}

fn addresses(of: &[(&str, u32)]) -> Vec<(IpAddr, u32)> {
    of.iter()
        .map(|(address, ttl)| (address.parse().unwrap(), *ttl))
        .collect()
}

#[test]
fn an_address_is_known_by_the_name_that_was_asked_for() {
    let chain = [
        record(ASKED, CNAME, 60, &name("b.example")),
        record(&name("B.example"), CNAME, 60, &name("c.example")),
        record(&name("c.example"), A, 20, &[192, 0, 2, 1]),
        record(&name("other.example"), A, 20, &[192, 0, 2, 2]),
        record(&name("c.example"), A, 30, &[192, 0, 2, 3]),
    ];
    let six: std::net::Ipv6Addr = "2001:db8::1".parse().unwrap();
    let mapped: std::net::Ipv6Addr = "::ffff:192.0.2.9".parse().unwrap();
    let sixes = [
        record(ASKED, AAAA, 9, &six.octets()),
        record(ASKED, AAAA, 9, &mapped.octets()),
    ];
    for (bytes, wanted) in [
        (pool(), addresses(&[("192.0.2.7", 300)])),
        (
            reply(ANSWER, &name("pool.minexmr.com"), 5, &chain),
            addresses(&[("192.0.2.1", 20), ("192.0.2.3", 30)]),
        ),
        (
            reply(ANSWER, &name("pool.minexmr.com"), 2, &sixes),
            addresses(&[("2001:db8::1", 9), ("192.0.2.9", 9)]),
        ),
    ] {
        let answer = read_message(&bytes).unwrap().unwrap();
        assert_eq!(answer.name, "pool.minexmr.com");
        assert_eq!(answer.addresses, wanted);
    }
}

#[test]
fn what_names_no_host_is_nothing() {
    let one = |data: &[u8]| vec![record(ASKED, A, 1, data)];
    let x = name("x.example");
    for (what, bytes) in [
        ("a question", reply(0x0100, &x, 0, &[])),
        ("NXDOMAIN", reply(0x8183, &x, 1, &one(&[192, 0, 2, 1]))),
        ("an update", reply(0xa800, &x, 1, &one(&[192, 0, 2, 1]))),
        ("no records", reply(ANSWER, &x, 0, &[])),
        ("loopback", reply(ANSWER, &x, 1, &one(&[127, 0, 0, 1]))),
        ("no address", reply(ANSWER, &x, 1, &one(&[0, 0, 0, 0]))),
        ("the root", reply(ANSWER, &[0], 1, &one(&[192, 0, 2, 1]))),
        (
            "another name's address",
            reply(
                ANSWER,
                &x,
                1,
                &[record(&name("y.example"), A, 1, &[192, 0, 2, 1])],
            ),
        ),
    ] {
        assert_eq!(read_message(&bytes), Ok(None), "{what}");
    }
}

#[test]
fn what_is_wrong_is_refused() {
    let x = name("x.example");
    let address = record(ASKED, A, 1, &[192, 0, 2, 1]);
    let circle = [
        record(ASKED, CNAME, 1, &name("y.example")),
        record(&name("y.example"), CNAME, 1, ASKED),
    ];
    let long: Vec<u8> = [&[63][..], &[b'a'; 63]].concat().repeat(5);
    for (what, bytes) in [
        ("nothing", Vec::new()),
        ("half a header", pool()[..7].to_vec()),
        ("aliases in a circle", reply(ANSWER, &x, 2, &circle)),
        (
            "a name that is itself",
            reply(ANSWER, ASKED, 1, std::slice::from_ref(&address)),
        ),
        (
            "a pointer forward",
            reply(ANSWER, &[0xc0, 0xff], 1, std::slice::from_ref(&address)),
        ),
        (
            "a label of no kind",
            reply(ANSWER, &[0x80, 1], 1, std::slice::from_ref(&address)),
        ),
        (
            "a name too long",
            reply(
                ANSWER,
                &[long, vec![0]].concat(),
                1,
                std::slice::from_ref(&address),
            ),
        ),
        (
            "more records than there are",
            reply(ANSWER, &x, 2, &[address]),
        ),
        (
            "an address of three bytes",
            reply(ANSWER, &x, 1, &[record(ASKED, A, 1, &[1, 2, 3])]),
        ),
    ] {
        assert!(read_message(&bytes).is_err(), "{what}");
    }
    let mut two = pool();
    two[5] = 2;
    assert!(read_message(&two).is_err(), "two questions");
}

#[test]
fn names_that_are_no_text_are_written_out() {
    let asked = [3, b'A', b'.', 0xff, 2, b'i', b'o', 0];
    let bytes = reply(ANSWER, &asked, 1, &[record(ASKED, A, 1, &[192, 0, 2, 1])]);
    assert_eq!(read_message(&bytes).unwrap().unwrap().name, r"a\.\255.io");
}

#[test]
fn an_answer_has_no_more_addresses_than_are_taken() {
    let many: Vec<_> = (0..200_u8)
        .map(|n| record(ASKED, A, 1, &[192, 0, 2, n]))
        .collect();
    let bytes = reply(ANSWER, &name("x"), 200, &many);
    assert_eq!(read_message(&bytes).unwrap().unwrap().addresses.len(), MOST);
}

#[test]
fn only_datagrams_from_name_servers_are_read() {
    let known = read_message(&pool()).unwrap();
    assert!(known.is_some());
    for (what, packet, wanted) in [
        ("IPv4 with options", v4(&pool(), 53, UDP, 0), &known),
        ("the first piece", v4(&pool(), 53, UDP, 0x2000), &known),
        ("IPv6", v6(&pool(), UDP), &known),
        (
            "a padded frame",
            [v4(&pool(), 53, UDP, 0), vec![0; 9]].concat(),
            &known,
        ),
        ("a later piece", v4(&pool(), 53, UDP, 1), &None),
        ("another port", v4(&pool(), 5353, UDP, 0), &None),
        ("TCP", v4(&pool(), 53, 6, 0), &None),
        ("an extension header", v6(&pool(), 0), &None),
        ("another protocol", vec![0; 64], &None),
        ("nothing", Vec::new(), &None),
        (
            "half a packet",
            v4(&pool(), 53, UDP, 0)[..27].to_vec(),
            &None,
        ),
    ] {
        assert_eq!(read(&packet).as_ref(), Ok(wanted), "{what}");
    }
    assert_eq!(read(&v4(&pool()[..9], 53, UDP, 0)), Err(Unreadable::Short));
}

proptest! {
    #[test]
    fn no_part_of_an_answer_is_another_one(cut in 0..pool().len()) {
        prop_assert!(read_message(&pool()[..cut]).is_err());
    }

    #[test]
    fn nothing_is_too_strange(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), answer: bool) {
        if answer && bytes.len() > 12 {
            bytes[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 3, 0, 0, 0, 0]);
        }
        for read in [read_message(&bytes), read(&bytes), read(&v4(&bytes, 53, UDP, 0))] {
            if let Ok(Some(answer)) = read {
                prop_assert!(answer.addresses.len() <= MOST);
                prop_assert!(answer.name.is_ascii() && answer.name.len() <= 1024);
            }
        }
    }

    #[test]
    fn a_changed_byte_is_no_trouble(at in 0..pool().len(), to: u8) {
        let mut bytes = pool();
        bytes[at] = to;
        let _ = read_message(&bytes);
    }
}
