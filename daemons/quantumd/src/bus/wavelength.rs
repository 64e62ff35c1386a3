//! `org.quantumos.Wavelength1`: messages sealed and carried as frames of light, and five-dimensional
//! signatures.

use super::access::outcome;
use super::failure::Answer;
use super::stream_job::{self, Way};
use super::{Shared, descriptor};
use crate::Error;
use crate::grant::Operation;
use quantumos_dbus::{Dictionary, Error as BusError};
use quantumos_pqc::{Algorithm, PublicHalf};
use quantumos_wavelength::{Decoder, Method, Signature5d};
use std::sync::Arc;
use zbus::message::Header;
use zbus::{OwnedFd, OwnedObjectPath};

/// The context that the signatures are bound to, as quantumctl has it.
const CONTEXT: &[u8] = b"quantumos 5d signature v1";

/// The most frames that one call shows.
const SHOWN_MAX: u32 = 1000;

/// Wavelength in nm, amplitude, phase and polarisation in radians, time in seconds.
type Five = (f64, f64, f64, f64, f64);

/// Number, wavelength in nm, photons, phase in radians, energy of a photon in joules.
type Shown = (u32, f64, u32, f64, f64);

pub(super) struct Wavelength1(pub(super) Arc<Shared>);

fn five(signature: &[u8], public: &[u8], message: &[u8]) -> Result<(Vec<u8>, Five), Error> {
    let it = Signature5d::derive(signature, public, message)?;
    let values = (
        it.wavelength_nm(),
        it.amplitude(),
        it.phase(),
        it.polarisation(),
        it.time(),
    );
    Ok((it.to_bytes().to_vec(), values))
}

#[zbus::interface(name = "org.quantumos.Wavelength1", introspection_docs = false)]
impl Wavelength1 {
    #[zbus(out_args("job"))]
    async fn encode(
        &self,
        #[zbus(header)] header: Header<'_>,
        method: &str,
        input: OwnedFd,
        output: OwnedFd,
        options: Dictionary,
    ) -> Result<OwnedObjectPath, BusError> {
        let method: Method = method.parse().map_err(Error::Light)?;
        let ends = (input, output);
        stream_job::start(&self.0, header, Way::Encode(method), ends, options).await
    }

    #[zbus(out_args("job"))]
    async fn decode(
        &self,
        #[zbus(header)] header: Header<'_>,
        input: OwnedFd,
        output: OwnedFd,
        options: Dictionary,
    ) -> Result<OwnedObjectPath, BusError> {
        stream_job::start(&self.0, header, Way::Decode, (input, output), options).await
    }

    #[zbus(out_args("method", "payload", "frames"))]
    async fn frames(
        &self,
        input: OwnedFd,
        first: u32,
        count: u32,
    ) -> Result<(String, u64, Vec<Shown>), BusError> {
        if count > SHOWN_MAX {
            let why = format!("{count} frames, at most {SHOWN_MAX} are shown at a time");
            return Err(Error::argument("count", why).into());
        }
        let work = move || {
            let bytes = descriptor::read_file(input.into())?;
            let (mut decoder, mut payload) = (Decoder::new(), Vec::new());
            let mut shown = Vec::new();
            // In pieces, since the payload is of no interest and dropped on the way.
            for piece in bytes.chunks(1 << 16) {
                payload.clear();
                decoder.push_frames(piece, &mut payload, |frame| {
                    if frame.number >= first && frame.number - first < count {
                        let nm = f64::from(frame.wavelength_pm) / 1000.0;
                        let phase = frame.phase_radians();
                        shown.push((frame.number, nm, frame.photons, phase, frame.energy));
                    }
                })?;
            }
            let (method, len) = decoder.header().unzip();
            decoder.finish()?;
            let name = method.map_or_else(String::new, |method| method.name().into());
            Ok((name, len.unwrap_or(0), shown))
        };
        Ok(self.0.verifiers.run(work).await?)
    }

    #[zbus(out_args("signature", "digest", "values"))]
    async fn sign(
        &self,
        #[zbus(header)] header: Header<'_>,
        key: &str,
        message: OwnedFd,
    ) -> Result<(Vec<u8>, Vec<u8>, Five), BusError> {
        let shared = &self.0;
        let record = shared.keyring.record(key.parse()?)?;
        let operation = Operation::Sign;
        let who = shared.authorise_use(&header, &record, operation).await?;
        if record.algorithm != Algorithm::MlDsa87 {
            let why = format!("{} can't, only ML-DSA-87", record.algorithm.name());
            return Err(Error::argument("key", why).into());
        }
        shared.ensure_open().await?;
        let (keyring, own) = (shared.keyring.clone(), record.clone());
        let work = move || {
            let message = descriptor::read(message.into())?;
            let signature = keyring.sign(own.id, &message, CONTEXT)?;
            let public = &own.version_of(None)?.public;
            let (digest, values) = five(&signature, public.as_bytes(), &message)?;
            Ok((signature, digest, values))
        };
        let done = shared.readers.run(work).await;
        shared.used(&record, operation, record.version(), who, outcome(&done));
        Ok(done?)
    }

    #[zbus(out_args("valid", "digest", "values"))]
    async fn verify(
        &self,
        public_key: Vec<u8>,
        message: OwnedFd,
        signature: Vec<u8>,
    ) -> Result<(bool, Vec<u8>, Five), BusError> {
        let public =
            PublicHalf::from_bytes(Algorithm::MlDsa87, &public_key).map_err(Error::from)?;
        let work = move || {
            let message = descriptor::read_file(message.into())?;
            if !public.verify(&message, &signature, CONTEXT)? {
                // What was derived from a wrong signature would only be taken for one.
                return Ok((false, Vec::new(), Five::default()));
            }
            let (digest, values) = five(&signature, &public_key, &message)?;
            Ok((true, digest, values))
        };
        let done: Answer<_> = self.0.verifiers.run(work).await.map_err(Into::into);
        done
    }
}
