//! `quantumctl crypto`: seal and open files and pipes, hash and authenticate, all in this process
//! where no service need run; and what quantumd's cryptography is made of.

mod carried;
mod convert;
pub mod files;
pub mod numbers;
mod registry;
pub mod secret;
mod sums;

use std::{
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    thread,
};

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use quantumos_resonance::stream::{
    CONTEXT_MAX, Cost, Header, Options, Sealer, Secret, Source, StreamKey, Suite, message_len,
};
use quantumos_resonance::text;
use serde_json::json;

use self::{
    carried::Carried,
    convert::{Direction, Failure, Part},
    files::{Draft, Input},
    secret::{Given, SecretArgs},
};
use crate::{bus::Bus, error::Error, output::Output};

/// What to do.
#[derive(Debug, Subcommand)]
pub enum CryptoCommand {
    /// Seal a file or standard input
    Encrypt(EncryptArgs),
    /// Open what encrypt sealed
    Decrypt(DecryptArgs),
    /// Hash a waveform
    Hash(sums::HashArgs),
    /// Authenticate a file or standard input, and check that
    Hmac(sums::HmacArgs),
    /// List the algorithms in use: version, kind, standard, library
    Algorithms,
}

/// The cipher.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Cipher {
    /// The faster one on this processor
    Fastest,
    /// AES-256-GCM
    Aes,
    /// XChaCha20-Poly1305
    Xchacha,
}

impl From<Cipher> for Suite {
    fn from(cipher: Cipher) -> Self {
        match cipher {
            Cipher::Fastest => Self::fastest(),
            Cipher::Aes => Self::Aes256Gcm,
            Cipher::Xchacha => Self::XChaCha20Poly1305,
        }
    }
}

/// What both ways need.
#[derive(Args, Debug)]
struct Common {
    /// File to read; standard input without it or with -
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    #[command(flatten)]
    secret: SecretArgs,
    /// Key of the store: id, beginning of an id, or label. What is sealed under one says which it was
    #[arg(long, conflicts_with_all = ["passphrase_file", "key_file", "text"])]
    key: Option<String>,
    /// What the message belongs to; the same has to be given to open it
    #[arg(long, default_value = "")]
    context: String,
    /// File to write instead of standard output; it appears only when it is whole
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// Replace the output file if it is there
    #[arg(long, requires = "output")]
    force: bool,
    /// Threads; as many as there are processors without it
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Base64 instead of bytes, for text of up to 16 MiB
    #[arg(long)]
    text: bool,
}

/// How to seal.
#[derive(Args, Debug)]
pub struct EncryptArgs {
    #[command(flatten)]
    common: Common,
    /// Cipher
    #[arg(long, value_enum, default_value_t = Cipher::Fastest)]
    cipher: Cipher,
    /// Memory in MiB that trying a passphrase takes, here and of whoever guesses
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1024))]
    memory: u32,
}

/// How to open.
#[derive(Args, Debug)]
pub struct DecryptArgs {
    #[command(flatten)]
    common: Common,
}

impl Common {
    fn secret(&self, new: bool) -> Result<Given, Error> {
        self.secret.get(new)
    }

    fn threads(&self) -> usize {
        let all = || thread::available_parallelism().map_or(1, usize::from);
        self.threads.map_or_else(all, usize::from)
    }
}

/// Runs what needs no bus, or nothing.
pub fn run_alone(output: &Output, command: &CryptoCommand) -> Option<Result<(), Error>> {
    match command {
        CryptoCommand::Encrypt(args) if args.common.key.is_none() => Some(
            args.common
                .secret(true)
                .and_then(|secret| encrypt(output, args, &secret, None)),
        ),
        CryptoCommand::Decrypt(args) if args.common.text => Some(decrypt_text(&args.common)),
        CryptoCommand::Decrypt(args) => decrypt_alone(output, &args.common),
        CryptoCommand::Hash(args) => Some(sums::hash(output, args)),
        CryptoCommand::Hmac(args) => Some(sums::hmac(output, args)),
        CryptoCommand::Encrypt(_) | CryptoCommand::Algorithms => None,
    }
}

