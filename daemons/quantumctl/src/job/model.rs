//! A job as the commands see it, how it is named, and how it is shown.

use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    output::Output,
    text::{
        escape::escape,
        table::{Table, pairs},
        time,
    },
};

/// What the bus tells of a job.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Wire {
    kind: String,
    owner: u32,
    created_at: u64,
    state: String,
    progress: f64,
    ended_at: u64,
    error: (String, String),
}

/// A job. Times are microseconds of the real-time clock, 0 for never.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Job {
    /// Identifier.
    pub id: String,
    /// What it does.
    pub kind: String,
    /// User id of who started it.
    pub owner: u32,
    /// `waiting`, `running`, `done`, `failed` or `cancelled`.
    pub state: String,
    /// From 0 to 1.
    pub progress: f64,
    /// When it was started.
    pub created_at: u64,
    /// When it ended.
    pub ended_at: u64,
    /// Why it failed.
    pub error: Option<Failure>,
}

/// An error of a job's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Failure {
    /// D-Bus name.
    pub name: String,
    /// What the service says.
    pub message: String,
}

impl Job {
    /// From the properties of the object at `path`.
    pub fn new(path: &str, wire: Wire) -> Self {
        let (name, message) = wire.error;
        Self {
            id: id(path).to_owned(),
            kind: wire.kind,
            owner: wire.owner,
            state: wire.state,
            progress: wire.progress,
            created_at: wire.created_at,
            ended_at: wire.ended_at,
            error: (!name.is_empty()).then_some(Failure { name, message }),
        }
    }

    /// The error that who waited for the job gets, if it did not end well.
    pub fn failure(&self) -> Option<Error> {
        let error = |name: &str, message: &str| Error::Service {
            name: name.to_owned(),
            message: message.to_owned(),
        };
        match (&self.error, self.state.as_str()) {
            (Some(failure), _) => Some(error(&failure.name, &failure.message)),
            (None, "cancelled") => Some(error("org.quantumos.Error.Cancelled", "")),
            _ => None,
        }
    }
}

/// The id in a path.
pub fn id(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The one path whose id is or begins with `name`.
pub fn named(paths: &[String], name: &str) -> Result<String, Error> {
    if let Some(path) = paths.iter().find(|path| id(path) == name) {
        return Ok(path.clone());
    }
    let mut begun = paths
        .iter()
        .filter(|path| !name.is_empty() && id(path).starts_with(name));
    match (begun.next(), begun.next()) {
        (Some(path), None) => Ok(path.clone()),
        (None, _) => Err(Error::NotFound(format!(
            "no job has the id {name:?}; see: quantumctl job list"
        ))),
        (Some(_), Some(_)) => Err(Error::Usage(format!(
            "the ids of several jobs begin with {name:?}"
        ))),
    }
}

/// The jobs in lines.
pub fn table(jobs: &[Job], output: &Output) -> String {
    if jobs.is_empty() {
        return "no jobs\n".to_owned();
    }
    let mut table = Table::new(&["ID", "KIND", "USER", "STARTED", "DONE", "STATE"]).right(&[2, 4]);
    for job in jobs {
        table.row([
            job.id.chars().take(8).collect(),
            escape(&job.kind),
            job.owner.to_string(),
            time::clock(job.created_at, &output.zone),
            format!("{:.0} %", job.progress * 100.0),
            escape(&job.state),
        ]);
    }
    let style = output.style;
    table.render(|column, cell, aligned| match (column, cell) {
        (5, "done") => style.good(aligned),
        (5, "failed") => style.bad(aligned),
        (5, "cancelled") => style.dim(aligned),
        _ => aligned.to_owned(),
    })
}

/// All of a job.
pub fn details(job: &Job, output: &Output) -> String {
    let mut rows = vec![
        ("Id", job.id.clone()),
        ("Kind", escape(&job.kind)),
        ("User", job.owner.to_string()),
        ("State", escape(&job.state)),
        ("Done", format!("{:.0} %", job.progress * 100.0)),
        ("Started", time::local(job.created_at, &output.zone)),
        ("Ended", time::local(job.ended_at, &output.zone)),
    ];
    if let Some(failure) = &job.error {
        rows.push(("Error", escape(&failure.message)));
    }
    pairs(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_or_its_beginning_names_one_job() {
        let paths = ["/j/ab12", "/j/ab34", "/j/ab1"].map(String::from);
        for (name, found) in [
            ("ab12", Ok("/j/ab12")),
            ("ab1", Ok("/j/ab1")),
            ("ab3", Ok("/j/ab34")),
            ("ab", Err(2)),
            ("", Err(5)),
            ("b", Err(5)),
        ] {
            let got = named(&paths, name).map_err(|error| error.code());
            assert_eq!(got, found.map(String::from), "{name}");
        }
    }

    #[test]
    fn how_a_job_ended_is_how_the_command_ends() {
        let wire = |state: &str, error: (&str, &str)| Wire {
            kind: "encrypt".into(),
            owner: 7,
            created_at: 1,
            state: state.into(),
            progress: 0.5,
            ended_at: 2,
            error: (error.0.into(), error.1.into()),
        };
        for (state, error, code) in [
            ("done", ("", ""), None),
            ("running", ("", ""), None),
            ("cancelled", ("", ""), Some(1)),
            ("failed", ("org.quantumos.Error.NotFound", "k1"), Some(5)),
        ] {
            let job = Job::new("/j/ab12", wire(state, error));
            assert_eq!(job.id, "ab12");
            assert_eq!(job.failure().map(|error| error.code()), code, "{state}");
        }
        let job = Job::new("/j/ab12", wire("failed", ("a.b", "w\x1bt")));
        let output = Output::new(false);
        assert!(details(&job, &output).contains("w\\x1bt"));
        assert!(table(&[job], &output).lines().all(|line| line.len() < 80));
    }
}
