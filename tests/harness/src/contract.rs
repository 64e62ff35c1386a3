//! Compares what a live object answers to Introspect with the XML in `dbus/interfaces`: methods,
//! signals and properties with their names, types, directions, access and change annotations.

use std::collections::{BTreeMap, BTreeSet};

use quick_xml::{Reader, events::BytesStart, events::Event};
use zbus::{Connection, fdo::IntrospectableProxy};

use crate::Error;

/// One member as a line of text, such as `method Create(algorithm:s in, key:o out)`.
pub type Members = BTreeSet<String>;

const CHANGES: &str = "org.freedesktop.DBus.Property.EmitsChangedSignal";

/// The interfaces of the outermost node, by name.
///
/// # Errors
/// When the text isn't well-formed XML.
pub fn interfaces(xml: &str) -> Result<BTreeMap<String, Members>, Error> {
    let mut reader = Reader::from_str(xml);
    let mut found = BTreeMap::<String, Members>::new();
    let (mut depth, mut interface, mut member) = (0, None::<String>, None::<Member>);
    loop {
        let event = reader
            .read_event()
            .map_err(|error| Error::Contract(error.to_string()))?;
        match &event {
            Event::Start(tag) | Event::Empty(tag) => {
                let empty = matches!(event, Event::Empty(_));
                let attributes = attributes(tag)?;
                let get = |name: &str| attributes.get(name).cloned().unwrap_or_default();
                match tag.name().as_ref() {
                    "node" if !empty => depth += 1,
                    "interface" if depth == 1 => {
                        found.entry(get("name")).or_default();
                        interface = Some(get("name"));
                    }
                    kind @ ("method" | "signal" | "property") if interface.is_some() => {
                        let kind = kind.to_owned();
                        let mut new = Member {
                            head: format!("{kind} {}", get("name")),
                            ..Member::default()
                        };
                        if kind == "property" {
                            new.arguments
                                .push(format!("{} {}", get("type"), get("access")));
                        }
                        if empty {
                            close(&mut found, &interface, new);
                        } else {
                            member = Some(new);
                        }
                    }
                    "arg" => {
                        if let Some(member) = &mut member {
                            member.arguments.push(format!(
                                "{}:{} {}",
                                get("name"),
                                get("type"),
                                get("direction")
                            ));
                        }
                    }
                    "annotation" if get("name") == CHANGES && get("value") != "true" => {
                        if let Some(member) = &mut member {
                            member.changes = format!(" changes={}", get("value"));
                        }
                    }
                    _ => {}
                }
            }
            Event::End(tag) => match tag.name().as_ref() {
                "node" => depth -= 1,
                "interface" if depth == 1 => interface = None,
                "method" | "signal" | "property" => {
                    if let Some(done) = member.take() {
                        close(&mut found, &interface, done);
                    }
                }
                _ => {}
            },
            Event::Eof => return Ok(found),
            _ => {}
        }
    }
}

#[derive(Default)]
struct Member {
    head: String,
    arguments: Vec<String>,
    changes: String,
}

fn close(found: &mut BTreeMap<String, Members>, interface: &Option<String>, member: Member) {
    let Some(members) = interface.as_ref().and_then(|name| found.get_mut(name)) else {
        return;
    };
    members.insert(format!(
        "{}({}){}",
        member.head,
        member.arguments.join(", "),
        member.changes
    ));
}

fn attributes(tag: &BytesStart<'_>) -> Result<BTreeMap<String, String>, Error> {
    let mut map = BTreeMap::new();
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|error| Error::Contract(error.to_string()))?;
        let name = attribute.key.as_ref().to_owned();
        map.insert(name, attribute.value.to_string());
    }
    Ok(map)
}

/// The contract of one interface, from the repository.
///
/// # Errors
/// When there is no such file or it doesn't hold that interface.
pub fn contract(interface: &str) -> Result<Members, Error> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../dbus/interfaces")
        .join(format!("{interface}.xml"));
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Error::start(path.display().to_string(), error))?;
    interfaces(&text)?
        .remove(interface)
        .ok_or_else(|| Error::Contract(format!("{} holds no {interface}", path.display())))
}

/// How the interfaces of ours at a live object differ from the contract; empty when they don't.
/// `expected` are those that have to be there.
///
/// # Errors
/// When the object doesn't answer or the contract can't be read.
pub async fn differences(
    connection: &Connection,
    bus_name: &str,
    path: &str,
    expected: &[&str],
) -> Result<Vec<String>, Error> {
    let object = IntrospectableProxy::builder(connection)
        .destination(bus_name)
        .path(path)
        .build()
        .await?;
    let text = object.introspect().await.map_err(zbus::Error::from)?;
    let mut live = interfaces(&text)?;
    live.retain(|name, _| name.starts_with("org.quantumos."));
    let mut lines = Vec::new();
    for name in expected {
        if !live.contains_key(*name) {
            lines.push(format!("{path}: {name} is missing"));
        }
    }
    for (name, members) in &live {
        if !expected.contains(&name.as_str()) {
            lines.push(format!("{path}: {name} is not expected"));
            continue;
        }
        let written = contract(name)?;
        let only = |here: &Members, there: &Members, say: &str| {
            here.difference(there)
                .map(|member| format!("{path}: {name}: {say}: {member}"))
                .collect::<Vec<_>>()
        };
        lines.extend(only(&written, members, "only in the contract"));
        lines.extend(only(members, &written, "only live"));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_contract_holds_its_interface() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dbus/interfaces");
        let mut seen = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let interface = name.strip_suffix(".xml").unwrap();
            assert!(!contract(interface).unwrap().is_empty(), "{interface}");
            seen += 1;
        }
        assert!(seen >= 11, "{seen} files");
    }

    #[test]
    fn nested_nodes_do_not_count() {
        let xml = r#"<node><interface name="a"><signal name="S"><arg name="x" type="s"/></signal>
            <property name="P" type="u" access="read"><annotation
            name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="const"/></property></interface>
            <node name="child"><interface name="b"><method name="M"/></interface></node></node>"#;
        let found = interfaces(xml).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["a"]);
        let members: Vec<_> = found["a"].iter().map(String::as_str).collect();
        assert_eq!(
            members,
            ["property P(u read) changes=const", "signal S(x:s )"]
        );
    }
}
