//! Introspection data of the bus: interfaces, methods and child nodes of one object.

use quick_xml::{Reader, events::BytesStart, events::Event};

use crate::{
    limits,
    text::{self, ParseError},
};

/// Longest introspection text that is read, in bytes. zbus answers with all that is below an
/// object, so a full book of alerts or some hundred keys make a megabyte.
pub const TEXT: usize = 8 << 20;
/// Objects that are kept of one text.
pub const OBJECTS: usize = 256;
/// Children that are kept of one object: those of a collection are alike.
pub const CHILDREN: usize = 32;

/// A method of an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Method {
    /// Its name.
    pub name: String,
    /// Signature of what it takes.
    pub input: String,
    /// Signature of what it returns.
    pub output: String,
}

/// An interface of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its methods.
    pub methods: Vec<Method>,
}

/// What an object says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Where it is below the object that was asked: empty, or names with `/` before each.
    pub path: String,
    /// Its interfaces.
    pub interfaces: Vec<Interface>,
    /// Whether anything is said of it: else it has to be asked itself.
    pub told: bool,
}

/// Where the reader is: one entry for each open element.
#[derive(Clone, Copy)]
enum Place {
    /// An object: its place in the list and how many children it has so far.
    Node(usize, usize),
    /// Interfaces and methods: the place of their object in the list.
    Interface(usize),
    Method(usize),
    /// Anything else, and objects beyond the bounds, with all that is in them.
    Other,
}

/// Reads an object's introspection data: the object itself first, then those below it.
/// Objects, interfaces and methods beyond the bounds are left out.
///
/// # Errors
/// Text that is too long or not XML.
pub fn parse(xml: &str) -> Result<Vec<Node>, ParseError> {
    if xml.len() > TEXT {
        return Err(ParseError::new(
            "introspection",
            1,
            format!("{} bytes, over {TEXT}", xml.len()),
        ));
    }
    let mut reader = Reader::from_str(xml);
    let mut nodes = Vec::new();
    let mut open = Vec::new();
    loop {
        let event = reader.read_event().map_err(|error| {
            let at = usize::try_from(reader.error_position())
                .unwrap_or(0)
                .min(xml.len());
            let line = xml.as_bytes()[..at]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count()
                + 1;
            ParseError::new("introspection", line, error.to_string())
        })?;
        match event {
            Event::Start(tag) => {
                let place = enter(&mut nodes, open.last_mut(), &tag);
                open.push(place);
            }
            Event::Empty(tag) => {
                enter(&mut nodes, open.last_mut(), &tag);
            }
            Event::End(_) => {
                open.pop();
            }
            Event::Eof => return Ok(nodes),
            _ => {}
        }
    }
}

fn enter(nodes: &mut Vec<Node>, within: Option<&mut Place>, tag: &BytesStart<'_>) -> Place {
    let name = || attribute(tag, "name").filter(|name| is_name(name));
    match (tag.name().as_ref(), within) {
        ("node", None) if nodes.is_empty() => {
            nodes.push(Node::default());
            Place::Node(0, 0)
        }
        ("node", Some(Place::Node(parent, children))) => {
            let Some(name) = name().filter(|name| !name.contains('.')) else {
                return Place::Other;
            };
            nodes[*parent].told = true;
            *children += 1;
            if *children > CHILDREN || nodes.len() >= OBJECTS {
                return Place::Other;
            }
            nodes.push(Node {
                path: format!("{}/{name}", nodes[*parent].path),
                ..Node::default()
            });
            Place::Node(nodes.len() - 1, 0)
        }
        ("interface", Some(Place::Node(at, _))) => {
            let node = &mut nodes[*at];
            node.told = true;
            match name() {
                Some(name) if node.interfaces.len() < limits::ROWS => {
                    node.interfaces.push(Interface {
                        name,
                        methods: Vec::new(),
                    });
                    Place::Interface(*at)
                }
                _ => Place::Other,
            }
        }
        ("method", Some(Place::Interface(at))) => {
            match (name(), nodes[*at].interfaces.last_mut()) {
                (Some(name), Some(interface)) if interface.methods.len() < limits::ROWS => {
                    interface.methods.push(Method {
                        name,
                        ..Method::default()
                    });
                    Place::Method(*at)
                }
                _ => Place::Other,
            }
        }
        ("arg", Some(Place::Method(at))) => {
            let interface = nodes[*at].interfaces.last_mut();
            let method = interface.and_then(|interface| interface.methods.last_mut());
            if let (Some(kind), Some(method)) = (attribute(tag, "type"), method) {
                let out = attribute(tag, "direction").is_some_and(|direction| direction == "out");
                let signature = if out {
                    &mut method.output
                } else {
                    &mut method.input
                };
                signature.push_str(&kind);
                *signature = text::clip(signature);
            }
            Place::Other
        }
        _ => Place::Other,
    }
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = tag.try_get_attribute(name).ok()??;
    Some(text::clip(&attribute.value))
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn objects() {
        let nodes = parse(
            r#"<!DOCTYPE node PUBLIC "x" "y">
            <node>
              <interface name="org.quantumos.Keys1">
                <method name="Create">
                  <arg name="algorithm" type="s" direction="in"/>
                  <arg name="options" type="a{sv}"/>
                  <arg type="o" direction="out"/>
                </method>
                <method name="Nothing"/>
                <signal name="Changed"><arg type="s"/></signal>
                <property name="Algorithms" type="as" access="read"/>
              </interface>
              <node name="abc">
                <interface name="nested.Interface"><method name="M"/></interface>
                <node name="below"/>
              </node>
              <node name="../up"><interface name="not.Seen"/></node>
            </node>"#,
        )
        .unwrap();
        let method = |name: &str, input: &str, output: &str| Method {
            name: name.to_owned(),
            input: input.to_owned(),
            output: output.to_owned(),
        };
        let node = |path: &str, interface: &str, methods| Node {
            path: path.to_owned(),
            interfaces: vec![Interface {
                name: interface.to_owned(),
                methods,
            }],
            told: true,
        };
        let below = Node {
            path: "/abc/below".to_owned(),
            ..Node::default()
        };
        assert_eq!(
            nodes,
            [
                node(
                    "",
                    "org.quantumos.Keys1",
                    vec![method("Create", "sa{sv}", "o"), method("Nothing", "", "")]
                ),
                node("/abc", "nested.Interface", vec![method("M", "", "")]),
                below
            ]
        );
    }

    #[test]
    fn a_large_collection_hides_nothing_after_it() {
        let alike = "<node name='k'><interface name='a.Key'/></node>".repeat(10_000);
        let xml = format!(
            "<node><node name='keys'>{alike}</node><node name='b'><interface name='b.B'/></node></node>"
        );
        let nodes = parse(&xml).unwrap();
        assert_eq!(nodes.len(), 3 + CHILDREN);
        assert_eq!(nodes.last().unwrap().interfaces[0].name, "b.B");
    }

    #[test]
    fn what_is_not_xml_names_the_line() {
        let error = parse("<node>\n<interface></node>").unwrap_err();
        assert_eq!((error.what, error.line), ("introspection", 2));
        assert!(parse(&"x".repeat(TEXT + 1)).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_safe(text in "(<(/|!)?(node|interface|method|arg|&)?( name=\"[a-z&<]{0,3}\"| type='s)?/?>|[a-z<>&\"]){0,30}") {
            let _ = parse(&text);
        }
    }
}
