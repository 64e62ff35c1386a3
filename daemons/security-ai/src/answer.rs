//! What a name server answered, read from the packet that brought it: the name that was asked for and the addresses
//! that it leads to. Packets are anybody's: whatever is not an answer is nothing, and what can't be read is an error.

use domain::base::iana::{Opcode, Rcode};
use domain::base::message::ShortMessage;
use domain::base::wire::ParseError;
use domain::base::{Message, ParsedName};
use domain::rdata::{A, Aaaa};
use std::net::IpAddr;

/// The most addresses taken from one answer.
pub const MOST: usize = 64;
/// The port that name servers answer from.
const PORT: u16 = 53;
const UDP: u8 = 17;

/// An answer that names addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The name that was asked for, lower case, without the final dot; bytes that are no text as `\DDD`.
    pub name: String,
    /// The addresses, and for how many seconds each may be kept.
    pub addresses: Vec<(IpAddr, u32)>,
}

/// Why an answer can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Fewer bytes than a header has.
    #[error("the message is shorter than its header")]
    Short,
    /// A name, a count or a length that isn't right.
    #[error("the message is malformed: {0}")]
    Malformed(ParseError),
    /// Aliases lead to each other, or there are too many.
    #[error("the aliases lead nowhere")]
    Aliases,
}

impl From<ShortMessage> for Unreadable {
    fn from(_: ShortMessage) -> Self {
        Self::Short
    }
}

impl From<ParseError> for Unreadable {
    fn from(error: ParseError) -> Self {
        Self::Malformed(error)
    }
}

/// Reads an IP packet; nothing where it isn't an answer from a name server that names an address.
///
/// # Errors
/// When it is from a name server's port, but can't be read.
pub fn read(packet: &[u8]) -> Result<Option<Answer>, Unreadable> {
    message(packet).map_or(Ok(None), read_message)
}

/// Reads a DNS message; nothing where it isn't an answer that names an address.
///
/// # Errors
/// When it can't be read.
pub fn read_message(bytes: &[u8]) -> Result<Option<Answer>, Unreadable> {
    let message = Message::from_octets(bytes)?;
    let header = message.header();
    if !header.qr() || header.opcode() != Opcode::QUERY || header.rcode() != Rcode::NOERROR {
        return Ok(None);
    }
    let question = message.sole_question()?;
    let last = message.canonical_name().ok_or(Unreadable::Aliases)?;
    let mut addresses = Vec::new();
    let mut note = |owner: &ParsedName<&[u8]>, address: IpAddr, ttl: u32| {
        // Who blocks names answers with addresses of no host: each local connection would have the name.
        let nobody = address.is_loopback() || address.is_unspecified();
        if *owner == last && !nobody && addresses.len() < MOST {
            addresses.push((address, ttl));
        }
    };
    for record in message.answer()?.limit_to_in::<A>() {
        let record = record?;
        let address = record.data().addr().into();
        note(record.owner(), address, record.ttl().as_secs());
    }
    for record in message.answer()?.limit_to_in::<Aaaa>() {
        let record = record?;
        let address = IpAddr::from(record.data().addr()).to_canonical();
        note(record.owner(), address, record.ttl().as_secs());
    }
    let name = question.qname().to_string().to_ascii_lowercase();
    let answer = Answer { name, addresses };
    Ok(Some(answer).filter(|one| !one.name.is_empty() && !one.addresses.is_empty()))
}

/// What an IP packet from a name server's port carries: of a packet in pieces, the first.
fn message(packet: &[u8]) -> Option<&[u8]> {
    let first = *packet.first()?;
    let (header, protocol) = match first >> 4 {
        4 if number(packet, 6)? & 0x1fff == 0 => (usize::from(first & 15) * 4, *packet.get(9)?),
        6 => (40, *packet.get(6)?),
        _ => return None,
    };
    let datagram = packet.get(header.max(20)..)?;
    if protocol != UDP || number(datagram, 0)? != PORT {
        return None;
    }
    let length = usize::from(number(datagram, 4)?).clamp(8, datagram.len().max(8));
    datagram.get(8..length)
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes(pair.try_into().ok()?))
}

#[cfg(test)]
mod tests;
