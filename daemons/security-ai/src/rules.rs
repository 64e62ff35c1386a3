//! Rule files: where they are, which of two with one name counts, and what became of each.
//!
//! `/usr/lib`, `/run` and `/etc` each have `quantumos/security-ai/rules.d`, with folders below it as they please (the
//! public corpus can be dropped in whole). A file in `/etc` replaces one of the same name in `/run` and `/usr/lib`;
//! an empty one switches it off.

use quantumos_detect::{Fate, Listed, Options, RuleError, RuleSet, Source};
use quantumos_service::files;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The places, the weakest first.
const PLACES: [&str; 3] = ["usr/lib", "run", "etc"];
/// What each is called below those.
const FOLDER: &str = "quantumos/security-ai/rules.d";
/// The most rule files that are read.
const MAX_FILES: usize = 20_000;
/// The deepest folder that is read.
const MAX_DEPTH: usize = 8;
/// The largest file that is read, in bytes; the engine has its own, lower limit and says so.
const MAX_BYTES: u64 = 1 << 20;

/// Reads and compiles all rules below a root, which is `/` on a host.
#[must_use]
pub fn load(root: &Path, options: &Options) -> RuleSet {
    let mut files: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    let mut failed = Vec::new();
    for place in PLACES {
        let folder = root.join(place).join(FOLDER);
        collect(&folder, Path::new(""), 0, &mut files, &mut failed);
    }
    let mut texts = Vec::new();
    for path in files.into_values() {
        match read(&path) {
            // Switched off.
            Ok(text) if text.trim().is_empty() => {}
            Ok(text) => texts.push((path.display().to_string(), text)),
            Err(reason) => failed.push(refused(&path, reason)),
        }
    }
    let mut set = RuleSet::compile_for(
        texts.iter().map(|(name, text)| Source { name, text }),
        options,
    );
    set.report.extend(failed);
    set
}

fn collect(
    folder: &Path,
    below: &Path,
    depth: usize,
    files: &mut BTreeMap<PathBuf, PathBuf>,
    failed: &mut Vec<Listed>,
) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        Err(error) => return failed.push(refused(folder, error.to_string())),
    };
    if depth > MAX_DEPTH {
        return failed.push(refused(folder, format!("deeper than {MAX_DEPTH} folders")));
    }
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), below.join(entry.file_name()));
        // Follows symbolic links: /dev/null is the usual way to switch a file off.
        let Ok(metadata) = fs::metadata(&path) else {
            failed.push(refused(&path, "it can't be read".into()));
            continue;
        };
        let rule = path
            .extension()
            .is_some_and(|extension| extension == "yml" || extension == "yaml");
        if metadata.is_dir() {
            collect(&path, &name, depth + 1, files, failed);
        } else if rule && files.len() >= MAX_FILES {
            return failed.push(refused(
                &path,
                format!("there are more than {MAX_FILES} rule files"),
            ));
        } else if rule {
            files.insert(name, path);
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let file = files::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        format!("line {line} is not UTF-8")
    })
}

fn refused(path: &Path, reason: String) -> Listed {
    let error = RuleError {
        line: 1,
        column: 1,
        reason,
    };
    Listed {
        file: path.display().to_string(),
        line: 1,
        id: String::new(),
        title: String::new(),
        level: None,
        fate: Fate::Failed(error),
    }
}

/// The fate of a rule as the bus shows it: word and reason.
#[must_use]
pub fn fate(listed: &Listed) -> (&'static str, String) {
    match &listed.fate {
        Fate::Loaded { absent, .. } if absent.is_empty() => ("loaded", String::new()),
        Fate::Loaded { absent, .. } => {
            ("loaded", format!("never seen here: {}", absent.join(", ")))
        }
        Fate::NotApplicable(reason) => ("not-applicable", reason.clone()),
        Fate::Failed(error) => (
            "failed",
            format!("{}:{}: {}", listed.file, error.line, error.reason),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, name: &str, text: &[u8]) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn rule(title: &str) -> Vec<u8> {
        format!("title: {title}\nlogsource: {{category: process_creation}}\ndetection: {{s: {{Image: /x}}, condition: s}}\n").into_bytes()
    }

    #[test]
    fn etc_overrides_by_name_and_failures_are_named() {
        let root = tempfile::tempdir().unwrap();
        let at = |place: &str, name: &str| format!("{place}/{FOLDER}/{name}");
        put(root.path(), &at("usr/lib", "a.yml"), &rule("vendor a"));
        put(root.path(), &at("usr/lib", "b.yml"), &rule("vendor b"));
        put(root.path(), &at("usr/lib", "c.yml"), &rule("vendor c"));
        put(root.path(), &at("run", "a.yml"), &rule("run a"));
        put(root.path(), &at("etc", "a.yml"), &rule("admin a"));
        put(root.path(), &at("etc", "b.yml"), b"");
        put(
            root.path(),
            &at("etc", "corpus/linux/d.yaml"),
            &rule("deep d"),
        );
        put(
            root.path(),
            &at("etc", "bad.yml"),
            b"title: x\ndetection:\n  s: {Image|nonsense: x}\n",
        );
        put(root.path(), &at("etc", "binary.yml"), b"title: x\n\xff\n");
        put(root.path(), &at("etc", "README"), b"not a rule");
        std::os::unix::fs::symlink("/nowhere", root.path().join(at("etc", "dangling.yml")))
            .unwrap();
        let pipe = root.path().join(at("etc", "pipe.yml"));
        let made = std::process::Command::new("mkfifo").arg(pipe).status();
        assert!(made.unwrap().success());
        let set = load(root.path(), &Options::default());
        let mut titles: Vec<_> = set.rules.iter().map(|r| r.title.as_str()).collect();
        titles.sort_unstable();
        assert_eq!(titles, ["admin a", "deep d", "vendor c"]);
        let reasons: Vec<_> = set
            .report
            .iter()
            .map(fate)
            .filter(|(word, _)| *word == "failed")
            .map(|(_, why)| why)
            .collect();
        assert_eq!(reasons.len(), 4, "{reasons:?}");
        for (name, reason) in [
            ("bad.yml:1", "`logsource` is missing"),
            ("binary.yml:1", "line 2 is not UTF-8"),
            ("dangling.yml", "can't be read"),
            ("pipe.yml", "a pipe, not a file"),
        ] {
            assert!(
                reasons
                    .iter()
                    .any(|r| r.contains(name) && r.contains(reason)),
                "{name}: {reasons:?}"
            );
        }
    }

    #[test]
    fn no_folder_is_no_rule() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(load(root.path(), &Options::default()).counts(), (0, 0, 0));
    }
}
