//! Boots the image and runs scenarios inside it. A test binary boots once and its tests take
//! turns; a failure comes with the reason and the end of the guest's journal.

mod bus;

use std::{
    error::Error,
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

pub use bus::Bus;
use quantumos_dbus::Service;
use quantumos_harness::guest::{Guest, GuestError, Options};

/// What a scenario returns.
pub type Outcome = Result<(), Box<dyn Error>>;

/// The image to boot: `QUANTUMOS_IMAGE`, else where `make test` leaves it; `None` when a developer
/// has built none.
///
/// # Panics
/// When `QUANTUMOS_IMAGE` names a folder without an image.
pub fn image() -> Option<PathBuf> {
    let named = std::env::var_os("QUANTUMOS_IMAGE").map(PathBuf::from);
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../images/out/dev");
    let there = |path: &Path| path.join("quantumos.raw").exists();
    match named {
        Some(path) => {
            assert!(there(&path), "no image in {}", path.display());
            Some(path)
        }
        None => Some(usual).filter(|path| there(path)),
    }
}

/// The guest of one test binary, booted by the first test that needs it.
pub struct Shared(Mutex<Option<Guest>>);

impl Shared {
    /// Not booted yet.
    #[allow(clippy::new_without_default, reason = "only ever a static")]
    pub const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Runs a scenario when its turn comes.
    ///
    /// # Panics
    /// When it fails, with its reason and the journal.
    pub fn scenario(&self, run: impl FnOnce(&mut Guest) -> Outcome) {
        let Some(image) = image() else {
            println!("skipped: no image, `make image PROFILE=dev` builds it");
            return;
        };
        let mut slot = self.take();
        if slot.is_none() {
            *slot =
                Some(boot(&image).unwrap_or_else(|error| fail("the guest did not boot", &error)));
        }
        let Some(guest) = slot.as_mut() else { return };
        if let Err(error) = run(guest) {
            let journal = guest.journal();
            // A guest that is gone would fail all the others too.
            if guest.shell("true").is_err() {
                *slot = None;
            }
            drop(slot);
            fail(&tail(&journal), error.as_ref());
        }
    }

    fn take(&self) -> MutexGuard<'_, Option<Guest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn boot(image: &Path) -> Result<Guest, GuestError> {
    let guest = Guest::boot(Options::of(image))?;
    settle(&guest)?;
    Ok(guest)
}

/// Waits until the guest has started all that it starts at boot. What failed is for a test to say.
///
/// # Errors
/// When the guest is gone.
pub fn settle(guest: &Guest) -> Result<(), GuestError> {
    guest
        .run(&["systemctl", "is-system-running", "--wait"])
        .map(drop)
}

/// Fails where a unit has failed. The scope of a login is none of what is tested: on a starved guest a login has ended
/// before systemd has made its scope.
///
/// # Errors
/// The failed units, or the guest is gone.
pub fn nothing_failed(guest: &Guest) -> Outcome {
    let failed = guest.shell("systemctl --failed --no-legend --plain")?;
    let failed: Vec<&str> = failed
        .lines()
        .filter(|unit| !(unit.starts_with("session-") && unit.contains(".scope ")))
        .collect();
    ensure(failed.is_empty(), || {
        format!("failed units:\n{}", failed.join("\n"))
    })
}

/// Kills a daemon outright and waits until another process of it is active and has its name.
///
/// # Errors
/// When it doesn't come back.
pub fn kill_and_await(guest: &Guest, service: &Service) -> Outcome {
    let before = Bus::of(guest).owner(service.bus_name)?;
    guest.shell(&format!("systemctl kill --signal=KILL {}", service.unit))?;
    guest.eventually(&format!(
        "pid=$(systemctl show --value -p MainPID {0})
         test $pid != 0 && test $pid != {before} && systemctl is-active --quiet {0}",
        service.unit
    ))?;
    let after = Bus::of(guest).owner(service.bus_name)?;
    ensure(after != before, || {
        format!("{} was not killed", service.unit)
    })
}

#[allow(clippy::panic, reason = "how a test fails")]
fn fail(journal: &str, error: &dyn Error) -> ! {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Writing to a string can't fail.
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    panic!("{text}\n--- the end of the journal:\n{journal}");
}

fn tail(journal: &str) -> String {
    let lines: Vec<&str> = journal.lines().collect();
    lines[lines.len().saturating_sub(80)..].join("\n")
}

/// A reason to fail unless `holds`.
///
/// # Errors
/// When it doesn't.
pub fn ensure(holds: bool, what: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(what().into()) }
}
