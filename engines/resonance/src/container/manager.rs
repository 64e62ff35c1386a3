//! The container manager: fronts by id, and the chain from a container back to its first ancestor. It
//! keeps fronts only; where the data lies is the caller's affair.

use super::Verifier;
use super::header::{Front, Id};
use crate::Error;
use std::collections::BTreeMap;

/// The longest chain.
pub const CHAIN_MAX: usize = 100_000;

/// Why a chain does not hold, and at which container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// An ancestor is not registered.
    #[error("container {0} is not here")]
    Missing(Id),
    /// A signature does not verify.
    #[error("the signature of container {0} does not verify")]
    Signature(Id),
    /// A container says that it is older than its parent.
    #[error("container {0} is dated before its parent")]
    Time(Id),
    /// There are more ancestors than [`CHAIN_MAX`].
    #[error("the chain has more than {CHAIN_MAX} containers")]
    Long,
}

/// Fronts of containers by id.
#[derive(Default)]
pub struct Manager {
    fronts: BTreeMap<Id, Front>,
}

impl std::fmt::Debug for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Manager").finish_non_exhaustive()
    }
}

impl Manager {
    /// Without containers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a container whose signature verifies. The same one again changes nothing.
    ///
    /// # Errors
    /// [`Error::BadSignature`].
    pub fn register(&mut self, front: Front, verifier: &dyn Verifier) -> Result<Id, Error> {
        front.verify(verifier)?;
        let id = front.id();
        self.fronts.entry(id).or_insert(front);
        Ok(id)
    }

    /// A registered container.
    #[must_use]
    pub fn get(&self, id: Id) -> Option<&Front> {
        self.fronts.get(&id)
    }

    /// All registered containers, by id.
    pub fn iter(&self) -> impl Iterator<Item = (Id, &Front)> {
        self.fronts.iter().map(|(id, front)| (*id, front))
    }

    /// Verifies the chain of a container, without opening any: every ancestor is there, signed, and not
    /// younger than its child. Gives the ids from the container to its first ancestor.
    ///
    /// # Errors
    /// [`Broken`], at the container nearest to `id` that shows it.
    pub fn verify_chain(&self, id: Id, verifier: &dyn Verifier) -> Result<Vec<Id>, Broken> {
        let mut chain = Vec::new();
        let mut next = Some(id);
        let mut child: Option<&Front> = None;
        while let Some(id) = next {
            if chain.len() == CHAIN_MAX {
                return Err(Broken::Long);
            }
            let front = self.fronts.get(&id).ok_or(Broken::Missing(id))?;
            front.verify(verifier).map_err(|_| Broken::Signature(id))?;
            if let Some(child) = child
                && child.details().time < front.details().time
            {
                return Err(Broken::Time(child.id()));
            }
            chain.push(id);
            next = front.details().parent;
            child = Some(front);
        }
        Ok(chain)
    }
}
