//! Passphrases and keys: from a file, or a passphrase from the terminal without showing it.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use clap::{Args, ValueHint};
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use quantumos_resonance::stream::Secret;

use crate::error::Error;

/// The most bytes of a key or passphrase.
const MOST: u64 = 4096;

/// What to seal or open with. Without either a passphrase is asked for on the terminal.
#[derive(Args, Debug)]
pub struct SecretArgs {
    /// File whose first line is the passphrase
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    passphrase_file: Option<PathBuf>,
    /// File with a random key of at least 16 bytes, taken as it is
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "passphrase_file")]
    key_file: Option<PathBuf>,
}

/// A secret at hand.
pub enum Given {
    /// A random key.
    Key(Vec<u8>),
    /// Something to remember.
    Passphrase(Vec<u8>),
}

impl Given {
    /// For the engine.
    pub fn secret(&self) -> Secret<'_> {
        match self {
            Self::Key(key) => Secret::Key(key),
            Self::Passphrase(passphrase) => Secret::Passphrase(passphrase),
        }
    }
}

impl SecretArgs {
    /// Whether one is named.
    pub fn is_given(&self) -> bool {
        self.passphrase_file.is_some() || self.key_file.is_some()
    }

    /// Reads or asks; twice when something new is sealed.
    pub fn get(&self, new: bool) -> Result<Given, Error> {
        if let Some(path) = &self.key_file {
            return key(path).map(Given::Key);
        }
        if let Some(path) = &self.passphrase_file {
            let mut line = key(path)?;
            if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
                line.truncate(end);
            }
            if line.is_empty() {
                let path = path.display();
                return Err(Error::Usage(format!("{path}: the first line is empty")));
            }
            return Ok(Given::Passphrase(line));
        }
        let first = asked("passphrase: ")?;
        if first.is_empty() {
            return Err(Error::Usage("the passphrase is empty".into()));
        }
        if new && asked("again: ")? != first {
            return Err(Error::Usage("the two passphrases differ".into()));
        }
        Ok(Given::Passphrase(first))
    }
}

/// A key file as it is.
pub fn key(path: &Path) -> Result<Vec<u8>, Error> {
    let fail = |source| Error::file(path, source);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(fail)?;
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > MOST {
        let path = path.display();
        return Err(Error::Usage(format!("{path}: more than {MOST} bytes")));
    }
    Ok(bytes)
}

/// A line from the terminal, whatever standard input is.
fn asked(prompt: &str) -> Result<Vec<u8>, Error> {
    let opened = OpenOptions::new().read(true).write(true).open("/dev/tty");
    let mut terminal = opened.map_err(|_| {
        Error::Usage("there is no terminal to ask on; use --passphrase-file or --key-file".into())
    })?;
    let fail = |errno: nix::Error| Error::Terminal(errno.into());
    let shown = tcgetattr(&terminal).map_err(fail)?;
    let mut hidden = shown.clone();
    hidden.local_flags.remove(LocalFlags::ECHO);
    terminal
        .write_all(prompt.as_bytes())
        .map_err(Error::Terminal)?;
    tcsetattr(&terminal, SetArg::TCSAFLUSH, &hidden).map_err(fail)?;
    let mut line = Vec::new();
    let done = BufReader::new(&terminal)
        .take(MOST)
        .read_until(b'\n', &mut line);
    tcsetattr(&terminal, SetArg::TCSAFLUSH, &shown).map_err(fail)?;
    terminal.write_all(b"\n").map_err(Error::Terminal)?;
    done.map_err(Error::Terminal)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(line)
}
