//! Which class a unit belongs to: by rules on its name, the administrator's before the
//! compiled ones, and by a shell's hint about the foreground.

use serde::{Deserialize, Serialize};

use crate::Error;

/// Classes, the most important last, so that they compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Compiles and other batch work that a user waits for a long time.
    Build,
    /// Maintenance that nobody waits for.
    Background,
    /// What is neither.
    Service,
    /// A login session or a user's applications.
    Interactive,
    /// What a desktop shell says has the focus.
    Foreground,
}

impl Class {
    /// The word used in configuration and in explanations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Background => "background",
            Self::Service => "service",
            Self::Interactive => "interactive",
            Self::Foreground => "foreground",
        }
    }

    /// Whether such a unit may be given less so that another gets more.
    pub fn may_wait(self) -> bool {
        self <= Self::Background
    }
}

/// One rule: units whose name matches are of this class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// A name of a unit, with `*` for any text and `?` for one character.
    pub unit: String,
    /// The class.
    pub class: Class,
}

/// Most rules, and most names on the protected list.
pub const MAX_RULES: usize = 512;
/// Longest pattern, in bytes.
pub const MAX_PATTERN: usize = 255;

/// Rules in the order they are tried, and units that are never touched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Classes {
    rules: Vec<Rule>,
    protected: Vec<String>,
}

/// Units that are never touched, whatever configuration says: without them there is no
/// session, no login and no way to undo; and QuantumOS doesn't weigh itself.
pub const ALWAYS_PROTECTED: [&str; 14] = [
    "-.slice",
    "init.scope",
    "systemd-*.service",
    "dbus*.service",
    "polkit.service",
    "user@*.service",
    "ssh*.service",
    "resource-ai.service",
    "quantumd.service",
    "security-ai.service",
    "steppps-mgr.service",
    "network-ai.service",
    "ai-learnd.service",
    "quantum-gateway.service",
];

const COMPILED: [(&str, Class); 19] = [
    ("background.slice", Class::Background),
    ("background-*", Class::Background),
    ("*-background.service", Class::Background),
    ("apt-daily*.service", Class::Background),
    ("man-db.service", Class::Background),
    ("logrotate.service", Class::Background),
    ("plocate-updatedb.service", Class::Background),
    ("updatedb.service", Class::Background),
    ("fstrim.service", Class::Background),
    ("e2scrub*.service", Class::Background),
    ("packagekit.service", Class::Background),
    ("*backup*.service", Class::Background),
    ("build.slice", Class::Build),
    ("build-*", Class::Build),
    ("*-build.service", Class::Build),
    ("sbuild*", Class::Build),
    ("session-*.scope", Class::Interactive),
    ("app-*", Class::Interactive),
    ("getty@*.service", Class::Interactive),
];

impl Classes {
    /// Takes the administrator's rules and protected names; the compiled ones follow.
    ///
    /// # Errors
    /// `Error::Policy` names the pattern that is empty or too long, or the list that is.
    pub fn new(rules: Vec<Rule>, protected: Vec<String>) -> Result<Self, Error> {
        if rules.len() > MAX_RULES || protected.len() > MAX_RULES {
            return Err(Error::Policy(format!(
                "more than {MAX_RULES} class rules or protected units"
            )));
        }
        for pattern in rules.iter().map(|rule| &rule.unit).chain(&protected) {
            if pattern.is_empty() || pattern.len() > MAX_PATTERN {
                return Err(Error::Policy(format!(
                    "`{pattern}` is not a name of a unit of 1 to {MAX_PATTERN} bytes"
                )));
            }
        }
        Ok(Self { rules, protected })
    }

    /// The class of a unit and the pattern that said so.
    pub fn of(&self, unit: &str) -> (Class, &str) {
        let own = self.rules.iter().find(|rule| matches(&rule.unit, unit));
        if let Some(rule) = own {
            return (rule.class, &rule.unit);
        }
        let compiled = COMPILED.iter().find(|(pattern, _)| matches(pattern, unit));
        compiled.map_or((Class::Service, "*"), |(pattern, class)| (*class, pattern))
    }

    /// Whether a unit is never touched, and the pattern that says so.
    pub fn protected(&self, unit: &str) -> Option<&str> {
        let own = self.protected.iter().map(String::as_str);
        ALWAYS_PROTECTED
            .into_iter()
            .chain(own)
            .find(|pattern| matches(pattern, unit))
    }
}

/// Whether a name matches a pattern with `*` and `?`. Takes time proportional to the
/// product of both lengths at most.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}
