//! Credentials: small secrets for systemd units, with the units that may read them. Everything about
//! one is bound to its sealed value, so that writing to the store gives no unit anything.

use crate::Error;
use crate::grant::unit;
use quantumos_pqc::Kek;
use zeroize::Zeroizing;

/// Longest name in bytes.
const NAME_MAX: usize = 128;
/// The most bytes of a value; systemd takes up to 1 MiB for all credentials of a unit.
pub const VALUE_MAX: usize = 256 << 10;
/// The most units that may read one.
pub const UNITS_MAX: usize = 64;
/// The most random bytes of a generated value.
pub const RANDOM_MAX: u32 = 1024;

/// All about a credential but its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// What units call it.
    pub name: String,
    /// Version of the value, from 1.
    pub version: u32,
    /// When the value was set, in microseconds of CLOCK_REALTIME.
    pub changed_at: u64,
    /// Random bytes behind a generated value, 0 for one that was given.
    pub random: u32,
    /// Seconds after which a generated value is replaced, 0 for never.
    pub every: u32,
    /// The units that may read it, sorted.
    pub units: Vec<String>,
}

/// A name that systemd takes for a credential and that is no path.
///
/// # Errors
/// [`Error::Argument`].
pub fn check_name(name: &str) -> Result<(), Error> {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
    let good =
        (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(allowed) && !name.starts_with('.');
    if good {
        Ok(())
    } else {
        let why = "letters, digits, -, _ and . are allowed, 128 at most, and no . in front";
        Err(Error::argument("credential name", why))
    }
}

impl Credential {
    const DOMAIN: &str = "quantumos credential v1";

    fn facts(&self) -> Vec<Vec<u8>> {
        let mut facts = vec![
            self.name.clone().into_bytes(),
            self.version.to_be_bytes().to_vec(),
            self.changed_at.to_be_bytes().to_vec(),
            self.random.to_be_bytes().to_vec(),
            self.every.to_be_bytes().to_vec(),
        ];
        facts.extend(self.units.iter().map(|unit| unit.clone().into_bytes()));
        facts
    }

    /// Seals the value, bound to everything else.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Crypto`].
    pub fn seal(&self, kek: &Kek, value: &[u8]) -> Result<Vec<u8>, Error> {
        if value.len() > VALUE_MAX {
            return Err(Error::TooLarge {
                what: "credential",
                limit: VALUE_MAX,
                got: value.len(),
            });
        }
        let facts = self.facts();
        let facts: Vec<&[u8]> = facts.iter().map(Vec::as_slice).collect();
        Ok(kek.seal(Self::DOMAIN, &facts, value)?)
    }

    /// Opens the value.
    ///
    /// # Errors
    /// [`Error::Crypto`] when anything about it was altered.
    pub fn open(&self, kek: &Kek, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let facts = self.facts();
        let facts: Vec<&[u8]> = facts.iter().map(Vec::as_slice).collect();
        Ok(kek.open(Self::DOMAIN, &facts, sealed)?)
    }

    /// Whether its value is to be replaced by now.
    #[must_use]
    pub fn is_due(&self, now: u64) -> bool {
        let age = now.saturating_sub(self.changed_at);
        self.random > 0 && self.every > 0 && age >= u64::from(self.every) * 1_000_000
    }

    /// The units as one text for the store.
    #[must_use]
    pub fn units_text(&self) -> String {
        self.units.join("\n")
    }
}

/// Reads [`Credential::units_text`].
///
/// # Errors
/// [`Error::Argument`].
pub fn units_of(text: &str) -> Result<Vec<String>, Error> {
    text.lines().map(unit).collect()
}

/// A fresh value: base64 of random bytes, so that any program can take it as text.
///
/// # Errors
/// [`Error::Argument`] for a count, [`Error::Crypto`].
pub fn random_value(count: u32) -> Result<Zeroizing<Vec<u8>>, Error> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    if !(16..=RANDOM_MAX).contains(&count) {
        return Err(Error::argument("bytes", "16 to 1024 random bytes"));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(count as usize + 32));
    while bytes.len() < count as usize {
        bytes.extend_from_slice(quantumos_pqc::Secret::<32>::random()?.expose());
    }
    bytes.truncate(count as usize);
    Ok(Zeroizing::new(
        STANDARD.encode(bytes.as_slice()).into_bytes(),
    ))
}

