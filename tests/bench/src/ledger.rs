//! The ledger: durable entries a second, in batches and one by one, beside SQLite with the same entries in the
//! same run; and the time to verify a million entries. On the disk of /var/tmp, or of
//! `QUANTUMOS_BENCH_DIRECTORY`.

use crate::{Failure, Print};
use quantumd::ledger::{Directory, Group, Store};
use quantumos_ledger::entry::{EntryType, Event};
use quantumos_ledger::frame;
use quantumos_ledger::history::KeyLedger;
use quantumos_ledger::json::Object;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

const ROUNDS: usize = 5;
const BATCH: usize = 256;
const BATCHES: usize = 200;
const SINGLES: usize = 1000;
const WRITERS: usize = 64;
const MILLION: u64 = 1_000_000;

type Entries = Vec<Vec<u8>>;

/// What an entry says, whatever it is of.
fn facts(id: String) -> Object {
    Object::default()
        .with("key_id", id)
        .with("version", 1i64)
        .with("subject", "unit backup.service")
        .with("operations", "sign")
        .with("granted", true)
}

/// Entries of the key ledger: registrations and what follows on them.
fn entries(count: usize) -> Result<Entries, Failure> {
    let mut ledger = KeyLedger::default();
    let mut out = Vec::with_capacity(count);
    for number in 0..count {
        let id = format!("{:032x}", number / 4);
        let entry_type = match number % 4 {
            0 => EntryType::Registration,
            3 => EntryType::Revocation,
            _ => EntryType::Capability,
        };
        let event = Event {
            timestamp: 1_800_000_000_000_000 + number as u64,
            entry_type,
            data: facts(id),
            quantum_metadata: Object::default(),
        };
        out.push(ledger.record(event)?.to_bytes()?);
    }
    Ok(out)
}

fn store(place: &Path, name: &str) -> Result<Store, Failure> {
    let directory = Directory::new(place.join(name));
    Ok(Store::create(directory, "bench.invalid/keys")?)
}

fn sqlite(place: &Path, name: &str) -> Result<Connection, Failure> {
    let connection = Connection::open(place.join(name))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute(
        "CREATE TABLE entries (id INTEGER PRIMARY KEY, entry BLOB)",
        [],
    )?;
    Ok(connection)
}

fn insert(connection: &mut Connection, batch: &[Vec<u8>]) -> Result<(), Failure> {
    let transaction = connection.transaction()?;
    {
        let mut statement =
            transaction.prepare_cached("INSERT INTO entries (entry) VALUES (?1)")?;
        for entry in batch {
            statement.execute([entry])?;
        }
    }
    Ok(transaction.commit()?)
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn rate(count: usize, work: impl FnOnce() -> Result<(), Failure>) -> Result<f64, Failure> {
    let start = Instant::now();
    work()?;
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

/// Ours and SQLite's rates of `batches`, in turns.
fn beside(place: &Path, name: &str, all: &[Vec<u8>], batch: usize) -> Result<(f64, f64), Failure> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let mut store = store(place, &format!("{name}-{round}"))?;
        ours.push(rate(all.len(), || {
            for batch in all.chunks(batch) {
                store.append(batch)?;
            }
            Ok(())
        })?);
        let mut connection = sqlite(place, &format!("{name}-{round}.sqlite"))?;
        theirs.push(rate(all.len(), || {
            let mut batches = all.chunks(batch);
            batches.try_for_each(|batch| insert(&mut connection, batch))
        })?);
    }
    Ok((median(ours), median(theirs)))
}

/// Many writers, each with one entry at a time and waiting for it, through group commit.
fn together(place: &Path, all: &Arc<Entries>) -> Result<f64, Failure> {
    let mut rates = Vec::new();
    for round in 0..ROUNDS {
        let mut store = store(place, &format!("group-{round}"))?;
        let group = Group::start(4096, move |batch: Vec<Vec<u8>>| {
            let appended = store.append(&batch).map(|_| ()).map_err(|e| e.to_string());
            vec![appended; batch.len()]
        })?;
        let group = Arc::new(group);
        rates.push(rate(all.len(), || {
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let (group, all) = (group.clone(), all.clone());
                    std::thread::spawn(move || -> Result<(), String> {
                        for entry in all.iter().skip(writer).step_by(WRITERS) {
                            let answer = group.submit(entry.clone()).map_err(|e| e.to_string())?;
                            answer.blocking_recv().map_err(|e| e.to_string())??;
                        }
                        Ok(())
                    })
                })
                .collect();
            for writer in writers {
                writer.join().map_err(|_| "a writer panicked")??;
            }
            Ok(())
        })?);
    }
    Ok(median(rates))
}

