//! Reads `probes/events.h`: its numeric constants and the layout of its structs. From one reading come
//! the Rust constants that the decoder uses and a C header that makes clang assert the same offsets,
//! so the two sides cannot drift apart.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Size and alignment of a type, in bytes.
#[derive(Clone, Copy)]
struct Shape {
    size: usize,
    align: usize,
}

/// What the header defines.
#[derive(Default)]
pub struct Layout {
    constants: Vec<(String, u64)>,
    structs: Vec<Struct>,
}

struct Struct {
    name: String,
    shape: Shape,
    fields: Vec<(String, usize)>,
}

impl Layout {
    /// Reads the header's text.
    ///
    /// # Errors
    ///
    /// A line that is outside the subset that the header describes, with its number.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut layout = Self::default();
        let mut shapes: BTreeMap<String, Shape> =
            [("__u8", 1), ("__u16", 2), ("__u32", 4), ("__u64", 8)]
                .map(|(name, size)| (name.to_owned(), Shape { size, align: size }))
                .into();
        let mut open: Option<Struct> = None;
        let mut comment = false;
        for (index, line) in text.lines().enumerate() {
            let fail = |what: &str| format!("events.h:{}: {what}: {}", index + 1, line.trim());
            let line = strip_comments(line, &mut comment);
            let line = line.trim();
            if let Some(rest) = line.strip_prefix("#define ") {
                let mut words = rest.split_whitespace();
                if let (Some(name), Some(value)) = (words.next(), words.next()) {
                    let value = value.parse().map_err(|_| fail("not a plain number"))?;
                    layout.constants.push((name.to_owned(), value));
                }
            } else if line.is_empty() || line.starts_with('#') {
                continue;
            } else if let Some(name) = line
                .strip_prefix("struct ")
                .and_then(|rest| rest.strip_suffix(" {"))
            {
                open = Some(Struct {
                    name: name.to_owned(),
                    shape: Shape { size: 0, align: 1 },
                    fields: Vec::new(),
                });
            } else if line == "};" {
                let done = open.take().ok_or_else(|| fail("no struct is open"))?;
                if done.shape.size % done.shape.align != 0 {
                    return Err(fail("implicit padding at the end"));
                }
                shapes.insert(format!("struct {}", done.name), done.shape);
                layout.structs.push(done);
            } else {
                let current = open.as_mut().ok_or_else(|| fail("not understood"))?;
                let (name, shape) = field(line, &shapes, &layout.constants)
                    .ok_or_else(|| fail("not a field of a known type"))?;
                if current.shape.size % shape.align != 0 {
                    return Err(fail("implicit padding before this field"));
                }
                current.fields.push((name, current.shape.size));
                current.shape.size += shape.size;
                current.shape.align = current.shape.align.max(shape.align);
            }
        }
        Ok(layout)
    }

    /// The Rust side: a constant for each define, a module of offsets and `SIZE` for each struct.
    pub fn rust(&self) -> String {
        let mut out = String::new();
        for (name, value) in &self.constants {
            let _ = writeln!(out, "/// `{name}`\npub const {name}: u32 = {value};");
        }
        for one in &self.structs {
            let _ = writeln!(
                out,
                "/// Offsets in `struct {}`.\npub mod {} {{",
                one.name, one.name
            );
            for (field, offset) in &one.fields {
                let name = field.to_uppercase();
                let _ = writeln!(out, "/// `{field}`\npub const {name}: usize = {offset};");
            }
            let _ = writeln!(
                out,
                "/// Bytes.\npub const SIZE: usize = {};\n}}",
                one.shape.size
            );
        }
        out
    }

    /// The C side: assertions for the compiler.
    pub fn assertions(&self) -> String {
        let mut out = String::from("#include <linux/types.h>\n#include \"events.h\"\n");
        for one in &self.structs {
            let name = &one.name;
            for (field, offset) in &one.fields {
                let _ = writeln!(
                    out,
                    "_Static_assert(__builtin_offsetof(struct {name}, {field}) == {offset}, \"{name}.{field}\");"
                );
            }
            let size = one.shape.size;
            let _ = writeln!(
                out,
                "_Static_assert(sizeof(struct {name}) == {size}, \"{name}\");"
            );
        }
        out
    }
}

fn strip_comments(line: &str, inside: &mut bool) -> String {
    let mut out = String::new();
    let mut rest = line;
    loop {
        let mark = if *inside { "*/" } else { "/*" };
        match rest.split_once(mark) {
            Some((before, after)) => {
                if !*inside {
                    out.push_str(before);
                }
                *inside = !*inside;
                rest = after;
            }
            None => {
                if !*inside {
                    out.push_str(rest);
                }
                return out;
            }
        }
    }
}

fn field(
    line: &str,
    shapes: &BTreeMap<String, Shape>,
    constants: &[(String, u64)],
) -> Option<(String, Shape)> {
    let (kind, declarator) = line.strip_suffix(';')?.rsplit_once(char::is_whitespace)?;
    let shape = *shapes.get(kind.trim())?;
    let Some((name, count)) = declarator.split_once('[') else {
        return Some((declarator.to_owned(), shape));
    };
    let count = count.strip_suffix(']')?;
    let count = match count.parse::<usize>() {
        Ok(count) => count,
        Err(_) => {
            let (_, value) = constants.iter().find(|(name, _)| name == count)?;
            usize::try_from(*value).ok()?
        }
    };
    Some((
        name.to_owned(),
        Shape {
            size: shape.size * count,
            align: shape.align,
        },
    ))
}
