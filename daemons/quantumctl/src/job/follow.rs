//! Following a job to its end, with a bar on a terminal, and fetching its result.

use std::{
    fs::File,
    io::{IsTerminal, Read},
    time::Duration,
};

use quantumos_dbus::{Job1Proxy, bus_name::QUANTUM};

use crate::{bus::explain, error::Error};

/// How often a job is asked: a job may take hours, which no single call waits for.
const PAUSE: Duration = Duration::from_millis(100);

/// Columns of the bar.
const BAR: usize = 40;

/// Waits until the job has ended; on a terminal a bar shows how far it is.
pub async fn wait(job: &Job1Proxy<'_>) -> Result<(), Error> {
    let terminal = std::io::stderr().is_terminal();
    let mut shown = false;
    let ended = loop {
        let state = job.state().await;
        match state.as_deref() {
            Ok("waiting" | "running") => {}
            Ok(_) => break Ok(()),
            Err(error) => break Err(explain(QUANTUM, error.clone())),
        }
        if terminal {
            eprint!("\r{}", bar(job.progress().await.unwrap_or_default()));
            shown = true;
        }
        tokio::time::sleep(PAUSE).await;
    };
    if shown {
        eprint!("\r{:1$}\r", "", BAR + 8);
    }
    ended
}

fn bar(part: f64) -> String {
    let full = ((part * BAR as f64) as usize).min(BAR);
    let (full, rest) = ("█".repeat(full), "░".repeat(BAR - full));
    format!("{full}{rest} {:3.0} %", part * 100.0)
}

/// What came of a job, and its media type; or the error that it ended with.
pub async fn result(job: &Job1Proxy<'_>) -> Result<(Vec<u8>, String), Error> {
    let result = job.result().await;
    let (result, media_type) = result.map_err(|error| explain(QUANTUM, error))?;
    let mut bytes = Vec::new();
    File::from(std::os::fd::OwnedFd::from(result))
        .read_to_end(&mut bytes)
        .map_err(|error| Error::Answer(error.to_string()))?;
    Ok((bytes, media_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_has_one_width_whatever_it_is_told() {
        for part in [0.0, 0.013, 0.5, 1.0, 2.0, -1.0, f64::NAN] {
            let bar = bar(part);
            let cells = bar.chars().filter(|c| "█░".contains(*c)).count();
            assert_eq!(cells, BAR, "{part}: {bar}");
        }
        assert!(bar(0.5).ends_with("  50 %"));
    }
}
