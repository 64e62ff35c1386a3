//! Introspection data of the bus: interfaces, methods and child nodes of one object.

use quick_xml::{Reader, events::BytesStart, events::Event};

use crate::{
    limits,
    text::{self, ParseError},
};

/// Longest introspection text that is read, in bytes.
pub const TEXT: usize = 256 * 1024;

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
    /// Its interfaces.
    pub interfaces: Vec<Interface>,
    /// Names of the objects below it, up to [`limits::ROWS`].
    pub children: Vec<String>,
}

/// Reads an object's introspection data. Numbers of interfaces, methods and children beyond
/// the bounds of [`limits`] are left out.
///
/// # Errors
/// Text that is too long or not XML.
pub fn parse(xml: &str) -> Result<Node, ParseError> {
    if xml.len() > TEXT {
        return Err(ParseError::new(
            "introspection",
            1,
            format!("{} bytes, over {TEXT}", xml.len()),
        ));
    }
    let mut reader = Reader::from_str(xml);
    let mut node = Node::default();
    let mut depth = 0_usize;
    let mut in_method = false;
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
                enter(&mut node, &tag, depth, &mut in_method);
                depth += 1;
            }
            Event::Empty(tag) => {
                enter(&mut node, &tag, depth, &mut in_method);
                in_method &= tag.name().as_ref() != "method";
            }
            Event::End(tag) => {
                depth = depth.saturating_sub(1);
                in_method &= tag.name().as_ref() != "method";
            }
            Event::Eof => return Ok(node),
            _ => {}
        }
    }
}

fn enter(node: &mut Node, tag: &BytesStart<'_>, depth: usize, in_method: &mut bool) {
    let name = || attribute(tag, "name").filter(|name| is_name(name));
    match (tag.name().as_ref(), depth) {
        ("node", 1) => {
            if let Some(name) = name()
                && node.children.len() < limits::ROWS
            {
                node.children.push(name);
            }
        }
        ("interface", 1) => {
            if let Some(name) = name()
                && node.interfaces.len() < limits::ROWS
            {
                node.interfaces.push(Interface {
                    name,
                    methods: Vec::new(),
                });
            }
        }
        ("method", 2) => {
            if let (Some(name), Some(interface)) = (name(), node.interfaces.last_mut())
                && interface.methods.len() < limits::ROWS
            {
                interface.methods.push(Method {
                    name,
                    ..Method::default()
                });
                *in_method = true;
            }
        }
        ("arg", 3) if *in_method => {
            let method = node
                .interfaces
                .last_mut()
                .and_then(|interface| interface.methods.last_mut());
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
        }
        _ => {}
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
        let node = parse(
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
              <node name="abc"><interface name="nested.Interface"/></node>
              <node name="../up"/>
            </node>"#,
        )
        .unwrap();
        assert_eq!(node.children, ["abc"]);
        let method = |name: &str, input: &str, output: &str| Method {
            name: name.to_owned(),
            input: input.to_owned(),
            output: output.to_owned(),
        };
        assert_eq!(
            node.interfaces,
            [Interface {
                name: "org.quantumos.Keys1".to_owned(),
                methods: vec![method("Create", "sa{sv}", "o"), method("Nothing", "", "")],
            }]
        );
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
