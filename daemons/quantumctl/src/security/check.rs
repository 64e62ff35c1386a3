//! `quantumctl security rules check`: what would become of rule files here, without any daemon.
//! Each rule gets its fate with the place in its file; the last line counts them.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};

use clap::Args;
use quantumos_detect::{Fate, Level, Listed, Options, RuleError, RuleSet, Source};
use serde::Serialize;

use crate::{
    error::Error,
    output::Output,
    text::{escape::escape, style::Style},
};

/// The most rule files that are read.
const MAX_FILES: usize = 20_000;
/// The deepest folder that is read.
const MAX_DEPTH: usize = 16;
/// The most of a file that is read, in bytes; the engine has its own, lower limit and says so.
const MAX_BYTES: u64 = 1 << 20;

/// What to check.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Rule files, or folders of them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// A value of the placeholder %NAME%; may be given more than once, also for one name
    #[arg(long = "placeholder", value_name = "NAME=VALUE")]
    placeholders: Vec<String>,
    /// Only print the rules that are not loaded, and the count
    #[arg(long, short)]
    quiet: bool,
}

/// A rule and what would become of it.
#[derive(Debug, PartialEq, Serialize)]
struct Checked {
    file: String,
    line: u32,
    id: String,
    title: String,
    level: &'static str,
    fate: &'static str,
    reason: String,
}

/// What would become of all.
#[derive(Debug, Serialize)]
struct Verdict {
    rules: Vec<Checked>,
    loaded: u32,
    not_applicable: u32,
    failed: u32,
}

/// Runs the command.
pub fn run(output: &Output, args: &CheckArgs) -> Result<(), Error> {
    let options = options(&args.placeholders)?;
    let verdict = check(&args.paths, &options)?;
    output.document(&verdict, |verdict| {
        render(verdict, args.quiet, output.style)
    })?;
    match verdict.failed {
        0 => Ok(()),
        failed => Err(Error::RulesFailed(failed)),
    }
}

/// What rules are compiled for.
pub(super) fn options(given: &[String]) -> Result<Options, Error> {
    Ok(Options {
        placeholders: placeholders(given)?,
        ..Options::default()
    })
}

fn placeholders(given: &[String]) -> Result<BTreeMap<String, Vec<String>>, Error> {
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for text in given {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| Error::Usage(format!("--placeholder {text:?} is not NAME=VALUE")))?;
        out.entry(name.to_owned())
            .or_default()
            .push(value.to_owned());
    }
    Ok(out)
}

fn check(paths: &[PathBuf], options: &Options) -> Result<Verdict, Error> {
    let set = compile(paths, options)?;
    let (loaded, not_applicable, failed) = set.counts();
    Ok(Verdict {
        rules: set.report.iter().map(checked).collect(),
        loaded,
        not_applicable,
        failed,
    })
}

/// Compiles the rules of files and folders; those that can't be read are among those that fail.
pub(super) fn compile(paths: &[PathBuf], options: &Options) -> Result<RuleSet, Error> {
    let mut files = Vec::new();
    let mut unread = Vec::new();
    for path in paths {
        let named = |source| Error::file(path, source);
        if fs::metadata(path).map_err(named)?.is_dir() {
            collect(path, 0, &mut files, &mut unread).map_err(named)?;
        } else {
            files.push(path.clone());
        }
    }
    files.sort();
    files.dedup();
    let mut texts = Vec::new();
    for path in files {
        match read(&path) {
            Ok(text) => texts.push((path.display().to_string(), text)),
            Err((line, reason)) => unread.push(refused(&path, line, reason)),
        }
    }
    let mut set = RuleSet::compile_for(
        texts.iter().map(|(name, text)| Source { name, text }),
        options,
    );
    set.report.extend(unread);
    Ok(set)
}

fn refused(path: &Path, line: u32, reason: String) -> Listed {
    let error = RuleError {
        line,
        column: 1,
        reason,
    };
    Listed {
        file: path.display().to_string(),
        line,
        id: String::new(),
        title: String::new(),
        level: None,
        fate: Fate::Failed(error),
    }
}

