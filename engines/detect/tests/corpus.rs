//! The public Linux corpus, unmodified: every rule loads or says why it doesn't apply; none fails.
#![allow(clippy::unwrap_used, clippy::panic)]

use quantumos_detect::{Fate, RuleSet, Source};
use std::path::{Path, PathBuf};

fn corpus() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var_os("QUANTUMOS_DATA")
        .map_or_else(beside, PathBuf::from)
        .join("sigma-linux");
    data.is_dir().then_some(data)
}

fn files(folder: &Path, out: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|e| e == "yml") {
            out.push((
                path.display().to_string(),
                std::fs::read_to_string(&path).unwrap(),
            ));
        }
    }
}

#[test]
fn no_rule_of_the_corpus_fails() {
    let Some(folder) = corpus() else {
        println!("skipped: no data sigma-linux");
        return;
    };
    let mut texts = Vec::new();
    files(&folder, &mut texts);
    texts.sort();
    let set = RuleSet::compile(texts.iter().map(|(name, text)| Source { name, text }));
    for listed in &set.report {
        match &listed.fate {
            Fate::Failed(error) => println!("{}: {error}", listed.file),
            Fate::NotApplicable(why) => println!("{}: not applicable: {why}", listed.title),
            Fate::Loaded { absent, .. } if !absent.is_empty() => {
                println!("{}: never there: {absent:?}", listed.title)
            }
            Fate::Loaded { .. } => {}
        }
    }
    let (loaded, not_applicable, failed) = set.counts();
    println!("loaded {loaded}, not applicable {not_applicable}, failed {failed}");
    assert_eq!(failed, 0);
    assert_eq!((loaded, not_applicable), (texts.len() as u32, 0));
}
