//! What a rule is matched against: events of a class, with fields that hold bytes, numbers, flags or addresses.
//! Classes are listed in [`Class`], fields in [`Field`].
//! Values are bytes, not text, since names and arguments come from hostile programs.

use crate::class::Class;
use crate::field::Field;
use crate::shape::Shape;
use std::net::IpAddr;

/// One value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Text as the kernel has it: any bytes.
    Bytes(&'a [u8]),
    /// A number.
    Number(i64),
    /// A flag: `true` or `false` to a rule.
    Flag(bool),
    /// An address.
    Address(IpAddr),
    /// A system call's argument, which the audit system writes in hexadecimal.
    Hexadecimal(u64),
}

/// Something that rules can be matched against.
pub trait Event {
    /// What kind of event it is.
    fn class(&self) -> Class;
    /// Calls `visit` with each value of a field: not at all where the event has none, more than once for lists.
    /// Fields that the class doesn't carry ([`Class::carries`]) have no value.
    fn each(&self, field: Field, visit: &mut dyn FnMut(Value<'_>));
    /// What it was made from, where that settles some of its fields.
    fn shape(&self) -> Option<Shape> {
        None
    }
}

/// The bytes that a rule sees of a value, written into `room` where it isn't text already.
pub(crate) fn bytes_of<'a>(value: Value<'a>, room: &'a mut Room) -> &'a [u8] {
    match value {
        Value::Bytes(bytes) => bytes,
        Value::Flag(true) => b"true",
        Value::Flag(false) => b"false",
        Value::Number(number) => room.write(format_args!("{number}")),
        Value::Address(address) => room.write(format_args!("{address}")),
        Value::Hexadecimal(number) => room.write(format_args!("{number:x}")),
    }
}

/// Room for a number or an address as text: the longest IPv6 address takes 45 bytes.
pub(crate) struct Room {
    bytes: [u8; 64],
    used: usize,
}

impl Room {
    pub(crate) fn new() -> Self {
        Self {
            bytes: [0; 64],
            used: 0,
        }
    }

    fn write(&mut self, arguments: std::fmt::Arguments<'_>) -> &[u8] {
        self.used = 0;
        // Both writers stay far below the room's size.
        let _ = std::fmt::Write::write_fmt(self, arguments);
        &self.bytes[..self.used]
    }
}

impl std::fmt::Write for Room {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = self
            .bytes
            .get_mut(self.used..self.used + text.len())
            .ok_or(std::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.used += text.len();
        Ok(())
    }
}

/// An event that owns its values: for tests, captures and rule cases.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    class: Class,
    values: Vec<(Field, Owned)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Owned {
    Bytes(Vec<u8>),
    Number(i64),
    Flag(bool),
    Address(IpAddr),
    Hexadecimal(u64),
}

impl Record {
    /// An event without fields.
    #[must_use]
    pub fn new(class: Class) -> Self {
        Self {
            class,
            values: Vec::new(),
        }
    }

    /// Adds a text value. Adding a field twice makes a list of it.
    #[must_use]
    pub fn with(mut self, field: Field, value: impl Into<Vec<u8>>) -> Self {
        self.values.push((field, Owned::Bytes(value.into())));
        self
    }

    /// Adds a value of any kind.
    #[must_use]
    pub fn with_value(mut self, field: Field, value: Value<'_>) -> Self {
        let owned = match value {
            Value::Bytes(bytes) => Owned::Bytes(bytes.to_vec()),
            Value::Number(number) => Owned::Number(number),
            Value::Flag(flag) => Owned::Flag(flag),
            Value::Address(address) => Owned::Address(address),
            Value::Hexadecimal(number) => Owned::Hexadecimal(number),
        };
        self.values.push((field, owned));
        self
    }
}

impl Event for Record {
    fn class(&self) -> Class {
        self.class
    }

    fn each(&self, field: Field, visit: &mut dyn FnMut(Value<'_>)) {
        for (_, value) in self.values.iter().filter(|(f, _)| *f == field) {
            visit(match value {
                Owned::Bytes(bytes) => Value::Bytes(bytes),
                Owned::Number(number) => Value::Number(*number),
                Owned::Flag(flag) => Value::Flag(*flag),
                Owned::Address(address) => Value::Address(*address),
                Owned::Hexadecimal(number) => Value::Hexadecimal(*number),
            });
        }
    }
}
