//! `wave sign5d`: an ML-DSA-87 signature and the five numbers derived from it. The signature verifies;
//! the numbers are for showing and comparing.

use std::path::PathBuf;

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::{Args, ValueHint};
use quantumos_ledger::hex;
use quantumos_pqc::{PublicKey, Signature};
use quantumos_wavelength::Signature5d;
use serde_json::json;

use crate::{
    bus::Bus,
    crypto::{read_file, write_file},
    error::Error,
    keys,
    output::Output,
};

/// The context that these signatures are bound to.
const CONTEXT: &str = "quantumos 5d signature v1";

/// The longest message in bytes.
const MESSAGE_MAX: u64 = 64 << 20;

/// What to sign, or whose signature to check.
#[derive(Args, Debug)]
pub struct Sign5dArgs {
    /// File that is signed; standard input without it or with -
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Key of the store to sign with: id, beginning of an id, or label
    #[arg(long, required_unless_present = "signature")]
    key: Option<String>,
    /// File to write the signature to when signing
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "key")]
    output: Option<PathBuf>,
    /// File with a signature to check instead of signing
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "key", requires = "public_key")]
    signature: Option<PathBuf>,
    /// File with the public key to check it with
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "signature")]
    public_key: Option<PathBuf>,
}

impl Sign5dArgs {
    /// Checks a signature, which needs no bus; nothing when one is to be made.
    pub fn alone(&self, output: &Output) -> Option<Result<(), Error>> {
        let (signature, public_key) = (self.signature.as_ref()?, self.public_key.as_ref()?);
        let check = || {
            let (message, _) = read_file(self.file.as_deref(), MESSAGE_MAX)?;
            let bad = |path: &PathBuf, why: quantumos_pqc::Error| {
                Error::Usage(format!("{}: {why}", path.display()))
            };
            let key = keys::decoded(public_key)?;
            let key = PublicKey::from_bytes(&key).map_err(|why| bad(public_key, why))?;
            let bytes = keys::decoded(signature)?;
            let signed = Signature::from_bytes(&bytes).map_err(|why| bad(signature, why))?;
            let valid = key.verify(&message, &signed, CONTEXT.as_bytes());
            if !valid.map_err(|why| bad(signature, why))? {
                return Err(Error::BadSignature);
            }
            show(
                output,
                &message,
                key.as_bytes(),
                &bytes,
                json!({"valid": true}),
            )
        };
        Some(check())
    }

    /// Signs with a key of the store.
    pub async fn sign(&self, bus: &Bus, output: &Output) -> Result<(), Error> {
        let Some(key) = &self.key else {
            return Err(Error::Usage("--key is missing".into()));
        };
        let (message, _) = read_file(self.file.as_deref(), MESSAGE_MAX)?;
        let signed = keys::signed(bus, key, &message, CONTEXT).await?;
        let text = STANDARD.encode(&signed.signature);
        let rest = match &self.output {
            Some(path) => {
                write_file(path, true, (text + "\n").as_bytes())?;
                json!({"key": signed.key, "file": path})
            }
            None => json!({"key": signed.key, "signature": text}),
        };
        show(
            output,
            &message,
            &signed.public_key,
            &signed.signature,
            rest,
        )
    }
}

fn show(
    output: &Output,
    message: &[u8],
    public_key: &[u8],
    signature: &[u8],
    rest: serde_json::Value,
) -> Result<(), Error> {
    let five = Signature5d::derive(signature, public_key, message)?;
    let bytes = five.to_bytes();
    let mut document = json!({
        "wavelength_nm": five.wavelength_nm(),
        "amplitude": five.amplitude(),
        "phase": five.phase(),
        "polarisation": five.polarisation(),
        "time": five.time(),
        "digest": hex(&bytes),
    });
    if let (Some(document), serde_json::Value::Object(rest)) = (document.as_object_mut(), rest) {
        document.extend(rest);
    }
    output.document(&document, |document| {
        let signature = document["signature"].as_str();
        let signature = signature.map_or_else(String::new, |text| format!("{text}\n"));
        format!("{signature}{five}\n")
    })
}
