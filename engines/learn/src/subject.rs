//! Whose window it is: a unit by the name that stays the same from one run to the next.

/// The longest subject, in bytes.
pub const MAX_LEN: usize = 200;

/// A unit's name without what changes with each instance: the instance of a template goes, and each run of digits
/// (or of more than seven hexadecimal ones with a digit among them) becomes `#`.
///
/// `getty@tty1.service` is `getty@.service`, `session-12.scope` is `session-#.scope`.
#[must_use]
pub fn of_unit(unit: &str) -> String {
    let (stem, ending) = unit.rsplit_once('.').unwrap_or((unit, ""));
    let (stem, template) = match stem.split_once('@') {
        Some((template, _)) => (template, "@"),
        None => (stem, ""),
    };
    let mut out = String::with_capacity(unit.len());
    for part in stem.split_inclusive(['-', '_', '.', ':']) {
        let (word, end) = match part.char_indices().next_back() {
            Some((at, last @ ('-' | '_' | '.' | ':'))) => (&part[..at], Some(last)),
            _ => (part, None),
        };
        let hexadecimal = word.len() > 7
            && word.bytes().all(|byte| byte.is_ascii_hexdigit())
            && word.bytes().any(|byte| byte.is_ascii_digit());
        if hexadecimal {
            out.push('#');
        } else {
            digits(word, &mut out);
        }
        out.extend(end);
    }
    out.push_str(template);
    if !ending.is_empty() {
        out.push('.');
        out.push_str(ending);
    }
    cut(out)
}

/// The subject of a process tree that is in no unit: the program at its root.
#[must_use]
pub fn of_tree(program: &str) -> String {
    cut(format!("tree:{program}"))
}

fn digits(word: &str, out: &mut String) {
    let mut within = false;
    for letter in word.chars() {
        if letter.is_ascii_digit() {
            if !within {
                out.push('#');
            }
            within = true;
        } else {
            out.push(letter);
            within = false;
        }
    }
}

fn cut(mut text: String) -> String {
    let mut end = text.len().min(MAX_LEN);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_what_stays() {
        for (unit, wanted) in [
            ("ssh.service", "ssh.service"),
            ("getty@tty1.service", "getty@.service"),
            ("session-12.scope", "session-#.scope"),
            ("user-1000.slice", "user-#.slice"),
            ("run-u42.service", "run-u#.service"),
            ("app-firefox-4f2a9b1c.scope", "app-firefox-#.scope"),
            ("apt-daily.service", "apt-daily.service"),
            ("", ""),
        ] {
            assert_eq!(of_unit(unit), wanted, "{unit}");
        }
        let long = of_unit(&"ü".repeat(300));
        assert!(long.len() <= MAX_LEN && long.chars().all(|letter| letter == 'ü'));
    }
}
