//! Completions and man pages, made from the command tree, so that they cannot fall behind it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{cli::Cli, error::Error};

/// The completion script for `shell`.
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "quantumctl", &mut script);
    script
}

/// Writes `quantumctl.1` and a page for each command to `directory`; gives the files.
pub fn man(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    fs::create_dir_all(directory).map_err(|source| Error::file(directory, source))?;
    let mut command = Cli::command().disable_help_flag(false);
    command.build();
    let mut written = Vec::new();
    for (name, page) in pages(&command, "quantumctl") {
        let path = directory.join(format!("{name}.1"));
        fs::write(&path, page).map_err(|source| Error::file(&path, source))?;
        written.push(path);
    }
    Ok(written)
}

/// Name and text of the page for `command` and for each visible command below it.
fn pages(command: &clap::Command, name: &str) -> Vec<(String, Vec<u8>)> {
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command.clone())
        .title(name.to_uppercase())
        .section("1")
        .source(concat!("QuantumOS ", env!("CARGO_PKG_VERSION")))
        .manual("QuantumOS");
    // Writing to memory does not fail.
    let mut pages = match man.render(&mut page) {
        Ok(()) => vec![(name.to_owned(), page)],
        Err(_) => Vec::new(),
    };
    for child in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        pages.extend(self::pages(child, &format!("{name}-{}", child.get_name())));
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let mut command = Cli::command();
        command.build();
        let pages = pages(&command, "quantumctl");
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        for name in [
            "quantumctl",
            "quantumctl-status",
            "quantumctl-keys-sign",
            "quantumctl-security-rules-reload",
            "quantumctl-resource-explain",
        ] {
            assert!(names.contains(&name), "{name} not in {names:?}");
        }
        assert!(!names.contains(&"quantumctl-man"));
        let text = String::from_utf8(pages[0].1.clone()).unwrap();
        assert!(text.contains("Exit status"), "{text}");
    }

    #[test]
    fn completions_know_the_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = String::from_utf8(completions(shell)).unwrap();
            for word in ["keys", "security", "--no-ask-password"] {
                let word = word.trim_start_matches('-');
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}
