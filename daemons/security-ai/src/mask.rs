//! Secrets in command lines, masked before an alert leaves the daemon.
//!
//! What is masked: values of options and variables whose name speaks of a secret, passwords in URLs, authorization
//! headers, the short options of programs known to take a password, and tokens of well-known shape. A command
//! line can hide a secret in any other way, too; that is why alerts are for root and group adm only.

use regex::bytes::{Regex, RegexBuilder};

/// What stands in for a secret.
const MASK: &[u8] = b"***";

/// A value: quoted or up to the next blank.
const VALUE: &str = r#"("[^"]*"?|'[^']*'?|[^\s"']\S*)"#;
/// Part of a name that says its value is a secret.
const NAMES: &str = r"(?:pass(?:word|wd|phrase|code)?|pwd|pw|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|client[_-]?key|credentials?|auth[_-]?key|psk)";

/// Patterns whose group `s` is a secret.
#[derive(Debug)]
pub struct Masker {
    patterns: Vec<Regex>,
    programs: Vec<(Regex, Regex)>,
    /// An argument that is an option whose value, the next argument, is a secret.
    option: Regex,
    /// An argument that has its secret behind an equals sign.
    assignment: Regex,
}

impl Masker {
    /// Compiles the patterns.
    ///
    /// # Errors
    /// None in practice: the patterns are constants, and a test compiles them.
    pub fn new() -> Result<Self, regex::Error> {
        let value = VALUE.replacen('(', "(?<s>", 1);
        let pattern = |text: &str| {
            RegexBuilder::new(text)
                .unicode(false)
                .case_insensitive(true)
                .build()
        };
        let patterns = [
            // --password=x, PGPASSWORD=x, api_key: x, "token":"x"
            format!(r#"{NAMES}[a-z0-9_.]*["']?\s*[=:]\s*{value}"#),
            // --password x, -passwd x, /secret x
            format!(r"(?:^|\s)-{{1,2}}(?:[a-z0-9]+[_-])*{NAMES}\s+{value}"),
            r"[a-z][a-z0-9+.-]*://[^\s/:@]*:(?<s>[^\s]+)@".to_string(),
            format!(r"authorization\s*[:=]\s*(?:(?:bearer|basic|token|digest)\s+)?{value}"),
            format!(r"\b(?:bearer|basic)\s+{value}"),
            // echo alice:x | chpasswd; echo x | sudo -S, passwd --stdin
            r#"(?:echo|printf)\s+(?:-\w+\s+)*["']?[^\s:"'|]+:(?<s>[^\s"'|]+)["']?\s*\|[^|]*\bchpasswd\b"#.to_string(),
            format!(
                r"(?:echo|printf)\s+(?:-\w+\s+)*{value}\s*\|\s*(?:\S*/)?(?:sudo\s+(?:-\S+\s+)*(?-i:-\w*S)|passwd\s.*--stdin)\b"
            ),
            // openssl's and others' pass:x
            r"\bpass:(?<s>\S+)".to_string(),
            r"(?<s>\b(?:gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|sk-|AKIA|ASIA|AIza|ya29\.|hf_|npm_|pypi-|dop_v1_)[A-Za-z0-9_.-]{8,})".to_string(),
            r"(?<s>\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)?)".to_string(),
        ];
        let program = |name: &str, option: &str| -> Result<(Regex, Regex), regex::Error> {
            Ok((
                pattern(&format!(r"(?:^|[\s/;|&(])(?:{name})\b"))?,
                RegexBuilder::new(option).unicode(false).build()?,
            ))
        };
        let after = |option: &str| format!(r"(?:^|\s){option}\s*{value}");
        let programs = vec![
            program(
                "mysql[a-z]*|mariadb[a-z-]*|sshpass|7z[ar]?|unzip|zip|htpasswd|rar|unrar",
                r"(?:^|\s)-[pP](?<s>\S+)",
            )?,
            program("sshpass|unzip|zip", &after("-[pP]"))?,
            program(
                "curl|wget|http|https",
                r#"(?:^|\s)(?:-u|--user|--proxy-user|-U)[\s=]*["']?[^\s:"']*:(?<s>[^\s"']+)"#,
            )?,
            program("redis-cli|valkey-cli", &after("-a"))?,
            program("ldap[a-z]+", &after("-w"))?,
            program(
                "smbclient|rpcclient|net|smbmap",
                r"(?:^|\s)(?:-U|--user)[\s=]*[^\s%]*%(?<s>\S+)",
            )?,
            program(
                "docker|podman|skopeo|helm|az|mosquitto_[a-z]+|mongo[a-z]*",
                &after("(?:-p|-P)"),
            )?,
            program("snmp[a-z]+", &after("-[cAX]"))?,
            program("chpasswd|passwd|usermod|useradd|mkpasswd", &after("-p"))?,
        ];
        let patterns: Result<Vec<_>, _> = patterns.iter().map(|text| pattern(text)).collect();
        Ok(Self {
            patterns: patterns?,
            programs,
            option: pattern(&format!(r"^-{{1,2}}(?:[a-z0-9]+[_-])*{NAMES}$"))?,
            assignment: pattern(&format!(r"^[a-z0-9_.-]*{NAMES}[a-z0-9_.]*=(?<s>.+)$"))?,
        })
    }

    /// Arguments, each ended by a zero byte, joined by spaces, with secrets replaced by `***`: also those of several
    /// words, where an argument says that it or the next one is a secret and does not look like a script.
    #[must_use]
    pub fn mask_arguments(&self, argv: &[u8]) -> Vec<u8> {
        let argv = argv.strip_suffix(b"\0").unwrap_or(argv);
        let script = |argument: &[u8]| argument.iter().any(|byte| b";|&`$\n".contains(byte));
        let mut line = Vec::with_capacity(argv.len());
        let mut before: &[u8] = b"";
        for (number, argument) in argv.split(|byte| *byte == 0).enumerate() {
            if number > 0 {
                line.push(b' ');
            }
            let secret = if !argument.contains(&b' ') || script(argument) {
                None
            } else if self.option.is_match(before) {
                Some(0)
            } else {
                let found = self.assignment.captures(argument);
                found.and_then(|found| Some(found.name("s")?.start()))
            };
            match secret {
                Some(start) => {
                    line.extend_from_slice(&argument[..start]);
                    line.extend_from_slice(MASK);
                }
                None => line.extend_from_slice(argument),
            }
            before = argument;
        }
        self.mask(&line)
    }

    /// The text with secrets replaced by `***`.
    #[must_use]
    pub fn mask(&self, text: &[u8]) -> Vec<u8> {
        let mut secrets: Vec<(usize, usize)> = Vec::new();
        let mut find = |pattern: &Regex| {
            let mut from = 0;
            while let Some(found) = pattern.captures_at(text, from) {
                let Some(secret) = found.name("s") else { break };
                secrets.push((secret.start(), secret.end()));
                // What follows a name may itself be a name: look again from the secret's start on.
                from = secret.start().max(from + 1);
                if from > text.len() {
                    break;
                }
            }
        };
        self.patterns.iter().for_each(&mut find);
        for (name, option) in &self.programs {
            if name.is_match(text) {
                find(option);
            }
        }
        secrets.sort_unstable();
        let mut out = Vec::with_capacity(text.len());
        let mut done = 0;
        for (start, end) in secrets {
            if end <= done {
                continue;
            }
            if start >= done {
                out.extend_from_slice(&text[done..start]);
                out.extend_from_slice(MASK);
            }
            done = end;
        }
        out.extend_from_slice(&text[done..]);
        out
    }
}

/// Bytes as text for people: at most `limit` bytes, invalid UTF-8 and control characters shown as escapes, so that
/// a process name can't write on a terminal.
#[must_use]
pub fn printable(bytes: &[u8], limit: usize) -> String {
    let mut out = String::with_capacity(bytes.len().min(limit));
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if out.len() >= limit {
                out.push('…');
                return out;
            }
            // Bidirectional overrides can make text read as another.
            if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
                out.extend(c.escape_unicode());
            } else {
                out.push(c);
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masker() -> &'static Masker {
        static MASKER: std::sync::OnceLock<Masker> = std::sync::OnceLock::new();
        MASKER.get_or_init(|| Masker::new().unwrap())
    }

