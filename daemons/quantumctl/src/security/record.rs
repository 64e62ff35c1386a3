//! `quantumctl security record`: events of a time span in a capture file, and beside it a manifest that a key of the store
//! signs. Command lines are in a capture as they were, so its files are for the caller alone.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::{Args, ValueHint};
use jiff::tz::TimeZone;
use quantumos_dbus::{bus_name::SECURITY, path::SECURITY as ROOT};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::manifest::{self, Beside, CONTEXT, FORMAT, Manifest};
use super::respond::seconds;
use crate::{
    bus::Bus,
    error::Error,
    keys,
    output::Output,
    text::{escape::escape, time},
};

/// The longest line of a capture, in bytes.
const LONGEST_LINE: u64 = 2 << 20;

/// The longest recording, in seconds.
const LONGEST_TIME: i64 = 86_400;

/// What to record.
#[derive(Args, Debug)]
pub struct RecordArgs {
    /// File to write
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// For how long, in seconds
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=LONGEST_TIME))]
    seconds: u32,
    /// For how long, as a time: 90s, 15m, 2h, 1d
    #[arg(long = "for", value_name = "TIME", value_parser = span, conflicts_with = "seconds")]
    time: Option<u32>,
    /// Key of the store to sign with: id, beginning of an id, or label; an ML-DSA-87 key
    #[arg(long)]
    key: Option<String>,
}

/// A time that a recording can take.
fn span(text: &str) -> Result<u32, String> {
    match seconds(text)? {
        0 => Err("a recording has an end; the longest takes 1d".into()),
        long if i64::from(long) > LONGEST_TIME => Err("the longest recording takes 1d".into()),
        seconds => Ok(seconds),
    }
}

/// A line that is no event.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Told {
    /// The last one.
    End { end: End },
    /// How many events had no room so far.
    Dropped { dropped: u64 },
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
struct End {
    started_at: u64,
    ended_at: u64,
    dropped: u64,
}

/// How a recording ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// The service said so.
    Whole(End),
    /// It was interrupted.
    Early {
        /// When it began, as far as is known here.
        started_at: u64,
        /// By what.
        reason: String,
        /// How many events were dropped before.
        dropped: u64,
        /// Whether that is what was asked for, and no failure.
        is_wanted: bool,
    },
}

/// Runs the command.
pub async fn run(bus: &Bus, output: &Output, args: &RecordArgs) -> Result<(), Error> {
    // A key that isn't there is found before the recording, not after.
    let key = match &args.key {
        Some(name) => Some(keys::public(bus, name).await?),
        None => None,
    };
    let mut signals = Signals::new().map_err(Error::Terminal)?;
    let mut file = create(&args.file)?;
    let mut beside = match Beside::create(&args.file, blank(key)) {
        Ok(beside) => beside,
        Err(error) => {
            let _ = std::fs::remove_file(&args.file);
            return Err(error);
        }
    };
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)
        .map_err(|error| Error::Bus(error.to_string()))?;
    let proxy = bus.proxy(SECURITY, ROOT, SECURITY).await?;
    let seconds = args.time.unwrap_or(args.seconds);
    let body = (zbus::Fd::from(&writer), seconds);
    if let Err(error) = bus.authorised::<_, ()>(&proxy, "Record", &body).await {
        // Nothing was recorded, so nothing is left behind.
        beside.remove();
        let _ = std::fs::remove_file(&args.file);
        return Err(error);
    }
    drop(writer);
    let ended = copy(reader, &mut file, &mut signals).await;
    keep_whole_lines(&mut file)
        .and_then(|()| file.sync_all())
        .map_err(|source| Error::file(&args.file, source))?;
    drop(file);
    let failure = describe(&mut beside.manifest, ended, &args.file)?;
    let text = beside.replace()?;
    let manifest = beside.manifest;
    if !manifest.key.is_empty() {
        let signed = keys::signed(bus, &manifest.key, &text, CONTEXT).await?;
        let path = manifest::signature_of(&args.file);
        create(&path)?
            .write_all(&signed.signature)
            .map_err(|source| Error::file(&path, source))?;
    }
    output.document(&manifest, |manifest| shown(manifest, &output.zone))?;
    failure.map_or(Ok(()), Err)
}

/// What SIGINT, SIGTERM and SIGHUP ask for: to end, and keep what there is.
struct Signals(Vec<Signal>);

impl Signals {
    fn new() -> io::Result<Self> {
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ];
        kinds
            .into_iter()
            .map(signal)
            .collect::<io::Result<_>>()
            .map(Self)
    }

    async fn any(&mut self) {
        let each = self.0.iter_mut().map(|one| Box::pin(one.recv()));
        futures_util::future::select_all(each).await;
    }
}

