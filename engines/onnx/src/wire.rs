//! The few forms of protobuf that an ONNX file is made of: varints and length-delimited fields.

use crate::Error;

/// The value of a field.
pub(crate) enum Value<'a> {
    /// A number.
    Number(u64),
    /// Bytes.
    Data(&'a [u8]),
}

impl<'a> Value<'a> {
    pub(crate) fn data(&self) -> Result<&'a [u8], Error> {
        match self {
            Self::Data(data) => Ok(data),
            Self::Number(_) => Err(Error::new("a number where bytes belong")),
        }
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn number(out: &mut Vec<u8>, field: u32, value: u64) {
    varint(out, u64::from(field) << 3);
    varint(out, value);
}

pub(crate) fn bytes(out: &mut Vec<u8>, field: u32, data: &[u8]) {
    varint(out, u64::from(field) << 3 | 2);
    varint(out, data.len() as u64);
    out.extend_from_slice(data);
}

/// Walks the fields of one message; ends after the first error.
pub(crate) fn fields(data: &[u8]) -> impl Iterator<Item = Result<(u32, Value<'_>), Error>> {
    let mut rest = data;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let item = one(&mut rest).ok_or_else(|| Error::new("truncated, or not protobuf"));
        if item.is_err() {
            rest = &[];
        }
        Some(item)
    })
}

/// The first field of that number.
pub(crate) fn only<'a>(data: &'a [u8], wanted: u32, what: &str) -> Result<&'a [u8], Error> {
    for item in fields(data) {
        let (number, value) = item?;
        if number == wanted {
            return value.data();
        }
    }
    Err(Error::new(format!("no {what}")))
}

fn one<'a>(rest: &mut &'a [u8]) -> Option<(u32, Value<'a>)> {
    let key = read_varint(rest)?;
    let number = u32::try_from(key >> 3).ok()?;
    let value = match key & 7 {
        0 => Value::Number(read_varint(rest)?),
        2 => {
            let length = usize::try_from(read_varint(rest)?).ok()?;
            let (data, more) = rest.split_at_checked(length)?;
            *rest = more;
            Value::Data(data)
        }
        _ => return None,
    };
    Some((number, value))
}

fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, more) = rest.split_first()?;
        *rest = more;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
