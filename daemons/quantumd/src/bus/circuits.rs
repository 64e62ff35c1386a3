//! `org.quantumos.Circuits1`: quantum circuits as jobs, each in a process of its own.

use super::failure::Answer;
use super::{CIRCUITS, Shared, descriptor};
use crate::Error;
use crate::circuit::Work;
use crate::circuit::wire::Failure;
use quantumos_circuit::task::{Format, Task};
use quantumos_dbus::{Dictionary, Error as BusError};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;
use zbus::message::Header;
use zbus::{OwnedFd, OwnedObjectPath, OwnedVariant};

pub(super) struct Circuits1(pub(super) Arc<Shared>);

/// The most entries that a list may have.
const LIST_MAX: usize = 65_536;

impl Circuits1 {
    async fn start(
        &self,
        header: &Header<'_>,
        kind: &'static str,
        detach: bool,
        work: impl FnOnce() -> Result<Work, Error> + Send + 'static,
    ) -> Answer<OwnedObjectPath> {
        let shared = self.0.clone();
        let caller = shared.context.authority.check(header, CIRCUITS).await?;
        let jobs = shared.jobs.clone();
        let run = move |job: crate::job::Worker| async move {
            let (runtime, host) = (tokio::runtime::Handle::current(), shared.clone());
            let done = shared
                .circuits
                .run_job(job, move |job| host.host.run(work()?, job, &runtime));
            Ok(done.await?)
        };
        jobs.start(caller, kind, detach, run).await
    }
}

/// The options of a circuit, and whether the job is detached.
fn task(mut options: Dictionary) -> Result<(Task, bool), Error> {
    let mut taken = Taken(&mut options);
    let task = Task {
        circuit: String::new(),
        format: taken.word::<Format>("format")?.unwrap_or_default(),
        method: taken.word("method")?.unwrap_or_default(),
        precision: taken.word("precision")?.unwrap_or_default(),
        bond: taken.of("bond", "a number (u)")?,
        shots: taken.of("shots", "a number (t)")?,
        seed: match taken.of("seed", "a number (t)")? {
            Some(seed) => seed,
            None => seed()?,
        },
        per_shot: taken
            .of("per-shot", "true or false (b)")?
            .unwrap_or_default(),
        statevector: taken
            .of("statevector", "true or false (b)")?
            .unwrap_or_default(),
        amplitudes: taken.list("amplitudes")?,
        observables: taken.list("observables")?,
        inputs: taken
            .of::<std::collections::HashMap<String, f64>>("inputs", "numbers by name (a{sd})")?
            .map(BTreeMap::from_iter)
            .unwrap_or_default(),
        sweep: taken
            .of::<std::collections::HashMap<String, Vec<f64>>>(
                "sweep",
                "lists of numbers by name (a{sad})",
            )?
            .map(BTreeMap::from_iter)
            .unwrap_or_default(),
        gradient: taken
            .of("gradient", "true or false (b)")?
            .unwrap_or_default(),
        noise: taken.list("noise")?,
        readout: taken
            .of::<(f64, f64)>("readout", "two numbers (dd)")?
            .map(|(a, b)| [a, b]),
    };
    let detach = taken.of("detach", "true or false (b)")?.unwrap_or_default();
    taken.nothing_else()?;
    Ok((task, detach))
}

fn seed() -> Result<u64, Error> {
    // Short enough to type again.
    let mut bytes = [0; 4];
    let random = std::fs::File::open("/dev/urandom");
    random
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut bytes))
        .map_err(|error| Error::file(std::path::Path::new("/dev/urandom"), error))?;
    Ok(u32::from_le_bytes(bytes).into())
}

/// Options that are taken one by one.
struct Taken<'a>(&'a mut Dictionary);

