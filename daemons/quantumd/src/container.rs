//! The containers that quantumd knows: the fronts (never the data) of each user, in files of the state
//! directory, and how often opening one failed lately. Blocks.

use crate::{Error, file};
use quantumos_pqc::{PublicKey, Signature};
use quantumos_resonance::container::{
    CHAIN_MAX, CONTEXT, FRONT_MAX, Front, Id, Manager, Throttle, Verifier,
};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The most fronts that a user may register.
pub const PER_OWNER: usize = 1024;

/// Failures are remembered of so many pairs of user and container; then of those that failed most.
const REMEMBERED: usize = 4096;

/// ML-DSA-87, as authors sign containers.
pub struct MlDsa87;

impl Verifier for MlDsa87 {
    fn verify(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let key = PublicKey::from_bytes(public_key);
        let (Ok(key), Ok(signature)) = (key, Signature::from_bytes(signature)) else {
            return false;
        };
        key.verify(message, &signature, CONTEXT).unwrap_or(false)
    }
}

/// All of them.
#[derive(Debug)]
pub struct Containers {
    directory: PathBuf,
    /// One change of the files at a time.
    changing: Mutex<()>,
    failures: Mutex<BTreeMap<(u32, Id), Throttle>>,
}

impl Containers {
    /// Those in a state directory.
    #[must_use]
    pub fn new(state: &Path) -> Self {
        Self {
            directory: state.join("containers"),
            changing: Mutex::default(),
            failures: Mutex::default(),
        }
    }

    fn place(&self, owner: u32) -> PathBuf {
        self.directory.join(owner.to_string())
    }

