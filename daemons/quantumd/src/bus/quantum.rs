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
                ("ready", format!("memory {memory}"))
            }
        };
        Algorithm::ALL
            .iter()
            .map(|algorithm| {
                let detail = match problem {
                    Some(_) => detail.clone(),
                    None => format!("{}; {detail}", algorithm.entry().library),
                };
                (algorithm.name().into(), state.into(), detail)
            })
            .collect()
    }
}