/// Runs what needs the bus.
pub async fn run(bus: &Bus, output: &Output, command: &CryptoCommand) -> Result<(), Error> {
    match command {
        CryptoCommand::Algorithms => registry::algorithms(bus, output).await,
        CryptoCommand::Encrypt(args) => {
            let name = args.common.key.as_deref().unwrap_or_default();
            let carried = carried::make(bus, name).await?;
            encrypt(output, args, &carried.key, Some(&carried))
        }
        CryptoCommand::Decrypt(args) => {
            let input = Input::open(args.common.file.as_deref())?;
            let header = read_header(&input)?;
            let name = args.common.key.as_deref();
            let key = carried::open(bus, header.source(), name).await?;
            decrypt(output, &args.common, input, &header, &key)
        }
        // These have been done without it.
        _ => Ok(()),
    }
}

fn encrypt(
    output: &Output,
    args: &EncryptArgs,
    secret: &Given,
    carried: Option<&Carried>,
) -> Result<(), Error> {
    let common = &args.common;
    let options = Options {
        suite: args.cipher.into(),
        cost: Cost {
            memory_kib: args.memory * 1024,
            ..Cost::default()
        },
        context: common.context.as_bytes(),
        reference: carried.map_or(b"", |carried| &carried.reference),
        capsule: carried.map(|carried| carried.capsule.as_slice()),
    };
    let mut input = Input::open(common.file.as_deref())?;
    if common.text {
        let text = text_of(&mut input, text::TEXT_MAX)?;
        let sealed = text::encrypt(&text, phrase(secret)?, &options)? + "\n";
        return deliver(common, sealed.as_bytes())
            .and_then(|()| told(output, common, options.suite));
    }
    let sealer = Sealer::new(secret.secret(), &options)?;
    let header = sealer.header().to_bytes();
    let key = sealer.into_key();
    match &common.output {
        Some(path) => {
            let draft = Draft::new(path, common.force)?;
            let start = header.len() as u64;
            io::Write::write_all(&mut &draft.file, &header).map_err(|e| draft.failed(e))?;
            let done = match input.len {
                Some(len) => {
                    let part = Part { at: 0, len };
                    let to = Some((&draft.file, start));
                    convert::files(
                        &key,
                        Direction::Seal,
                        (&input.file, part),
                        to,
                        common.threads(),
                    )
                }
                None => piped(&key, Direction::Seal, &input, &mut &draft.file, common),
            };
            done.map_err(|failure| why(failure, &input, |e| draft.failed(e)))?;
            draft.keep()?;
        }
        None => {
            crate::output::write(&header)?;
            piped(
                &key,
                Direction::Seal,
                &input,
                &mut io::stdout().lock(),
                common,
            )
            .map_err(|failure| why(failure, &input, Error::Output))?;
        }
    }
    told(output, common, options.suite)
}

/// Opens text, which a passphrase seals.
fn decrypt_text(common: &Common) -> Result<(), Error> {
    let mut input = Input::open(common.file.as_deref())?;
    let sealed = text_of(&mut input, text::TEXT_MAX * 2)?;
    let secret = common.secret(false)?;
    let context = common.context.as_bytes();
    let text = text::decrypt(&sealed, phrase(&secret)?, context, Cost::LIMIT)?;
    deliver(common, text.as_bytes())
}

/// Opens what needs no bus; nothing for what a key of the store has to open.
fn decrypt_alone(output: &Output, common: &Common) -> Option<Result<(), Error>> {
    if common.key.is_some() {
        return None;
    }
    let open = || {
        let input = Input::open(common.file.as_deref())?;
        let header = read_header(&input)?;
        if matches!(header.source(), Source::Carried { .. }) && !common.secret.is_given() {
            // A pipe can't be read a second time.
            return match input.len {
                Some(_) => Ok(None),
                None => Err(Error::Usage("this needs --key".into())),
            };
        }
        let secret = common.secret(false)?;
        decrypt(output, common, input, &header, &secret).map(Some)
    };
    open().transpose()
}

fn decrypt(
    output: &Output,
    common: &Common,
    input: Input,
    header: &Header,
    secret: &Given,
) -> Result<(), Error> {
    let key = open(header, secret.secret(), &common.context)?;
    let at = header.to_bytes().len() as u64;
    match &common.output {
        Some(path) => {
            let draft = Draft::new(path, common.force)?;
            let done = match input.len {
                Some(len) => {
                    let part = Part {
                        at,
                        len: len.saturating_sub(at),
                    };
                    let to = Some((&draft.file, 0));
                    convert::files(
                        &key,
                        Direction::Open,
                        (&input.file, part),
                        to,
                        common.threads(),
                    )
                }
                None => piped(&key, Direction::Open, &input, &mut &draft.file, common),
            };
            done.map_err(|failure| why(failure, &input, |e| draft.failed(e)))?;
            draft.keep()?;
        }
        None => {
            let was_regular = input.len.is_some();
            let (input, len) = input.into_regular()?;
            // A copy of a pipe begins behind the header.
            let at = if was_regular { at } else { 0 };
            let part = Part {
                at,
                len: len.saturating_sub(at),
            };
            let threads = common.threads();
            convert::files(&key, Direction::Open, (&input.file, part), None, threads)
                .map_err(|failure| why(failure, &input, Error::Output))?;
            rewind(&input, at)?;
            let mut standard = io::stdout().lock();
            piped(&key, Direction::Open, &input, &mut standard, common)
                .map_err(|failure| why(failure, &input, Error::Output))?;
        }
    }
    told(output, common, header.suite())
}

