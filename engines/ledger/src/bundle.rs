//! Entry bundles (C2SP tlog-tiles): up to 256 entries, each after its length in two bytes.

use crate::Error;
use crate::tile::{WIDTH, numbered};

/// The most bytes of an entry: its length has two bytes.
pub const ENTRY_MAX: usize = u16::MAX as usize;

/// Where a bundle is below the log's prefix; a `width` below 256 names a partial one.
#[must_use]
pub fn path(index: u64, width: usize) -> String {
    numbered("tile/entries", index, width.min(WIDTH))
}

/// Appends an entry and its length.
///
/// # Errors
/// [`Error::Limit`] when it is longer than [`ENTRY_MAX`]; nothing is appended then.
pub fn push(out: &mut Vec<u8>, entry: &[u8]) -> Result<(), Error> {
    let length = u16::try_from(entry.len()).map_err(|_| Error::Limit {
        what: "bytes of an entry",
        limit: ENTRY_MAX as u64,
        got: entry.len() as u64,
    })?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(entry);
    Ok(())
}

/// Takes an entry off the front; `None` at the end.
///
/// # Errors
/// [`Error::Malformed`] when the bytes end within an entry.
pub fn take<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Error> {
    if rest.is_empty() {
        return Ok(None);
    }
    let cut = |why: String| Error::malformed("entry bundle", why);
    let (length, tail) = rest
        .split_first_chunk::<2>()
        .ok_or_else(|| cut("it ends within a length".into()))?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (entry, tail) = tail.split_at_checked(length).ok_or_else(|| {
        cut(format!(
            "an entry says that it has {length} bytes, {} are left",
            tail.len()
        ))
    })?;
    *rest = tail;
    Ok(Some(entry))
}

/// All entries of a bundle.
///
/// # Errors
/// [`Error::Malformed`], also when there are none or more than 256.
pub fn parse(bytes: &[u8]) -> Result<Vec<&[u8]>, Error> {
    let (mut rest, mut entries) = (bytes, Vec::new());
    while let Some(entry) = take(&mut rest)? {
        if entries.len() == WIDTH {
            return Err(Error::malformed("entry bundle", "more than 256 entries"));
        }
        entries.push(entry);
    }
    if entries.is_empty() {
        return Err(Error::malformed("entry bundle", "no entry"));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bounds() {
        let mut out = Vec::new();
        push(&mut out, &[7; ENTRY_MAX]).unwrap();
        assert_eq!(parse(&out).unwrap(), [&[7; ENTRY_MAX][..]]);
        assert!(push(&mut out, &[7; ENTRY_MAX + 1]).is_err());
        assert_eq!(out.len(), ENTRY_MAX + 2);
        assert!(parse(&[]).is_err());
        assert_eq!(parse(&[0; 2 * 256]).unwrap().len(), 256);
        assert!(parse(&[0; 2 * 257]).is_err());
        for cut in [1, 2, 3, 500] {
            assert!(parse(&out[..cut]).is_err());
        }
    }

    proptest! {
        #[test]
        fn round_trip(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..99), 1..256)) {
            let mut out = Vec::new();
            for entry in &entries {
                push(&mut out, entry).unwrap();
            }
            prop_assert_eq!(parse(&out).unwrap(), entries);
        }
    }
}
