//! One test of one field: asked of an event, and what that costs.

use crate::event::{Event, Room, Value, bytes_of};
use crate::expression::Atom;
use crate::field::Field;
use crate::modifier::{self, Mode, Predicate};
use crate::pattern::Anchor;

impl Atom {
    pub(crate) fn looks_at(&self, field: Field) -> bool {
        self.field == field || self.other() == Some(field)
    }

    /// Whether it looks at none but these fields.
    pub(crate) fn settled(&self, fields: &[Field]) -> bool {
        let other = self.other();
        fields.contains(&self.field) && other.is_none_or(|field| fields.contains(&field))
    }

    fn other(&self) -> Option<Field> {
        match &self.predicate {
            Predicate::SameAs { field, .. } => *field,
            _ => None,
        }
    }

    /// What asking costs, roughly, in nanoseconds for a command line.
    pub(crate) fn effort(&self) -> u32 {
        match &self.predicate {
            Predicate::Like { pattern, .. } => match pattern.anchored() {
                Some((Anchor::Anywhere, _)) => 40,
                Some(_) => 10,
                None => 80,
            },
            Predicate::Regex { .. } => 200,
            Predicate::Exists | Predicate::Null => 5,
            Predicate::Compare(..) | Predicate::Cidr { .. } => 15,
            Predicate::SameAs { .. } => 20,
        }
    }

    /// Whether the test holds for any of the field's values.
    pub(crate) fn holds(&self, event: &impl Event) -> bool {
        let mut present = false;
        let mut any = false;
        event.each(self.field, &mut |value| {
            let mut room = Room::new();
            let empty = matches!(value, Value::Bytes(b""));
            present |= !(empty && matches!(self.predicate, Predicate::Null));
            any = any || holds(&self.predicate, value, event, &mut room);
        });
        match self.predicate {
            Predicate::Null => !present,
            _ => any,
        }
    }
}

fn holds<'a>(
    predicate: &Predicate,
    value: Value<'a>,
    event: &impl Event,
    room: &'a mut Room,
) -> bool {
    match predicate {
        Predicate::Like { pattern, cased } => pattern.matches(bytes_of(value, room), *cased),
        Predicate::Regex { regex, .. } => regex.is_match(bytes_of(value, room)),
        Predicate::Exists => true,
        Predicate::Null => false,
        Predicate::Cidr { network, prefix } => {
            let address = match value {
                Value::Address(address) => Some(address),
                other => std::str::from_utf8(bytes_of(other, room))
                    .ok()
                    .and_then(|text| text.parse().ok()),
            };
            address.is_some_and(|address| modifier::in_network(address, *network, *prefix))
        }
        Predicate::Compare(comparison, number) => {
            let left = match value {
                Value::Number(left) => Some(left),
                other => std::str::from_utf8(bytes_of(other, room))
                    .ok()
                    .and_then(|text| text.parse().ok()),
            };
            left.is_some_and(|left| comparison.holds(left, *number))
        }
        Predicate::SameAs {
            field: other,
            mode,
            cased,
            ..
        } => {
            let left = bytes_of(value, room);
            let mut same = false;
            if let Some(field) = other {
                event.each(*field, &mut |right| {
                    let mut room = Room::new();
                    same = same || compares(left, bytes_of(right, &mut room), *mode, *cased);
                });
            }
            same
        }
    }
}

fn compares(left: &[u8], right: &[u8], mode: Mode, cased: bool) -> bool {
    let same = |a: &[u8], b: &[u8]| {
        if cased {
            a == b
        } else {
            a.eq_ignore_ascii_case(b)
        }
    };
    match mode {
        Mode::Whole => same(left, right),
        Mode::StartsWith => left
            .get(..right.len())
            .is_some_and(|start| same(start, right)),
        Mode::EndsWith => left
            .len()
            .checked_sub(right.len())
            .is_some_and(|at| same(&left[at..], right)),
        Mode::Contains => {
            right.is_empty() || left.windows(right.len()).any(|window| same(window, right))
        }
    }
}
