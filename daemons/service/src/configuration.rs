//! Layered configuration: compiled defaults, then `/usr/lib`, `/run` and `/etc`, each
//! `quantumos/NAME.toml` followed by `quantumos/NAME.toml.d/*.toml` in the order of their names.
//! Later layers win key by key. An unknown key, a wrong type or a value that the daemon refuses
//! is an error that names file and line; nothing is applied then.

use std::{
    fs,
    io::{self, Read},
    ops::Range,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};
use toml::{Spanned, Table, Value, de::DeTable, de::DeValue};

/// Larger files are not configuration.
const LONGEST_FILE: u64 = 1 << 20;

/// What a daemon can be told. Derive `Deserialize` with `#[serde(deny_unknown_fields, default,
/// rename_all = "kebab-case")]` at each level, so that unknown keys are found and a missing file
/// means the compiled defaults.
pub trait Settings:
    DeserializeOwned + Serialize + Default + Clone + PartialEq + std::fmt::Debug + Send + Sync + 'static
{
    /// Checks what types can't say, such as ranges.
    ///
    /// # Errors
    /// The first value that isn't acceptable, by its dotted key.
    fn validate(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

/// A value that a daemon refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// Dotted key, as in the file: `forecast.model`.
    pub key: String,
    /// What is wrong with it, and what would be right.
    pub reason: String,
}

impl Invalid {
    /// Refuses the value of `key`.
    pub fn new(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            reason: reason.into(),
        }
    }
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// A file or directory is there but can't be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds what isn't acceptable.
    #[error("{path}:{line}: {reason}")]
    Refused {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// The layers contradict each other, or a default is wrong.
    #[error("configuration: {0}")]
    Merged(String),
}

struct Layer {
    path: PathBuf,
    text: String,
}

/// Reads the configuration of daemon `name` below `root`.
///
/// # Errors
/// See [`ConfigurationError`]; nothing is half applied.
pub fn load<S: Settings>(root: &Path, name: &str) -> Result<S, ConfigurationError> {
    let mut layers = Vec::new();
    for parent in ["usr/lib", "run", "etc"] {
        let directory = root.join(parent).join("quantumos");
        layers.extend(read(directory.join(format!("{name}.toml")))?);
        for path in drop_ins(&directory.join(format!("{name}.toml.d")))? {
            layers.extend(read(path)?);
        }
    }
    let mut merged = Table::new();
    for layer in &layers {
        // Each file alone has to fit the type, so that an error has a place.
        toml::from_str::<S>(&layer.text)
            .map_err(|error| refused(layer, error.span(), error.message()))?;
        let table: Table = toml::from_str(&layer.text)
            .map_err(|error| refused(layer, error.span(), error.message()))?;
        overlay(&mut merged, table);
    }
    let settings: S = merged
        .try_into()
        .map_err(|error: toml::de::Error| ConfigurationError::Merged(error.to_string()))?;
    settings.validate().map_err(|invalid| {
        let place = layers
            .iter()
            .rev()
            .find_map(|layer| find(&layer.text, &invalid.key).map(|span| (layer, span)));
        match place {
            Some((layer, span)) => refused(
                layer,
                Some(span),
                &format!("{}: {}", invalid.key, invalid.reason),
            ),
            None => ConfigurationError::Merged(format!("{}: {}", invalid.key, invalid.reason)),
        }
    })?;
    Ok(settings)
}

fn read(path: PathBuf) -> Result<Option<Layer>, ConfigurationError> {
    let unreadable = |source| ConfigurationError::Unreadable {
        path: path.clone(),
        source,
    };
    let file = match fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let mut bytes = Vec::new();
    file.take(LONGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST_FILE {
        return Err(unreadable(io::Error::other("longer than 1 MiB")));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(Layer { path, text })),
        Err(error) => {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + valid.iter().filter(|&&byte| byte == b'\n').count();
            Err(ConfigurationError::Refused {
                path,
                line,
                reason: "not UTF-8".into(),
            })
        }
    }
}

fn drop_ins(directory: &Path) -> Result<Vec<PathBuf>, ConfigurationError> {
    let unreadable = |source| ConfigurationError::Unreadable {
        path: directory.to_owned(),
        source,
    };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn refused(layer: &Layer, span: Option<Range<usize>>, reason: &str) -> ConfigurationError {
    let end = span.map_or(0, |span| span.start.min(layer.text.len()));
    let line = 1 + layer.text.as_bytes()[..end]
        .iter()
        .filter(|&&byte| byte == b'\n')
        .count();
    let reason = reason.replace('\n', " ");
    ConfigurationError::Refused {
        path: layer.path.clone(),
        line,
        reason,
    }
}

/// Lays `above` over `below`, table by table; anything else is replaced whole.
fn overlay(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => overlay(old, new),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

/// Where the value of a dotted key stands.
fn find(text: &str, dotted: &str) -> Option<Range<usize>> {
    let document = DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    let mut keys = dotted.split('.').peekable();
    while let Some(key) = keys.next() {
        let value: &Spanned<DeValue<'_>> = table.get(key)?;
        if keys.peek().is_none() {
            return Some(value.span());
        }
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            // An element of an array, say: the array's place is near enough.
            _ => return Some(value.span()),
        }
    }
    None
}

#[cfg(test)]
mod tests;
