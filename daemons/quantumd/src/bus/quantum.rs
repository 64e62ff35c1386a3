//! `org.quantumos.Quantum1` on the root object.

use super::Shared;
use crate::process::memory_is_locked;
use quantumos_pqc::Algorithm;
use std::sync::Arc;

pub(super) struct Quantum1(pub(super) Arc<Shared>);

#[zbus::interface(name = "org.quantumos.Quantum1", introspection_docs = false)]
impl Quantum1 {
    #[zbus(property)]
    fn protection(&self) -> &'static str {
        self.0.protection()
    }

    #[zbus(property)]
    fn tpm_vendor(&self) -> String {
        self.0.health().vendor.clone()
    }

    #[zbus(property)]
    fn engines(&self) -> Vec<(String, String, String)> {
        let health = self.0.health();
        let problem = health.store.as_ref().or(health.root.as_ref());
        let (state, detail) = match problem {
            Some(problem) => ("unavailable", problem.clone()),
            None => {
                let memory = if memory_is_locked() {
                    "locked"
                } else {
                    "not locked"
                };
                let detail = format!("AWS-LC signs, fips204 verifies each; memory {memory}");
                ("ready", detail)
            }
        };
        Algorithm::ALL
            .iter()
            .map(|algorithm| (algorithm.name().into(), state.into(), detail.clone()))
            .collect()
    }
}