/// Who asks for what, by the name that systemd binds its end of the socket to:
/// `RANDOM/unit/UNIT/CREDENTIAL`, random digits in hexadecimal.
#[must_use]
pub fn asked_for(peer: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(peer).ok()?;
    let mut parts = text.split('/');
    let (random, kind) = (parts.next()?, parts.next()?);
    let (name, credential) = (parts.next()?, parts.next()?);
    let random = !random.is_empty() && random.bytes().all(|digit| digit.is_ascii_hexdigit());
    let whole = parts.next().is_none() && kind == "unit" && random;
    (whole && unit(name).is_ok() && check_name(credential).is_ok()).then_some((name, credential))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use quantumos_pqc::{RootKey, Secret};

    fn example() -> Credential {
        Credential {
            name: "db.password".into(),
            version: 2,
            changed_at: 1_000_000,
            random: 32,
            every: 60,
            units: vec!["a.service".into(), "b.service".into()],
        }
    }

    #[test]
    fn every_fact_is_bound() {
        let root = RootKey::new(Secret::from_slice("root", &[1; 32]).unwrap());
        let kek = root.kek(1).unwrap();
        let sealed = example().seal(&kek, b"value").unwrap();
        assert_eq!(*example().open(&kek, &sealed).unwrap(), b"value");
        let changes: [fn(&mut Credential); 7] = [
            |c| c.name.push('x'),
            |c| c.version = 1,
            |c| c.changed_at = 0,
            |c| c.random = 0,
            |c| c.every = 0,
            |c| c.units.push("c.service".into()),
            |c| c.units = vec!["a.serviceb.service".into()],
        ];
        for change in changes {
            let mut other = example();
            change(&mut other);
            assert!(other.open(&kek, &sealed).is_err(), "{other:?}");
        }
        assert!(example().seal(&kek, &vec![0; VALUE_MAX + 1]).is_err());
    }

    #[test]
    fn only_generated_ones_that_are_old_are_due() {
        for (now, random, every, due) in [
            (61_000_000, 32, 60, true),
            (60_999_999, 32, 60, false),
            (0, 32, 60, false),
            (u64::MAX, 0, 60, false),
            (u64::MAX, 32, 0, false),
        ] {
            let credential = Credential {
                random,
                every,
                ..example()
            };
            assert_eq!(credential.is_due(now), due, "{now} {random} {every}");
        }
    }

    #[test]
    fn the_name_of_the_peer_says_who_asks() {
        let good = b"4bf8cbc4a6d9d86d/unit/web@1.service/db.password";
        assert_eq!(asked_for(good), Some(("web@1.service", "db.password")));
        for bad in [
            &b""[..],
            b"/unit/web.service/x",
            b"xyz/unit/web.service/x",
            b"1f/user/web.service/x",
            b"1f/unit/web/x",
            b"1f/unit/web.service/",
            b"1f/unit/web.service/.x",
            b"1f/unit/web.service/x/y",
            b"1f/unit/web.service",
            b"1f/unit/\xff.service/x",
        ] {
            assert_eq!(asked_for(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn names_and_random_values() {
        for bad in ["", ".x", "a/b", "a b", "ä", &"x".repeat(129)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        assert_eq!(random_value(32).unwrap().len(), 44);
        assert_ne!(*random_value(32).unwrap(), *random_value(32).unwrap());
        assert!(random_value(15).is_err() && random_value(1025).is_err());
    }

    proptest! {
        #[test]
        fn any_peer_name_is_taken_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some((unit, credential)) = asked_for(&bytes) {
                let end = format!("/unit/{unit}/{credential}");
                prop_assert!(bytes.ends_with(end.as_bytes()));
            }
        }
    }
}