/// Copies events until the service ends, somebody interrupts, or the file takes no more.
async fn copy(reader: OwnedFd, file: &mut File, signals: &mut Signals) -> Ended {
    let (started_at, mut dropped) = (time::now(), 0);
    let mut file = BufWriter::new(file);
    let copied = copy_events(reader, &mut file, &mut dropped);
    let early = |reason: String, is_wanted| Ended::Early {
        started_at,
        reason,
        dropped: 0,
        is_wanted,
    };
    let mut ended = tokio::select! {
        copied = copied => match copied {
            Ok(Some(end)) => Ended::Whole(end),
            Ok(None) => early("security-ai ended".into(), false),
            Err(error) => early(error.to_string(), false),
        },
        () = signals.any() => early("it was interrupted".into(), true),
    };
    if let Err(error) = file.flush() {
        ended = early(format!("it could not be written: {error}"), false);
    }
    if let Ended::Early { dropped: known, .. } = &mut ended {
        *known = dropped;
    }
    ended
}

/// Copies events until the last line, which is given, or the end.
async fn copy_events(
    reader: OwnedFd,
    file: &mut impl Write,
    dropped: &mut u64,
) -> io::Result<Option<End>> {
    let mut reader = BufReader::new(tokio::net::unix::pipe::Receiver::from_owned_fd(reader)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = (&mut reader).take(LONGEST_LINE);
        bounded.read_until(b'\n', &mut line).await?;
        if line.last() != Some(&b'\n') {
            // The service ended, perhaps in the middle of a line.
            return Ok(None);
        }
        let is_event = ![&b"{\"end\""[..], b"{\"dropped\""]
            .iter()
            .any(|start| line.starts_with(start));
        if is_event {
            let written = file.write_all(&line);
            written
                .map_err(|error| io::Error::other(format!("it could not be written: {error}")))?;
            continue;
        }
        match serde_json::from_slice(&line)? {
            Told::End { end } => return Ok(Some(end)),
            Told::Dropped { dropped: so_far } => *dropped = so_far,
        }
    }
}

/// Cuts a line off that was not written whole.
fn keep_whole_lines(file: &mut File) -> io::Result<()> {
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut piece = vec![0; 1 << 16];
    while end > 0 {
        let length = end.min(piece.len() as u64);
        file.seek(SeekFrom::Start(end - length))?;
        let part = piece.get_mut(..length as usize).unwrap_or_default();
        file.read_exact(part)?;
        if let Some(last) = part.iter().rposition(|byte| *byte == b'\n') {
            end = end - length + last as u64 + 1;
            break;
        }
        end -= length;
    }
    file.set_len(end)
}

/// The manifest of a recording that has not ended: all that is known before.
fn blank(key: Option<(String, Vec<u8>)>) -> Manifest {
    let host = nix::unistd::gethostname().unwrap_or_default();
    let kernel =
        nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned());
    let (id, public_key) = key.unwrap_or_default();
    Manifest {
        format: FORMAT.into(),
        sha256: String::new(),
        bytes: 0,
        events: 0,
        complete: false,
        interruption: String::new(),
        dropped: None,
        dropped_at_least: 0,
        started_at: time::now(),
        ended_at: 0,
        host: host.to_string_lossy().into_owned(),
        kernel: kernel.unwrap_or_default(),
        key: id,
        public_key: STANDARD.encode(public_key),
    }
}

/// Fills in how it ended, and what is there now; gives what went wrong, if anything did.
fn describe(manifest: &mut Manifest, ended: Ended, capture: &Path) -> Result<Option<Error>, Error> {
    let found = manifest::digest(capture)?;
    (manifest.bytes, manifest.sha256, manifest.events) = (found.bytes, found.sha256, found.lines);
    match ended {
        Ended::Whole(end) => {
            (manifest.started_at, manifest.ended_at) = (end.started_at, end.ended_at);
            (manifest.complete, manifest.dropped) = (true, Some(end.dropped));
            manifest.dropped_at_least = end.dropped;
            Ok(None)
        }
        Ended::Early {
            started_at,
            reason,
            dropped,
            is_wanted,
        } => {
            (manifest.started_at, manifest.ended_at) = (started_at, time::now());
            manifest.dropped_at_least = dropped;
            manifest.interruption.clone_from(&reason);
            let failure = Error::Capture {
                place: capture.display().to_string(),
                reason: format!("the recording ended early: {reason}"),
            };
            Ok((!is_wanted).then_some(failure))
        }
    }
}

fn shown(manifest: &Manifest, zone: &TimeZone) -> String {
    let signed = match manifest.key.as_str() {
        "" => "not signed (see --key)".to_owned(),
        key => format!("signed by {}", escape(key)),
    };
    let part = match manifest.part() {
        Some(reason) => format!("only a part: {}\n", escape(&reason)),
        None => String::new(),
    };
    format!(
        "{} events from {} to {}, {signed}\n{part}",
        manifest.events,
        time::local(manifest.started_at, zone),
        time::local(manifest.ended_at, zone),
    )
}

fn create(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    options
        .open(path)
        .map_err(|source| Error::file(path, source))
}

#[cfg(test)]
mod tests;
