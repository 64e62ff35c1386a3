//! The vocabulary: walks the objects of the QuantumOS services by introspection.

use std::collections::VecDeque;

use quantumos_dbus::SERVICES;
use quantumos_dimensions::prompt::{self, Catalogue};

use super::Peers;
use crate::Error;

/// All objects of QuantumOS are below this.
const TOP: &str = "/org/quantumos";
/// Questions to one service. Most answer one with all that is below the object; others name
/// only the children, which are then asked themselves.
const QUESTIONS: usize = 64;

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
    for asked in 0..QUESTIONS {
        let Some(path) = paths.pop_front() else { break };
        let interface = "org.freedesktop.DBus.Introspectable";
        let xml: String = match peers
            .call(service, &path, interface, "Introspect", &())
            .await
        {
            Ok(xml) => xml,
            // An object may go while the walk is under way; the first one may not.
            Err(error) if asked == 0 => return Err(error),
            Err(_) => continue,
        };
        let nodes = match prompt::parse(&xml) {
            Ok(nodes) => nodes,
            Err(error) => {
                tracing::debug!(service, path, %error, "introspection data is of no use");
                continue;
            }
        };
        for (at, node) in nodes.iter().enumerate() {
            if node.told || at == 0 {
                catalogue.add(service, &node.interfaces);
            } else if asked + paths.len() < QUESTIONS {
                paths.push_back(format!("{path}{}", node.path));
            }
        }
    }
    Ok(())
}