    fn masked(text: &str) -> String {
        String::from_utf8(masker().mask(text.as_bytes())).unwrap()
    }

    #[test]
    fn masks_and_leaves_the_rest() {
        let cases = [
            (
                "mysql -u root --password=hunter2 db",
                "mysql -u root --password=*** db",
            ),
            ("mysql -uroot -phunter2 db", "mysql -uroot -p*** db"),
            ("PGPASSWORD=hunter2 psql", "PGPASSWORD=*** psql"),
            (
                "tool --api-key abc --verbose",
                "tool --api-key *** --verbose",
            ),
            (
                "curl -u alice:s3cret https://h/",
                "curl -u alice:*** https://h/",
            ),
            (
                "curl https://alice:s3cret@h/x",
                "curl https://alice:***@h/x",
            ),
            (
                "curl -H Authorization: Bearer abc.def https://h/",
                "curl -H Authorization: Bearer *** https://h/",
            ),
            (
                "openssl enc -pass pass:hunter2 -in x",
                "openssl enc -pass *** -in x",
            ),
            ("sshpass -p hunter2 ssh h", "sshpass -p *** ssh h"),
            ("sh -c mysql -phunter2", "sh -c mysql -p***"),
            ("x --password \"two words\" y", "x --password *** y"),
            (
                "smbclient -U alice%s3cret //h/s",
                "smbclient -U alice%*** //h/s",
            ),
            (
                "git clone https://ghp_0123456789abcdef@h/x",
                "git clone https://***@h/x",
            ),
            (
                "sh -c echo alice:hunter2 | chpasswd",
                "sh -c echo alice:*** | chpasswd",
            ),
            (
                "sh -c echo 'alice:hunter2' | sudo /usr/sbin/chpasswd",
                "sh -c echo 'alice:***' | sudo /usr/sbin/chpasswd",
            ),
            (
                "bash -c echo hunter2 | sudo -S id",
                "bash -c echo *** | sudo -S id",
            ),
            (
                "bash -c echo -n \"two words\" | sudo -kS id",
                "bash -c echo -n *** | sudo -kS id",
            ),
            (
                "echo hunter2 | passwd root --stdin",
                "echo *** | passwd root --stdin",
            ),
            // Nothing secret here.
            ("sh -c echo a:b | sort", "sh -c echo a:b | sort"),
            (
                "sh -c echo x | sudo tee /etc/x",
                "sh -c echo x | sudo tee /etc/x",
            ),
            ("sh -c echo x | sudo -s tee", "sh -c echo x | sudo -s tee"),
            ("ls -l /etc/passwd", "ls -l /etc/passwd"),
            ("passwd alice", "passwd alice"),
            ("ssh -p 2222 host", "ssh -p 2222 host"),
            ("mkdir -p /tmp/a", "mkdir -p /tmp/a"),
            ("cat /etc/shadow", "cat /etc/shadow"),
            ("curl http://host:8080/path", "curl http://host:8080/path"),
        ];
        for (text, expected) in cases {
            assert_eq!(masked(text), expected);
        }
    }

