//! `quantumctl security record`: events of a time span in a capture file, and beside it a manifest that a key of the store
//! signs. Command lines are in a capture as they were, so its files are for the caller alone.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::{Args, ValueHint};
use quantumos_dbus::{bus_name::SECURITY, path::SECURITY as ROOT};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use super::manifest::{self, CONTEXT, FORMAT, Manifest};
use crate::{bus::Bus, error::Error, keys, output::Output, text::time};

/// The longest line of a capture, in bytes.
const LONGEST_LINE: u64 = 2 << 20;

/// What to record.
#[derive(Args, Debug)]
pub struct RecordArgs {
    /// File to write
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// For how long
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86400))]
    seconds: u32,
    /// Key of the store to sign with: id, beginning of an id, or label; an ML-DSA-87 key
    #[arg(long)]
    key: Option<String>,
}

/// The last line of what the service writes.
#[derive(Debug, Deserialize)]
struct Last {
    end: End,
}

#[derive(Debug, Deserialize)]
struct End {
    started_at: u64,
    ended_at: u64,
    events: u64,
    dropped: u64,
}

/// Runs the command.
pub async fn run(bus: &Bus, output: &Output, args: &RecordArgs) -> Result<(), Error> {
    // A key that isn't there is found before the recording, not after.
    let key = match &args.key {
        Some(name) => Some(keys::public(bus, name).await?),
        None => None,
    };
    let mut file = BufWriter::new(create(&args.file)?);
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)
        .map_err(|error| Error::Bus(error.to_string()))?;
    let proxy = bus.proxy(SECURITY, ROOT, SECURITY).await?;
    let body = (zbus::Fd::from(&writer), args.seconds);
    if let Err(error) = bus.authorised::<_, ()>(&proxy, "Record", &body).await {
        // Nothing was recorded, so nothing is left behind.
        let _ = std::fs::remove_file(&args.file);
        return Err(error);
    }
    drop(writer);
    let end = copy(reader, &mut file).await;
    let end = end.map_err(|source| Error::file(&args.file, source))?;
    let file = file
        .into_inner()
        .map_err(|e| Error::file(&args.file, e.into_error()))?;
    file.sync_all()
        .map_err(|source| Error::file(&args.file, source))?;

    let (bytes, sha256) = manifest::digest(&args.file)?;
    let host = nix::unistd::gethostname().unwrap_or_default();
    let kernel =
        nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned());
    let (id, public_key) = key.unwrap_or_default();
    let manifest = Manifest {
        format: FORMAT.into(),
        sha256,
        bytes,
        events: end.events,
        dropped: end.dropped,
        started_at: end.started_at,
        ended_at: end.ended_at,
        host: host.to_string_lossy().into_owned(),
        kernel: kernel.unwrap_or_default(),
        key: id,
        public_key: STANDARD.encode(public_key),
    };
    let mut text =
        serde_json::to_vec_pretty(&manifest).map_err(|e| Error::Answer(e.to_string()))?;
    text.push(b'\n');
    write(&manifest::path_of(&args.file), &text)?;
    if !manifest.key.is_empty() {
        let signed = keys::signed(bus, &manifest.key, &text, CONTEXT).await?;
        write(&manifest::signature_of(&args.file), &signed.signature)?;
    }
    output.document(&manifest, |manifest| {
        let signed = match manifest.key.as_str() {
            "" => "not signed (see --key)".to_owned(),
            key => format!("signed by {key}"),
        };
        let dropped = match manifest.dropped {
            0 => String::new(),
            dropped => format!(", {dropped} dropped"),
        };
        let zone = &output.zone;
        format!(
            "{} events{dropped} from {} to {}, {signed}\n",
            manifest.events,
            time::local(manifest.started_at, zone),
            time::local(manifest.ended_at, zone),
        )
    })
}

/// Copies events until the service ends; the last line is none. Interrupted, what is there is kept, and the span ends now.
async fn copy(reader: std::os::fd::OwnedFd, file: &mut impl Write) -> io::Result<End> {
    let mut reader = BufReader::new(tokio::net::unix::pipe::Receiver::from_owned_fd(reader)?);
    let started = time::now();
    let (mut line, mut held, mut events) = (Vec::new(), Vec::new(), 0);
    loop {
        line.clear();
        let mut bounded = (&mut reader).take(LONGEST_LINE);
        let read = tokio::select! {
            read = bounded.read_until(b'\n', &mut line) => read?,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                0
            }
        };
        if read == 0 {
            break;
        }
        if line.last() != Some(&b'\n') {
            // The service ended in the middle of a line.
            break;
        }
        if !held.is_empty() {
            file.write_all(&held)?;
            events += 1;
        }
        std::mem::swap(&mut held, &mut line);
    }
    if let Ok(Last { end }) = serde_json::from_slice(&held) {
        return Ok(end);
    }
    if !held.is_empty() {
        file.write_all(&held)?;
        events += 1;
    }
    eprintln!("the recording ended early; events that were dropped are not known");
    Ok(End {
        started_at: started,
        ended_at: time::now(),
        events,
        dropped: 0,
    })
}

fn create(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options
        .open(path)
        .map_err(|source| Error::file(path, source))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    create(path)?
        .write_all(bytes)
        .map_err(|source| Error::file(path, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_line_is_no_event() {
        let last = r#"{"end":{"started_at":1,"ended_at":2,"events":2,"dropped":3}}"#;
        for (written, kept, events, dropped) in [
            (
                format!("{{\"a\":1}}\n{{\"a\":2}}\n{last}\n"),
                "{\"a\":1}\n{\"a\":2}\n",
                2,
                3,
            ),
            // The service was killed.
            ("{\"a\":1}\n{\"a\"".to_owned(), "{\"a\":1}\n", 1, 0),
            (String::new(), "", 0, 0),
        ] {
            let (reader, writer) = nix::unistd::pipe().unwrap();
            File::from(writer).write_all(written.as_bytes()).unwrap();
            let mut out = Vec::new();
            let end = copy(reader, &mut out).await.unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), kept);
            assert_eq!((end.events, end.dropped), (events, dropped));
        }
    }
}
