//! Options, `a{sv}` on the wire: each known one has a type, any other one is refused by name.

use super::failure::Answer;
use crate::Error;
use crate::record::KeyId;
use quantumos_dbus::Dictionary;
use quantumos_pqc::CONTEXT_MAX;
use std::collections::{BTreeMap, HashMap};
use std::os::fd::{AsFd, OwnedFd};
use zbus::Variant;

/// Refuses any option.
pub(super) fn none(options: &Dictionary) -> Answer<()> {
    only(options, &[])
}

/// Refuses options that a method does not know.
pub(super) fn only(options: &Dictionary, known: &[&str]) -> Answer<()> {
    let strange = options
        .keys()
        .filter(|name| !known.contains(&name.as_str()));
    match strange.min() {
        None => Ok(()),
        Some(name) => Err(unknown(name).into()),
    }
}

/// The context string of a signature or stream (`context`, ay, at most 255 bytes); empty when absent.
pub(super) fn context(options: &Dictionary) -> Answer<Vec<u8>> {
    only(options, &["context"])?;
    context_in(options)
}

/// A context string, and the version (`version`, u) that is meant; none when absent.
pub(super) fn context_and_version(options: &Dictionary) -> Answer<(Vec<u8>, Option<u32>)> {
    only(options, &["context", "version"])?;
    Ok((context_in(options)?, version_in(options)?))
}

/// The version (`version`, u) that is meant; none when absent.
pub(super) fn version(options: &Dictionary) -> Answer<Option<u32>> {
    only(options, &["version"])?;
    version_in(options)
}

/// The seconds between values (`every`, u) of a generated credential; 0 when absent.
pub(super) fn every(options: &Dictionary) -> Answer<u32> {
    only(options, &["every"])?;
    let Some(value) = options.get("every") else {
        return Ok(0);
    };
    let seconds = u32::try_from(value.clone())
        .map_err(|_| Error::argument("option every", "has to be a number of seconds (u)"))?;
    Ok(seconds)
}

/// What data is sealed under: a key (`key`, s, its id) or a passphrase (`passphrase`, h, a descriptor
/// that holds it and nothing else).
#[derive(Debug)]
pub(super) enum Under {
    /// A key of the keyring.
    Key(KeyId),
    /// Where to read the passphrase.
    Passphrase(OwnedFd),
}

/// How a stream is sealed or opened by a job.
#[derive(Debug)]
pub(super) struct StreamOptions {
    /// What opens it.
    pub(super) under: Under,
    /// `context`, as elsewhere.
    pub(super) context: Vec<u8>,
    /// `detach`, b: whether the job stays when the caller leaves the bus.
    pub(super) detach: bool,
}

/// `key` or `passphrase`, and `context` and `detach`.
pub(super) fn stream(options: &Dictionary) -> Answer<StreamOptions> {
    only(options, &["key", "passphrase", "context", "detach"])?;
    let under = match (key_in(options)?, descriptor_in(options, "passphrase")?) {
        (Some(key), None) => Under::Key(key),
        (None, Some(passphrase)) => Under::Passphrase(passphrase),
        _ => return Err(Error::argument("options", "need either key or passphrase").into()),
    };
    Ok(StreamOptions {
        under,
        context: context_in(options)?,
        detach: flag_in(options, "detach")?,
    })
}

/// What a hash, MAC or transform is keyed with.
#[derive(Debug)]
pub(super) enum Keyed {
    /// Nothing.
    No,
    /// A MAC key of the keyring (`key`, s, its id).
    Key(KeyId),
    /// What a descriptor holds (`secret`, h).
    Secret(OwnedFd),
}

/// `key` or `secret`, with the others of a method.
pub(super) fn keyed(options: &Dictionary, others: &[&str]) -> Answer<Keyed> {
    let known: Vec<_> = others.iter().copied().chain(["key", "secret"]).collect();
    only(options, &known)?;
    match (key_in(options)?, descriptor_in(options, "secret")?) {
        (None, None) => Ok(Keyed::No),
        (Some(key), None) => Ok(Keyed::Key(key)),
        (None, Some(secret)) => Ok(Keyed::Secret(secret)),
        _ => Err(Error::argument("options", "name both key and secret").into()),
    }
}

/// Refuses options that a method does not know, for those that read them one by one.
pub(super) fn known(options: &Dictionary, names: &[&str]) -> Answer<()> {
    only(options, names)
}

fn bad(name: &str, want: &str) -> quantumos_dbus::Error {
    Error::argument(format!("option {name}"), format!("has to be {want}")).into()
}

/// `key`, s: the id of a key.
pub(super) fn key_in(options: &Dictionary) -> Answer<Option<KeyId>> {
    match text_in(options, "key")? {
        Some(text) => Ok(Some(text.parse::<KeyId>()?)),
        None => Ok(None),
    }
}