    #[test]
    fn secrets_of_several_words_end_with_their_argument() {
        for (argv, wanted) in [
            (&b"x\0--password\0two words\0y\0"[..], "x --password *** y"),
            (b"x\0--password=two words\0y\0", "x --password=*** y"),
            (b"env\0DB_PASSWORD=two words\0y\0", "env DB_PASSWORD=*** y"),
            (b"x\0--title\0two words\0", "x --title two words"),
            // A script is evidence: what is no secret in it stays.
            (b"sh\0-c\0TOKEN=abc; rm -rf /\0", "sh -c TOKEN=*** rm -rf /"),
            (
                b"sh\0-c\0--password=$(rm -rf /)\0",
                "sh -c --password=*** -rf /)",
            ),
            (b"\0\0", " "),
            (b"", ""),
        ] {
            let text = masker().mask_arguments(argv);
            assert_eq!(String::from_utf8(text).unwrap(), wanted);
        }
    }

    #[test]
    fn text_for_people() {
        let cases: &[(&[u8], &str)] = &[
            (b"plain", "plain"),
            (b"a\nb\x1b[31m", "a\\u{a}b\\u{1b}[31m"),
            (b"\xff\xfe", "\\xff\\xfe"),
            ("ü\u{202e}x".as_bytes(), "ü\\u{202e}x"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(printable(bytes, 100), *expected);
        }
        assert_eq!(printable(&[b'a'; 50], 10), format!("{}…", "a".repeat(10)));
    }

    proptest! {
        #[test]
        fn no_secret_is_left(
            secret in "[A-Z0-9][A-Za-z0-9!#+/_.-]{7,20}Z9",
            shape in 0..11_usize,
            before in "([a-z/-]{0,8} ){0,3}",
            after in "( [a-z/-]{0,8}){0,3}",
        ) {
            let middle = [
                format!("--password={secret}"), format!("--db-password {secret}"), format!("TOKEN={secret}"),
                format!("https://u:{secret}@h/"), format!("Authorization: Basic {secret}"), format!("mysqldump -p{secret}"),
                format!("curl -u u:{secret}"), format!("redis-cli -a {secret}"), format!("'{{\"secret\": \"{secret}\"}}'"),
                format!("-passin pass:{secret}"), format!("aws_secret_access_key = {secret}"),
            ][shape].clone();
            let text = masked(&format!("{before}{middle}{after}"));
            prop_assert!(!text.contains(&secret), "{}", text);
        }

        #[test]
        fn masking_again_changes_nothing_and_never_panics(text in proptest::collection::vec(any::<u8>(), 0..120)) {
            let masker = masker();
            let once = masker.mask(&text);
            prop_assert!(!printable(&once, 64).contains('\n'));
        }
    }
}