fn rewind(input: &Input, at: u64) -> Result<(), Error> {
    (&input.file)
        .seek(SeekFrom::Start(at))
        .map(drop)
        .map_err(|source| input.failed(source))
}

fn piped(
    key: &StreamKey,
    direction: Direction,
    input: &Input,
    output: &mut dyn io::Write,
    common: &Common,
) -> Result<(), Failure> {
    convert::pipes(key, direction, &mut &input.file, output, common.threads())
}

/// The header at the beginning of `input`, and not a byte more.
fn read_header(input: &Input) -> Result<Header, Error> {
    let mut bytes = Vec::new();
    loop {
        let want = Header::len(&bytes)?.unwrap_or(bytes.len() + 1);
        if bytes.len() == want {
            break;
        }
        let more = (want - bytes.len()) as u64;
        let got = (&input.file)
            .take(more)
            .read_to_end(&mut bytes)
            .map_err(|source| input.failed(source))?;
        if got == 0 {
            break;
        }
    }
    let header = Header::from_bytes(&bytes)?;
    // A length that no message comes to is told before the passphrase is asked for.
    if let Some(len) = input.len
        && message_len(len - bytes.len() as u64).is_none()
    {
        return Err(quantumos_resonance::Error::Truncated {
            what: "resonance stream",
            after: len,
        }
        .into());
    }
    Ok(header)
}

fn open(header: &Header, secret: Secret<'_>, context: &str) -> Result<StreamKey, Error> {
    if context.len() > CONTEXT_MAX {
        return Err(Error::Usage(format!(
            "--context: more than {CONTEXT_MAX} bytes"
        )));
    }
    Ok(header.open(secret, context.as_bytes(), Cost::LIMIT)?)
}

fn why(failure: Failure, input: &Input, output: impl Fn(io::Error) -> Error) -> Error {
    match failure {
        Failure::Input(source) => input.failed(source),
        Failure::Output(source) => output(source),
        Failure::Stream(error) => error.into(),
    }
}

/// With `--json` and a file, what was done; a message on standard output stands alone.
fn told(output: &Output, common: &Common, suite: Suite) -> Result<(), Error> {
    match &common.output {
        Some(path) if output.json => {
            let done = json!({"file": path, "cipher": suite.name()});
            output.document(&done, |_| String::new())
        }
        _ => Ok(()),
    }
}

fn deliver(common: &Common, bytes: &[u8]) -> Result<(), Error> {
    match &common.output {
        Some(path) => write_file(path, common.force, bytes),
        None => crate::output::write(bytes),
    }
}

/// Writes a file that appears only when it is whole.
pub fn write_file(path: &Path, force: bool, bytes: &[u8]) -> Result<(), Error> {
    let draft = Draft::new(path, force)?;
    io::Write::write_all(&mut &draft.file, bytes).map_err(|source| draft.failed(source))?;
    draft.keep()
}

fn text_of(input: &mut Input, limit: usize) -> Result<String, Error> {
    String::from_utf8(input.read_all(limit as u64)?)
        .map_err(|_| Error::Usage(format!("{}: not UTF-8 text", input.name)))
}

fn phrase(secret: &Given) -> Result<&str, Error> {
    match secret {
        Given::Passphrase(bytes) => std::str::from_utf8(bytes)
            .map_err(|_| Error::Usage("the passphrase is not UTF-8 text".into())),
        Given::Key(_) => Err(Error::Usage(
            "--text goes with a passphrase, not with --key-file".into(),
        )),
    }
}

/// A message that is sealed or opened whole, for what follows or comes before.
pub fn read_file(path: Option<&Path>, limit: u64) -> Result<(Vec<u8>, String), Error> {
    let mut input = Input::open(path)?;
    Ok((input.read_all(limit)?, input.name))
}
