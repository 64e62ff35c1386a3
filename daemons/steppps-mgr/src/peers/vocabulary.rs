//! The vocabulary: walks the objects of the QuantumOS services by introspection.

use std::collections::VecDeque;

use quantumos_dbus::SERVICES;
use quantumos_dimensions::prompt::{self, Catalogue};

use super::Peers;
use crate::Error;

/// All objects of QuantumOS are below this.
const TOP: &str = "/org/quantumos";
/// Objects visited at one service.
const OBJECTS: usize = 128;
/// Children visited below one object: those of a collection are alike.
const CHILDREN: usize = 8;

/// Asks every service that is there what can be called.
pub(crate) async fn read(peers: &Peers) -> Catalogue {
    let mut catalogue = Catalogue::default();
    for service in SERVICES {
        if !peers.has(service.bus_name) {
            catalogue.add_missing(service.bus_name);
        } else if let Err(error) = walk(peers, service.bus_name, &mut catalogue).await {
            tracing::debug!(service = service.bus_name, %error, "cannot be introspected");
            catalogue.add_missing(service.bus_name);
        }
    }
    catalogue
}

async fn walk(peers: &Peers, service: &str, catalogue: &mut Catalogue) -> Result<(), Error> {
    let mut paths = VecDeque::from([TOP.to_owned()]);
    let mut visited = 0;
    while let Some(path) = paths.pop_front() {
        let interface = "org.freedesktop.DBus.Introspectable";
        let xml: String = match peers
            .call(service, &path, interface, "Introspect", &())
            .await
        {
            Ok(xml) => xml,
            // An object may go while the walk is under way; the first one may not.
            Err(error) if visited == 0 => return Err(error),
            Err(_) => continue,
        };
        visited += 1;
        let node = match prompt::parse(&xml) {
            Ok(node) => node,
            Err(error) => {
                tracing::debug!(service, path, %error, "introspection data is of no use");
                continue;
            }
        };
        catalogue.add(service, &node.interfaces);
        for child in node.children.iter().take(CHILDREN) {
            if visited + paths.len() < OBJECTS && !child.contains('.') {
                paths.push_back(format!("{path}/{child}"));
            }
        }
    }
    Ok(())
}
