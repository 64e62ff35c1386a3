//! `container create`: the data is sealed here, piece by piece, and only the header goes to quantumd to be
//! signed.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use clap::{Args, ValueHint};
use quantumos_pqc::SIGNATURE_LEN;
use quantumos_resonance::{
    container::{CONTEXT, Details, Seal, random_waveform},
    stream::Cost,
};

use super::{
    file::{Container, MlDsa87, PIECE},
    show,
};
use crate::{
    bus::Bus,
    crypto::{
        files::{Draft, Input},
        numbers, read_file,
    },
    error::Error,
    keys,
    output::Output,
    text::time,
};

/// Values of a waveform that is made here.
const VALUES: usize = 8;

/// What to seal, and how.
#[derive(Args, Debug)]
pub struct CreateArgs {
    /// File with the data; standard input without it or with -
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Container file to write; it appears only when it is whole
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: PathBuf,
    /// Key of the store to sign with: id, beginning of an id, or label
    #[arg(long)]
    key: String,
    /// File with the waveform to seal under: a JSON array, or numbers apart
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, required_unless_present = "new_waveform")]
    waveform: Option<PathBuf>,
    /// Make a random waveform and write it to this file, readable by its owner only
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "waveform")]
    new_waveform: Option<PathBuf>,
    /// Seal under a waveform that is easily guessed too; the container is marked
    #[arg(long)]
    insist: bool,
    /// Container that this one is derived from
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    parent: Option<PathBuf>,
    /// Name of the author
    #[arg(long, default_value = "")]
    author: String,
    /// Something to say in the open, may be given more than once
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
    /// Memory in MiB that trying a waveform takes
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1024))]
    memory: u32,
    /// Replace the output file if it is there
    #[arg(long)]
    force: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "NAME=VALUE is expected".to_owned())
}

pub async fn create(bus: &Bus, output: &Output, args: &CreateArgs) -> Result<(), Error> {
    let parent = args.parent.as_deref().map(parent).transpose()?;
    let metadata: BTreeMap<_, _> = args.metadata.iter().cloned().collect();
    if metadata.len() < args.metadata.len() {
        return Err(Error::Usage("--metadata: a name is given twice".into()));
    }
    let now = time::now();
    let details = Details {
        parent: parent.as_ref().map(|parent| parent.front.id()),
        // A clock that was set back must not date a child before its parent.
        time: parent.map_or(now, |parent| now.max(parent.front.details().time)),
        author: args.author.clone(),
        metadata,
    };
    let cost = Cost {
        memory_kib: args.memory * 1024,
        ..Cost::default()
    };
    let input = Input::open(args.file.as_deref())?;
    let (key, public_key) = keys::public(bus, &args.key).await?;
    let draft = Draft::new(&args.output, args.force)?;
    let waveform = waveform(args)?;
    let mut sealed = Vec::with_capacity(2 * PIECE);
    let mut seal = Seal::new(
        &waveform,
        args.insist,
        cost,
        details,
        &public_key,
        &mut sealed,
    )?;
    let room = seal.front_len(SIGNATURE_LEN);
    let mut file = &draft.file;
    file.seek(SeekFrom::Start(room as u64))
        .map_err(|source| draft.failed(source))?;
    let mut piece = vec![0; PIECE];
    loop {
        file.write_all(&sealed).map_err(|e| draft.failed(e))?;
        sealed.clear();
        match (&input.file).read(&mut piece) {
            Ok(0) => break,
            Ok(got) => seal.push(&piece[..got], &mut sealed)?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(source) => return Err(input.failed(source)),
        }
    }
    let unsigned = seal.finish(&mut sealed)?;
    file.write_all(&sealed).map_err(|e| draft.failed(e))?;
    let context = String::from_utf8_lossy(CONTEXT);
    let signed = keys::signed(bus, &key, &unsigned.message(), &context).await?;
    let front = unsigned.with_signature(signed.signature, &MlDsa87)?;
    let front = front.to_bytes();
    if front.len() != room {
        return Err(Error::Answer("a signature of another length".into()));
    }
    file.write_all_at(&front, 0).map_err(|e| draft.failed(e))?;
    if let Some(path) = &args.new_waveform {
        keep(path, &waveform)?;
    }
    draft.keep()?;
    show::made(output, &Container::read(&args.output)?)
}

fn parent(path: &Path) -> Result<Container, Error> {
    let container = Container::read(path)?;
    container.front.verify(&MlDsa87)?;
    Ok(container)
}

fn waveform(args: &CreateArgs) -> Result<Vec<f64>, Error> {
    match &args.waveform {
        Some(path) => {
            let (text, name) = read_file(Some(path), numbers::TEXT_MAX)?;
            numbers::parse(&name, &text)
        }
        None => Ok(random_waveform(VALUES)?),
    }
}

/// A new file with the waveform, in the shortest form that reads back to the same numbers.
fn keep(path: &Path, waveform: &[f64]) -> Result<(), Error> {
    let text = serde_json::to_string(waveform).map_err(|e| Error::Answer(e.to_string()))?;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all((text + "\n").as_bytes()))
        .map_err(|source| Error::file(path, source))
}
