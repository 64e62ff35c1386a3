//! `org.quantumos.Crypto1` on the root object: the algorithms that this release uses.

use quantumos_pqc::REGISTRY;

pub(super) struct Crypto1;

#[zbus::interface(name = "org.quantumos.Crypto1", introspection_docs = false)]
impl Crypto1 {
    #[zbus(property(emits_changed_signal = "const"))]
    fn algorithms(&self) -> Vec<(String, u32, String, String, String)> {
        let line = |entry: &quantumos_pqc::Entry| {
            (
                entry.name.into(),
                entry.version,
                entry.kind.name().into(),
                entry.standard.into(),
                entry.library.into(),
            )
        };
        REGISTRY.iter().map(line).collect()
    }
}