impl Taken<'_> {
    fn of<T: TryFrom<OwnedVariant>>(
        &mut self,
        name: &str,
        wanted: &str,
    ) -> Result<Option<T>, Error> {
        let bad = |_| Error::argument(format!("option {name}"), format!("has to be {wanted}"));
        self.0
            .remove(name)
            .map(T::try_from)
            .transpose()
            .map_err(bad)
    }

    /// One of the names that the engine knows.
    fn word<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, Error> {
        let Some(text) = self.of::<String>(name, "a name (s)")? else {
            return Ok(None);
        };
        let value = serde_json::from_value(Json::String(text));
        value
            .map(Some)
            .map_err(|error| Error::argument(format!("option {name}"), error.to_string()))
    }

    fn list(&mut self, name: &str) -> Result<Vec<String>, Error> {
        let list: Vec<String> = self.of(name, "a list of texts (as)")?.unwrap_or_default();
        if list.len() > LIST_MAX {
            let message = format!("option {name}: more than {LIST_MAX} entries");
            return Err(Error::Circuit(Failure::Limit, message));
        }
        Ok(list)
    }

    fn nothing_else(&self) -> Result<(), Error> {
        match self.0.keys().min() {
            None => Ok(()),
            Some(name) => Err(super::options::unknown(name)),
        }
    }
}

fn text(bytes: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(bytes).map_err(|_| Error::argument("circuit", "is not text in UTF-8"))
}

#[zbus::interface(name = "org.quantumos.Circuits1", introspection_docs = false)]
impl Circuits1 {
    #[zbus(out_args("job"))]
    async fn submit(
        &self,
        #[zbus(header)] header: Header<'_>,
        circuit: String,
        options: Dictionary,
    ) -> Result<OwnedObjectPath, BusError> {
        let (mut task, detach) = task(options)?;
        task.circuit = circuit;
        let work = move || Ok(Work::Task(Box::new(task)));
        self.start(&header, "circuit", detach, work).await
    }

    #[zbus(out_args("job"))]
    async fn submit_file(
        &self,
        #[zbus(header)] header: Header<'_>,
        circuit: OwnedFd,
        options: Dictionary,
    ) -> Result<OwnedObjectPath, BusError> {
        let (mut task, detach) = task(options)?;
        let work = move || {
            task.circuit = text(descriptor::read(circuit.into())?)?;
            Ok(Work::Task(Box::new(task)))
        };
        self.start(&header, "circuit", detach, work).await
    }

    #[zbus(out_args("job"))]
    async fn benchmark(
        &self,
        #[zbus(header)] header: Header<'_>,
        max_qubits: u32,
        mut options: Dictionary,
    ) -> Result<OwnedObjectPath, BusError> {
        let mut taken = Taken(&mut options);
        let full = taken.of("full", "true or false (b)")?.unwrap_or_default();
        let detach = taken.of("detach", "true or false (b)")?.unwrap_or_default();
        taken.nothing_else()?;
        let work = move || Ok(Work::Benchmark { max_qubits, full });
        self.start(&header, "benchmark", detach, work).await
    }

    #[zbus(property(emits_changed_signal = "false"))]
    fn isolation(&self) -> &'static str {
        self.0.host.isolation().name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zbus::Variant;

    fn options(pairs: Vec<(&str, Variant<'_>)>) -> Dictionary {
        let owned = |(name, value): (&str, Variant<'_>)| {
            (name.to_owned(), OwnedVariant::try_from(value).unwrap())
        };
        pairs.into_iter().map(owned).collect()
    }

    #[test]
    fn options_become_a_task_and_what_is_wrong_is_named() {
        let all = options(vec![
            ("format", "stim".into()),
            ("method", "dense".into()),
            ("shots", 7u64.into()),
            ("seed", 3u64.into()),
            ("noise", vec!["bit-flip=0.1"].into()),
            ("readout", (0.1, 0.2).into()),
            ("detach", true.into()),
        ]);
        let (task, detach) = task(all).unwrap();
        assert_eq!(
            (task.format, task.shots, task.seed),
            (Format::Stim, Some(7), 3)
        );
        assert_eq!(
            (task.readout, task.noise.len(), detach),
            (Some([0.1, 0.2]), 1, true)
        );
        for (name, value, words) in [
            (
                "shots",
                Variant::from("many"),
                "option shots: has to be a number (t)",
            ),
            ("method", "guess".into(), "option method: unknown variant"),
            ("speed", 1u32.into(), "option speed: not known"),
            ("noise", "rain".into(), "a list of texts"),
            ("sweep", vec![0.1].into(), "by name (a{sad})"),
            ("gradient", 1u32.into(), "option gradient: has to be true"),
        ] {
            let error = super::task(options(vec![(name, value)]))
                .unwrap_err()
                .to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