/// A text (s).
pub(super) fn text_in<'a>(options: &'a Dictionary, name: &str) -> Answer<Option<&'a str>> {
    let value = options.get(name);
    let text = value.map(|value| value.downcast_ref::<&str>());
    text.transpose().map_err(|_| bad(name, "text (s)"))
}

/// A descriptor (h), once more.
pub(super) fn descriptor_in(options: &Dictionary, name: &str) -> Answer<Option<OwnedFd>> {
    match options.get(name).map(|value| &**value) {
        None => Ok(None),
        Some(Variant::Fd(descriptor)) => {
            let owned = descriptor.as_fd().try_clone_to_owned();
            Ok(Some(owned.map_err(|_| bad(name, "a descriptor (h)"))?))
        }
        Some(_) => Err(bad(name, "a descriptor (h)")),
    }
}

/// True or false (b); false when absent.
pub(super) fn flag_in(options: &Dictionary, name: &str) -> Answer<bool> {
    let flag = options.get(name).map(|value| value.downcast_ref::<bool>());
    let flag = flag
        .transpose()
        .map_err(|_| bad(name, "true or false (b)"))?;
    Ok(flag.unwrap_or(false))
}

/// A number (u).
pub(super) fn number_in(options: &Dictionary, name: &str) -> Answer<Option<u32>> {
    let number = options.get(name).map(|value| value.downcast_ref::<u32>());
    number.transpose().map_err(|_| bad(name, "a number (u)"))
}

/// Texts by name (a{ss}); none when absent.
pub(super) fn texts_in(options: &Dictionary, name: &str) -> Answer<BTreeMap<String, String>> {
    let Some(value) = options.get(name) else {
        return Ok(BTreeMap::new());
    };
    let want = || bad(name, "texts by name (a{ss})");
    let value = value.try_clone().map_err(|_| want())?;
    let texts = HashMap::<String, String>::try_from(value).map_err(|_| want())?;
    Ok(texts.into_iter().collect())
}

fn version_in(options: &Dictionary) -> Answer<Option<u32>> {
    let Some(value) = options.get("version") else {
        return Ok(None);
    };
    let number = u32::try_from(value.clone())
        .map_err(|_| Error::argument("option version", "has to be a number (u)"))?;
    Ok(Some(number))
}

fn context_in(options: &Dictionary) -> Answer<Vec<u8>> {
    let Some(value) = options.get("context") else {
        return Ok(Vec::new());
    };
    let bytes = Vec::<u8>::try_from(value.clone())
        .map_err(|_| Error::argument("option context", "has to be an array of bytes (ay)"))?;
    if bytes.len() > CONTEXT_MAX {
        let why = format!(
            "{} bytes long, at most {CONTEXT_MAX} are allowed",
            bytes.len()
        );
        return Err(Error::argument("option context", why).into());
    }
    Ok(bytes)
}

pub(super) fn unknown(name: &str) -> Error {
    let shown: String = name.chars().take(64).flat_map(char::escape_debug).collect();
    Error::argument(format!("option {shown}"), "not known to this method")
}

#[cfg(test)]
mod tests {
    use super::*;
    use zbus::OwnedVariant;

    fn options(pairs: &[(&str, Variant<'_>)]) -> Dictionary {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    (*name).to_owned(),
                    OwnedVariant::try_from(value.try_clone().unwrap()).unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn known_options_are_typed_and_others_refused() {
        assert!(none(&options(&[])).is_ok());
        assert_eq!(context(&options(&[])).unwrap(), b"");
        assert_eq!(
            context(&options(&[("context", vec![1u8, 2].into())])).unwrap(),
            [1, 2]
        );
        for (bad, words) in [
            (options(&[("contxt", vec![1u8].into())]), "option contxt"),
            (options(&[("a\nb", 1u32.into())]), "option a\\nb"),
            (options(&[("context", "text".into())]), "array of bytes"),
            (options(&[("context", vec![1u32].into())]), "array of bytes"),
            (options(&[("context", vec![0u8; 256].into())]), "256 bytes"),
        ] {
            let error = context(&bad).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        assert!(none(&options(&[("context", vec![1u8].into())])).is_err());
        assert_eq!(
            version(&options(&[("version", 3u32.into())])).unwrap(),
            Some(3)
        );
        assert_eq!(version(&options(&[])).unwrap(), None);
        assert!(version(&options(&[("version", "3".into())])).is_err());
        assert!(version(&options(&[("context", vec![1u8].into())])).is_err());
        let both = options(&[("version", 3u32.into()), ("context", vec![1u8].into())]);
        assert_eq!(context_and_version(&both).unwrap(), (vec![1], Some(3)));
    }
}
