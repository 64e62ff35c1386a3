//! JSON as indented lines, a fact each: for what has no columns of its own.

use serde_json::Value as Json;

use super::{escape::escape, value::line};

/// Deeper nesting than this is shown on one line.
const DEEPEST: usize = 16;

/// The members of `json`, each line `depth` steps in.
pub fn tree(json: &Json, depth: usize) -> String {
    let mut text = String::new();
    indent(json, depth, &mut text);
    text
}

fn indent(json: &Json, depth: usize, text: &mut String) {
    match json {
        Json::Object(map) if depth < DEEPEST => {
            for (name, value) in map {
                member(&format!("{}:", escape(name)), value, depth, text);
            }
        }
        Json::Array(items) if depth < DEEPEST => {
            for value in items {
                member("-", value, depth, text);
            }
        }
        other => text.push_str(&format!("{}{}\n", "  ".repeat(depth), line(other))),
    }
}

fn member(name: &str, value: &Json, depth: usize, text: &mut String) {
    let blanks = "  ".repeat(depth);
    let flat = |value: &Json| !value.is_object() && !value.is_array();
    let one_line = match value {
        // An item that is a small record stays on its line.
        Json::Object(map) => map.is_empty() || (name == "-" && map.values().all(flat)),
        Json::Array(items) => items.iter().all(flat),
        _ => true,
    };
    if one_line {
        text.push_str(format!("{blanks}{name} {}", line(value)).trim_end());
        text.push('\n');
    } else {
        text.push_str(&format!("{blanks}{name}\n"));
        indent(value, depth + 1, text);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn facts_are_indented() {
        let json = json!({
            "unit": "a.service",
            "signals": {"cpu.some": 12.5, "latency": [1, 2]},
            "decisions": [{"id": "5", "why": "x\ny"}, {"id": "6", "evidence": {"p": 0.5}}],
            "none": {},
            "empty": [],
        });
        assert_eq!(
            tree(&json, 0),
            "\
decisions:
  - id=5 why=x\\ny
  -
    evidence:
      p: 0.5
    id: 6
empty: []
none:
signals:
  cpu.some: 12.5
  latency: [1, 2]
unit: a.service
"
        );
        assert_eq!(tree(&json!("plain"), 1), "  plain\n");
    }

    #[test]
    fn depth_is_bounded() {
        let mut json = json!("end");
        for _ in 0..100 {
            json = json!({ "in": json });
        }
        assert_eq!(tree(&json, 0).lines().count(), DEEPEST + 1);
    }
}