    /// Ids of a user's containers.
    fn ids(&self, owner: u32) -> Result<Vec<Id>, Error> {
        let place = self.place(owner);
        let fail = |error| Error::file(&place, error);
        let entries = match std::fs::read_dir(&place) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(fail)?,
        };
        let mut ids = Vec::new();
        for entry in entries {
            let name = entry.map_err(fail)?.file_name();
            // What an interrupted write left is no container.
            if let Some(id) = name.to_str().and_then(|name| name.parse().ok()) {
                ids.push(id);
            }
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// A registered front.
    ///
    /// # Errors
    /// [`Error::NoSuchContainer`], [`Error::Damaged`], [`Error::File`].
    pub fn get(&self, owner: u32, id: Id) -> Result<Front, Error> {
        let path = self.place(owner).join(id.to_string());
        let bytes = file::read(&path, FRONT_MAX)?;
        let bytes = bytes.ok_or_else(|| Error::NoSuchContainer(id.to_string()))?;
        let damaged = |why: String| Error::Damaged {
            path: path.clone(),
            why,
        };
        let front = Front::from_bytes(&bytes).map_err(|error| damaged(error.to_string()))?;
        if front.id() != id {
            return Err(damaged(format!("it is container {}", front.id())));
        }
        Ok(front)
    }

    /// All of a user's containers, by id.
    ///
    /// # Errors
    /// As [`Containers::get`].
    pub fn list(&self, owner: u32) -> Result<Vec<(Id, Front)>, Error> {
        let ids = self.ids(owner)?.into_iter();
        ids.map(|id| Ok((id, self.get(owner, id)?))).collect()
    }

    /// Registers a front whose signature verifies. The same one again changes nothing.
    ///
    /// # Errors
    /// [`Error::Stream`] for a wrong signature, [`Error::TooManyContainers`], [`Error::File`].
    pub fn register(&self, owner: u32, front: &Front) -> Result<Id, Error> {
        front.verify(&MlDsa87)?;
        let id = front.id();
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.ids(owner)?;
        if known.contains(&id) {
            return Ok(id);
        }
        if known.len() >= PER_OWNER {
            return Err(Error::TooManyContainers {
                owner,
                limit: PER_OWNER,
            });
        }
        let place = self.place(owner);
        std::fs::create_dir_all(&place).map_err(|error| Error::file(&place, error))?;
        file::create(&place.join(id.to_string()), &front.to_bytes())?;
        Ok(id)
    }

    /// Forgets a container; its file elsewhere stays as it is.
    ///
    /// # Errors
    /// [`Error::NoSuchContainer`], [`Error::File`].
    pub fn remove(&self, owner: u32, id: Id) -> Result<(), Error> {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.ids(owner)?.contains(&id) {
            return Err(Error::NoSuchContainer(id.to_string()));
        }
        file::remove(&self.place(owner).join(id.to_string()))
    }

    /// Verifies the history of a registered container, or of one that is at hand: the ids from it to
    /// its first ancestor.
    ///
    /// # Errors
    /// [`Error::Chain`], [`Error::NoSuchContainer`] for the container itself, [`Error::Damaged`].
    pub fn chain(&self, owner: u32, front: Front) -> Result<Vec<Id>, Error> {
        let id = front.id();
        let mut manager = Manager::new();
        let mut next = Some(front);
        // One more than a chain may have, for the manager to say so.
        for _ in 0..=CHAIN_MAX {
            let Some(front) = next.take() else { break };
            let parent = front.details().parent;
            manager.register(front, &MlDsa87)?;
            // A parent that is in the list already would make the chain a circle, which no hash makes.
            let Some(parent) = parent.filter(|id| manager.get(*id).is_none()) else {
                break;
            };
            next = match self.get(owner, parent) {
                // The manager names what is missing.
                Err(Error::NoSuchContainer(_)) => None,
                found => Some(found?),
            };
        }
        Ok(manager.verify_chain(id, &MlDsa87)?)
    }

    /// Counts an attempt of a user's to open a container as failed until [`Containers::opened`] says
    /// otherwise, so that attempts at the same time count as well.
    ///
    /// # Errors
    /// [`Error::Stream`] with the time to wait after too many.
    pub fn attempt(&self, owner: u32, id: Id, now: u64) -> Result<u32, Error> {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= REMEMBERED && !failures.contains_key(&(owner, id)) {
            let fewest = failures.iter().min_by_key(|(_, t)| (t.failures, t.last));
            if let Some(pair) = fewest.map(|(pair, _)| *pair) {
                failures.remove(&pair);
            }
        }
        let throttle = failures.entry((owner, id)).or_default();
        throttle.check(now)?;
        throttle.failed(now);
        Ok(throttle.failures)
    }

    /// Forgets failures after the right waveform.
    pub fn opened(&self, owner: u32, id: Id) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.remove(&(owner, id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quantumos_resonance::Error as Stream;

    #[test]
    fn attempts_are_throttled_for_each_user_and_container() {
        let place = tempfile::tempdir().unwrap();
        let containers = Containers::new(place.path());
        let (one, other) = (Id([1; 32]), Id([2; 32]));
        for count in 1..=5 {
            assert_eq!(containers.attempt(7, one, 0).unwrap(), count);
        }
        assert!(matches!(
            containers.attempt(7, one, 0),
            Err(Error::Stream(Stream::Throttled { .. }))
        ));
        containers.attempt(7, other, 0).unwrap();
        containers.attempt(8, one, 0).unwrap();
        assert_eq!(containers.attempt(7, one, 2_000_000).unwrap(), 6);
        containers.opened(7, one);
        assert_eq!(containers.attempt(7, one, 2_000_000).unwrap(), 1);
    }

    #[test]
    fn what_is_not_there_or_not_a_front_is_said() {
        let place = tempfile::tempdir().unwrap();
        let containers = Containers::new(place.path());
        let id = Id([1; 32]);
        assert!(containers.list(7).unwrap().is_empty());
        assert!(matches!(
            containers.get(7, id),
            Err(Error::NoSuchContainer(_))
        ));
        assert!(matches!(
            containers.remove(7, id),
            Err(Error::NoSuchContainer(_))
        ));
        let directory = place.path().join("containers/7");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("something.new"), "half").unwrap();
        assert!(containers.list(7).unwrap().is_empty());
        std::fs::write(directory.join(id.to_string()), "nonsense").unwrap();
        assert!(matches!(containers.list(7), Err(Error::Damaged { .. })));
    }
}