fn resident() -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .ok_or("no VmRSS")?;
    Ok(kilobytes.trim().parse::<f64>()? / 1024.0)
}

/// Seconds to check a log of a million entries: every hash, every frame, every tile, the chain of the key
/// ledger left to the second figure; and what it takes of memory.
fn million(place: &Path, print: Print<'_>) -> Result<(), Failure> {
    let path = place.join("million");
    {
        let mut store = store(place, "million")?;
        let mut ledger = KeyLedger::default();
        for first in (0..MILLION).step_by(4096) {
            let batch: Result<Entries, Failure> = (first..MILLION.min(first + 4096))
                .map(|number| {
                    let event = Event {
                        timestamp: number,
                        entry_type: match number % 1000 {
                            0 => EntryType::Registration,
                            _ => EntryType::Capability,
                        },
                        data: facts(format!("{:032x}", number / 1000)),
                        quantum_metadata: Object::default(),
                    };
                    Ok(ledger.record(event)?.to_bytes()?)
                })
                .collect();
            store.append(&batch?)?;
        }
    }
    let (mut bare, mut replayed) = (Vec::new(), Vec::new());
    let before = resident()?;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let (store, _) = Store::open(Directory::new(&path), |_| Ok(()))?;
        bare.push(start.elapsed().as_secs_f64());
        drop(store);
        let start = Instant::now();
        let mut ledger = KeyLedger::default();
        let (store, _) = Store::open(Directory::new(&path), |entry: frame::Entry<'_>| {
            ledger.replay(entry.bytes).map(drop)
        })?;
        replayed.push(start.elapsed().as_secs_f64());
        if store.size() != MILLION || ledger.size() != MILLION {
            return Err("not all entries were read".into());
        }
    }
    let grown = resident()? - before;
    print("ledger.verify-1000000", median(bare), "s", "", None);
    print("ledger.replay-1000000", median(replayed), "s", "", None);
    print("ledger.verify-memory", grown.max(0.0), "MiB", "", None);
    Ok(())
}

/// Measures the set.
///
/// # Errors
/// When the disk or a library fails.
pub fn measure(print: Print<'_>) -> Result<(), Failure> {
    let disk = std::env::var_os("QUANTUMOS_BENCH_DIRECTORY");
    let disk = disk.map_or_else(|| PathBuf::from("/var/tmp"), PathBuf::from);
    let place = tempfile::tempdir_in(disk)?;
    let place = place.path();
    let all = entries(BATCH * BATCHES)?;
    let bytes = all.iter().map(Vec::len).sum::<usize>() as f64 / all.len() as f64;
    print("ledger.entry", bytes, "B", "", None);
    let peer = "sqlite-wal-full";
    eprintln!("  batches of {BATCH} ...");
    let (ours, theirs) = beside(place, "batch", &all, BATCH)?;
    print(
        "ledger.batch-256",
        ours,
        "entries/s",
        peer,
        Some(ours / theirs),
    );
    let small: Entries = all.iter().map(|entry| entry[..128].to_vec()).collect();
    let (ours, theirs) = beside(place, "small", &small, BATCH)?;
    print(
        "ledger.batch-256-of-128-bytes",
        ours,
        "entries/s",
        peer,
        Some(ours / theirs),
    );
    eprintln!("  one by one ...");
    let (ours, theirs) = beside(place, "single", &all[..SINGLES], 1)?;
    print(
        "ledger.single",
        ours,
        "entries/s",
        peer,
        Some(ours / theirs),
    );
    eprintln!("  one by one, {WRITERS} writers ...");
    let together = together(place, &Arc::new(all))?;
    print(
        "ledger.single-64-writers",
        together,
        "entries/s",
        peer,
        Some(together / theirs),
    );
    eprintln!("  a million entries ...");
    million(place, print)
}
