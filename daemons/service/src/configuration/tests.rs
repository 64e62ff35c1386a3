use std::path::PathBuf;

use proptest::prelude::*;
use serde::Deserialize;
use tempfile::TempDir;

use super::*;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct Example {
    label: String,
    limits: Limits,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct Limits {
    most_keys: u32,
    ratio: f64,
}

impl Default for Example {
    fn default() -> Self {
        Self {
            label: "compiled".into(),
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            most_keys: 7,
            ratio: 0.5,
        }
    }
}

impl Settings for Example {
    fn validate(&self) -> Result<(), Invalid> {
        if self.limits.most_keys == 0 {
            return Err(Invalid::new("limits.most-keys", "must be at least 1"));
        }
        Ok(())
    }
}

fn root(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    root
}

#[test]
fn layers_win_key_by_key() {
    let label = |files: &[(&str, &str)]| {
        let settings: Example = load(root(files).path(), "example").unwrap();
        (settings.label, settings.limits.most_keys)
    };
    const LIB: (&str, &str) = ("usr/lib/quantumos/example.toml", "label = 'lib'");
    const RUN: (&str, &str) = ("run/quantumos/example.toml", "label = 'run'");
    const ETC: (&str, &str) = ("etc/quantumos/example.toml", "[limits]\nmost-keys = 9");
    const LIB_D: (&str, &str) = (
        "usr/lib/quantumos/example.toml.d/90.toml",
        "label = 'lib.d'",
    );
    const ETC_D1: (&str, &str) = ("etc/quantumos/example.toml.d/10.toml", "label = 'first'");
    const ETC_D2: (&str, &str) = ("etc/quantumos/example.toml.d/20.toml", "label = 'second'");
    const OTHER: (&str, &str) = ("etc/quantumos/example.toml.d/30.toml.bak", "nonsense");
    for (files, expected) in [
        (&[][..], ("compiled", 7)),
        (&[LIB], ("lib", 7)),
        (&[LIB, ETC], ("lib", 9)),
        (&[LIB, LIB_D], ("lib.d", 7)),
        (&[LIB, LIB_D, RUN], ("run", 7)),
        (&[LIB, RUN, ETC, ETC_D2, ETC_D1, OTHER], ("second", 9)),
    ] {
        let (text, keys) = label(files);
        assert_eq!((text.as_str(), keys), expected, "{files:?}");
    }
}

#[test]
fn refusals_name_file_and_line() {
    let cases = [
        ("label = 'a'\nlable = 'b'\n", 2, "lable"),
        (
            "label = 'a'\n\n[limits]\nmost-keys = 'many'\n",
            4,
            "invalid type",
        ),
        (
            "label = 'a'\n[limits]\nratio = 1\nmost-keys = 0\n",
            4,
            "limits.most-keys: must be at least 1",
        ),
        ("label = \n", 1, ""),
        ("[limits]\nmost-keys = 1\nmost-keys = 2\n", 3, "duplicate"),
        ("[limits\n", 1, ""),
        ("label = 'a'\nlimits.unknown = 1\n", 2, "unknown"),
    ];
    for (text, line, words) in cases {
        let root = root(&[("etc/quantumos/example.toml", text)]);
        let error = load::<Example>(root.path(), "example").unwrap_err();
        let ConfigurationError::Refused {
            path,
            line: found,
            reason,
        } = &error
        else {
            panic!("{text}: {error}");
        };
        assert_eq!(*path, root.path().join("etc/quantumos/example.toml"));
        assert_eq!(*found, line, "{text}: {error}");
        assert!(reason.contains(words), "{text}: {error}");
    }
}

#[test]
fn the_layer_that_set_a_bad_value_is_named() {
    let root = root(&[
        (
            "usr/lib/quantumos/example.toml",
            "[limits]\nmost-keys = 3\n",
        ),
        (
            "etc/quantumos/example.toml.d/10.toml",
            "\n[limits]\nmost-keys = 0\n",
        ),
    ]);
    let error = load::<Example>(root.path(), "example")
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("10.toml:3: limits.most-keys: must be at least 1"),
        "{error}"
    );
}

#[test]
fn what_is_not_text_is_refused() {
    let root = root(&[]);
    let path = root.path().join("etc/quantumos/example.toml");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, b"label = 'a'\n# \xff\n").unwrap();
    let error = load::<Example>(root.path(), "example")
        .unwrap_err()
        .to_string();
    assert!(error.contains("example.toml:2: not UTF-8"), "{error}");
    std::fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
    let error = load::<Example>(root.path(), "example")
        .unwrap_err()
        .to_string();
    assert!(error.contains("longer than 1 MiB"), "{error}");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(matches!(
        load::<Example>(root.path(), "example"),
        Err(ConfigurationError::Unreadable { .. })
    ));
}

proptest! {
    #[test]
    fn any_text_is_loaded_or_refused_with_a_line_of_the_file(text in "(?s).{0,300}") {
        let root = root(&[("etc/quantumos/example.toml", &text)]);
        match load::<Example>(root.path(), "example") {
            Ok(_) => {}
            Err(ConfigurationError::Refused { line, .. }) => {
                prop_assert!(line >= 1 && line <= text.matches('\n').count() + 1);
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}

#[test]
fn paths_in_errors_are_whole() {
    let error = ConfigurationError::Refused {
        path: PathBuf::from("/etc/quantumos/x.toml"),
        line: 3,
        reason: "no".into(),
    };
    assert_eq!(error.to_string(), "/etc/quantumos/x.toml:3: no");
}
