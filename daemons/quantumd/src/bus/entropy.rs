//! `org.quantumos.Entropy1` on the root object: sources of randomness, and some of it for callers.

use super::{Shared, descriptor};
use crate::Error;
use quantumos_dbus::Error as BusError;
use std::sync::Arc;
use zbus::OwnedFd;
use zeroize::Zeroizing;

/// The most bytes in a call.
const MOST: u32 = 4096;

pub(super) struct Entropy1(pub(super) Arc<Shared>);

#[zbus::interface(name = "org.quantumos.Entropy1", introspection_docs = false)]
impl Entropy1 {
    #[zbus(out_args("random"))]
    async fn draw(&self, bytes: u32) -> Result<OwnedFd, BusError> {
        if !(1..=MOST).contains(&bytes) {
            return Err(Error::argument("bytes", "1 to 4096 in a call").into());
        }
        let keyring = self.0.keyring.clone();
        let work = move || {
            let count = bytes as usize;
            let mut out = Zeroizing::new(Vec::with_capacity(count + 32));
            while out.len() < count {
                out.extend_from_slice(keyring.entropy().draw()?.expose());
            }
            Ok(descriptor::secret(&out[..count])?.into())
        };
        Ok(self.0.workers.run(work).await?)
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn sources(&self) -> Vec<(String, String, u64, String)> {
        let told = self.0.keyring.entropy().sources().into_iter();
        told.map(|source| {
            let (name, state) = (source.name.into(), source.state.into());
            (name, state, source.bytes, source.detail)
        })
        .collect()
    }
}