fn collect(
    folder: &Path,
    depth: usize,
    files: &mut Vec<PathBuf>,
    unread: &mut Vec<Listed>,
) -> io::Result<()> {
    if depth > MAX_DEPTH {
        return Err(io::Error::other(format!(
            "{} is deeper than {MAX_DEPTH} folders",
            folder.display()
        )));
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let rule = path
            .extension()
            .is_some_and(|extension| extension == "yml" || extension == "yaml");
        // A link that leads nowhere fails when it is read.
        let kind = fs::metadata(&path).map(|metadata| metadata.file_type());
        if kind.as_ref().is_ok_and(fs::FileType::is_dir) {
            collect(&path, depth + 1, files, unread)?;
        } else if rule && kind.is_ok_and(|kind| kind.is_fifo()) {
            // One that is named on the command line is read; in a folder nobody may ever write into it.
            unread.push(refused(&path, 1, "a pipe, not a file".to_owned()));
        } else if rule {
            files.push(path);
        }
        if files.len() > MAX_FILES {
            return Err(io::Error::other(format!(
                "more than {MAX_FILES} rule files"
            )));
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, (u32, String)> {
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes))
        .map_err(|error| (1, error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let lines = valid.iter().filter(|byte| **byte == b'\n').count();
        let line = u32::try_from(lines).unwrap_or(u32::MAX).saturating_add(1);
        (line, "the line is not UTF-8".to_owned())
    })
}

fn checked(listed: &Listed) -> Checked {
    let (fate, line, reason) = match &listed.fate {
        Fate::Loaded { absent, .. } if absent.is_empty() => ("loaded", listed.line, String::new()),
        Fate::Loaded { absent, .. } => (
            "loaded",
            listed.line,
            format!("never seen here: {}", absent.join(", ")),
        ),
        Fate::NotApplicable(reason) => ("not-applicable", listed.line, reason.clone()),
        Fate::Failed(error) => ("failed", error.line, error.reason.clone()),
    };
    Checked {
        file: listed.file.clone(),
        line,
        id: listed.id.clone(),
        title: listed.title.clone(),
        level: listed.level.map_or("", Level::name),
        fate,
        reason,
    }
}

fn render(verdict: &Verdict, quiet: bool, style: Style) -> String {
    let mut text = String::new();
    for rule in &verdict.rules {
        if quiet && rule.fate == "loaded" {
            continue;
        }
        let fate = match rule.fate {
            "failed" => style.bad("failed"),
            "not-applicable" => style.dim("not applicable"),
            fate => fate.to_owned(),
        };
        text.push_str(&format!("{}:{}: {fate}", escape(&rule.file), rule.line));
        if !rule.title.is_empty() {
            text.push_str(&format!(": {}", escape(&rule.title)));
        }
        if !rule.reason.is_empty() {
            text.push_str(&format!(": {}", escape(&rule.reason)));
        }
        text.push('\n');
    }
    text.push_str(&format!(
        "loaded {}, not applicable {}, failed {}\n",
        verdict.loaded, verdict.not_applicable, verdict.failed
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "title: Good\nlogsource: {category: process_creation}\ndetection:\n  s: {Image|endswith: /x}\n  condition: s\n";

    fn put(folder: &Path, name: &str, text: &[u8]) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn tells_every_fate_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let windows = GOOD
            .replace("{category: process_creation}", "{product: windows}")
            .replace("Good", "Other");
        put(root, "a/good.yml", GOOD.as_bytes());
        put(
            root,
            "a/two.yaml",
            format!("{GOOD}id: x\n---\n{windows}").as_bytes(),
        );
        put(root, "b/wrong.yml", b"title: t\nlogsource: {category: file_event}\ndetection:\n  s: {Image|nonsense: x}\n  condition: s\n");
        put(
            root,
            "b/bomb.yml",
            b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
        );
        put(root, "b/binary.yml", b"title: x\n\xff\n");
        put(
            root,
            "b/expand.yml",
            GOOD.replace("endswith: /x", "expand: '%who%'")
                .replace("Good", "Who")
                .as_bytes(),
        );
        put(root, "README.md", b"not a rule");
        let made = std::process::Command::new("mkfifo")
            .arg(root.join("b/pipe.yml"))
            .status();
        assert!(made.unwrap().success());
        let verdict = check(&[root.to_owned()], &Options::default()).unwrap();
        let text = render(&verdict, false, Style::PLAIN);
        for expected in [
            "a/good.yml:1: loaded: Good\n",
            "a/two.yaml:8: not applicable: Other: it is for windows",
            "b/wrong.yml:4: failed: unknown modifier `nonsense`\n",
            "b/bomb.yml:2: failed: aliases",
            "b/binary.yml:2: failed: the line is not UTF-8\n",
            "b/pipe.yml:1: failed: a pipe, not a file\n",
            "b/expand.yml:1: not applicable: Who: the configuration gives no value for %who%\n",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
        assert!(
            text.ends_with("\nloaded 2, not applicable 2, failed 4\n"),
            "{text}"
        );
        let quiet = render(&verdict, true, Style::PLAIN);
        assert!(!quiet.contains("good.yml"));

        let options = Options {
            placeholders: placeholders(&["who=/x".into(), "who=/y".into()]).unwrap(),
            ..Options::default()
        };
        let filled = check(&[root.join("b/expand.yml")], &options).unwrap();
        assert_eq!((filled.loaded, filled.failed), (1, 0));
    }

    #[test]
    fn a_path_that_is_not_there_is_an_error() {
        let error = check(&["/no/such/rules".into()], &Options::default()).unwrap_err();
        assert!(matches!(error, Error::File { .. }), "{error}");
        assert!(placeholders(&["x".into()]).is_err());
    }
}
