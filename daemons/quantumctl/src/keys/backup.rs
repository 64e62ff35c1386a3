//! `quantumctl keys backup`, `restore` and `inspect`: keys on their way from host to host. What is
//! written is sealed; the service does the sealing and opening, seeds are never seen here.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::Read,
    os::fd::OwnedFd,
    path::PathBuf,
};

use clap::{Args, ValueHint};
use quantumos_dbus::{bus_name::QUANTUM, path::KEYS};
use quantumos_ledger::hex;
use quantumos_pqc::{Algorithm, PublicHalf, backup::Backup};
use serde_json::json;
use zbus::{ObjectPath, OwnedObjectPath, Variant};

use super::{bytes_of, find};
use crate::{bus::Bus, error::Error, output::Output, text::time::local};

const INTERFACE: &str = "org.quantumos.Backup1";

/// What goes where.
#[derive(Args, Debug)]
pub struct BackupArgs {
    /// Keys to back up: id, beginning of an id, or label; all active keys without any
    keys: Vec<String>,
    /// File with the X25519+ML-KEM-1024 public key of the host that is to restore
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    to: PathBuf,
    /// Key of this host that signs: id, beginning of an id, or label
    #[arg(long, value_name = "KEY")]
    signer: String,
    /// File to write
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: PathBuf,
}

/// What comes from where.
#[derive(Args, Debug)]
pub struct RestoreArgs {
    /// File with the backup
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// Key of this host that the backup is sealed to: id, beginning of an id, or label
    #[arg(long, value_name = "KEY")]
    key: String,
    /// File with the public key of who has to have signed it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    signer: PathBuf,
    /// Algorithm of --signer
    #[arg(long, value_name = "NAME", default_value = "ML-DSA-87")]
    algorithm: String,
    /// User who is to own the keys, by number or name; without it the user ids of the other host
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
    /// Bring grants along
    #[arg(long)]
    grants: bool,
    /// Leave out keys that are here already, instead of restoring nothing
    #[arg(long)]
    skip_existing: bool,
}

/// Which backup to look at.
#[derive(Args, Debug)]
pub struct InspectArgs {
    /// File with the backup
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
    /// File with the public key of who has to have signed it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    signer: Option<PathBuf>,
    /// Algorithm of --signer
    #[arg(
        long,
        value_name = "NAME",
        default_value = "ML-DSA-87",
        requires = "signer"
    )]
    algorithm: String,
}

/// `keys backup`.
pub async fn backup(bus: &Bus, output: &Output, args: &BackupArgs) -> Result<(), Error> {
    let recipient = bytes_of(&args.to)?;
    let signer = find(bus, &args.signer).await?;
    let mut keys = Vec::new();
    for name in &args.keys {
        keys.push(path(find(bus, name).await?.path)?);
    }
    let proxy = bus.proxy(QUANTUM, KEYS, INTERFACE).await?;
    let options = HashMap::<&str, Variant<'_>>::new();
    let body = (
        keys,
        recipient.as_slice(),
        path(signer.path.clone())?,
        options,
    );
    let (memory, id, count): (zbus::OwnedFd, String, u32) =
        bus.authorised(&proxy, "Backup", &body).await?;
    let mut bytes = Vec::new();
    File::from(OwnedFd::from(memory))
        .read_to_end(&mut bytes)
        .map_err(|error| Error::Answer(error.to_string()))?;
    let draft = args.output.with_added_extension("new");
    fs::write(&draft, &bytes)
        .and_then(|()| fs::rename(&draft, &args.output))
        .map_err(|source| Error::file(&args.output, source))?;
    let document = json!({
        "backup": id, "keys": count, "file": args.output, "bytes": bytes.len(),
        "signer": signer.id,
    });
    output.document(&document, |_| {
        format!("backup {id} with {count} keys, signed by {}\n", signer.id)
    })
}

/// `keys restore`.
pub async fn restore(bus: &Bus, output: &Output, args: &RestoreArgs) -> Result<(), Error> {
    let file = File::open(&args.file).map_err(|source| Error::file(&args.file, source))?;
    let signer = bytes_of(&args.signer)?;
    let key = find(bus, &args.key).await?;
    let mut options: HashMap<&str, Variant<'_>> = HashMap::new();
    if let Some(owner) = &args.owner {
        options.insert("owner", super::usage::uid(owner)?.into());
    }
    options.insert("grants", args.grants.into());
    options.insert("skip-existing", args.skip_existing.into());
    let proxy = bus.proxy(QUANTUM, KEYS, INTERFACE).await?;
    let body = (
        zbus::Fd::from(&file),
        path(key.path)?,
        args.algorithm.as_str(),
        signer.as_slice(),
        options,
    );
    type Answer = (String, Vec<OwnedObjectPath>, Vec<OwnedObjectPath>);
    let (id, restored, skipped): Answer = bus.authorised(&proxy, "Restore", &body).await?;
    let names = |paths: &[OwnedObjectPath]| -> Vec<String> {
        let name = |path: &OwnedObjectPath| path.rsplit('/').next().unwrap_or_default().to_owned();
        paths.iter().map(name).collect()
    };
    let (restored, skipped) = (names(&restored), names(&skipped));
    let document = json!({ "backup": id, "restored": restored, "skipped": skipped });
    output.document(&document, |_| {
        let mut text = format!("{} keys restored from backup {id}\n", restored.len());
        for (what, ids) in [("restored", &restored), ("already here", &skipped)] {
            for id in ids {
                text += &format!("{what}: {id}\n");
            }
        }
        text
    })
}

/// `keys inspect`: needs neither bus nor TPM.
pub fn inspect(output: &Output, args: &InspectArgs) -> Result<(), Error> {
    let name = args.file.display().to_string();
    let bad = |source: quantumos_pqc::Error| Error::Backup {
        path: name.clone(),
        source,
    };
    let bytes = fs::read(&args.file).map_err(|source| Error::file(&args.file, source))?;
    let backup = Backup::parse(bytes).map_err(bad)?;
    if let Some(file) = &args.signer {
        let algorithm: Algorithm = args.algorithm.parse().map_err(bad)?;
        let public = PublicHalf::from_bytes(algorithm, &bytes_of(file)?).map_err(bad)?;
        backup.verify(&public).map_err(bad)?;
    }
    let signed = args.signer.is_some();
    let document = json!({
        "backup": hex(&backup.id), "created_at": backup.created_at,
        "signer": hex(&backup.signer), "signer_algorithm": backup.signer_algorithm.name(),
        "recipient": hex(&backup.recipient), "signature_checked": signed,
    });
    output.document(&document, |_| {
        let checked = match signed {
            true => "good",
            false => "not checked, no --signer",
        };
        format!(
            "backup     {}\nmade       {}\nsigner     {} {}\nrecipient  {}\nsignature  {checked}\n",
            hex(&backup.id),
            local(backup.created_at, &output.zone),
            backup.signer_algorithm.name(),
            hex(&backup.signer),
            hex(&backup.recipient),
        )
    })
}

fn path(text: String) -> Result<ObjectPath<'static>, Error> {
    ObjectPath::try_from(text).map_err(|error| Error::Answer(error.to_string()))
}
