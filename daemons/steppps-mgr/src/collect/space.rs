//! Reads the inventory: processors, memory, disks, graphics, sensors, interfaces.

use std::{collections::BTreeSet, fs, path::Path};

use nix::sys::utsname;
use quantumos_dimensions::{
    limits,
    space::{
        Disk, Gpu, Interface, Inventory, Memory, Node, Processor, Sensor, disk_model, model,
        node_memory,
    },
    text::{clip, list_length, number},
};

use super::{attribute, names, text};
use crate::Roots;

/// Reads all that is known about the host's hardware.
pub(crate) fn read(roots: &Roots) -> Inventory {
    let mut inventory = Inventory {
        architecture: utsname::uname()
            .map(|uname| uname.machine().to_string_lossy().into_owned())
            .unwrap_or_default(),
        processor: processor(roots),
        nodes: nodes(&roots.sys.join("devices/system/node")),
        disks: disks(&roots.sys.join("block")),
        gpus: gpus(&roots.sys.join("class/drm")),
        sensors: sensors(&roots.sys),
        interfaces: interfaces(&roots.sys.join("class/net")),
        ..Inventory::default()
    };
    if let Some(meminfo) = text(&roots.proc.join("meminfo")) {
        match Memory::parse(&meminfo) {
            Ok(memory) => inventory.memory = Some(memory),
            Err(error) => inventory.errors.push(error),
        }
    }
    for (path, root) in [
        ("meminfo", &roots.proc),
        ("cpuinfo", &roots.proc),
        ("devices/system/cpu", &roots.sys),
        ("devices/system/node", &roots.sys),
        ("block", &roots.sys),
        ("class/drm", &roots.sys),
        ("class/hwmon", &roots.sys),
        ("class/thermal", &roots.sys),
        ("class/net", &roots.sys),
    ] {
        let path = root.join(path);
        if path.exists() {
            inventory.sources.push(path.to_string_lossy().into_owned());
        }
    }
    inventory
}

fn processor(roots: &Roots) -> Processor {
    let directory = roots.sys.join("devices/system/cpu");
    let mut topology = BTreeSet::new();
    for name in names(&directory) {
        if name.strip_prefix("cpu").and_then(number::<u32>).is_some() {
            let at = directory.join(name).join("topology");
            let id = |file| number::<i64>(&attribute(&at, file));
            if let (Some(package), Some(core)) = (id("physical_package_id"), id("core_id")) {
                topology.insert((package, core));
            }
        }
    }
    Processor {
        model: text(&roots.proc.join("cpuinfo")).and_then(|cpuinfo| model(&cpuinfo)),
        online: text(&directory.join("online")).and_then(|list| list_length(&list)),
        possible: text(&directory.join("possible")).and_then(|list| list_length(&list)),
        topology,
    }
}

fn nodes(directory: &Path) -> Vec<Node> {
    let mut nodes: Vec<Node> = names(directory)
        .iter()
        .filter_map(|name| {
            let id = number(name.strip_prefix("node")?)?;
            let at = directory.join(name);
            Some(Node {
                id,
                processors: clip(&attribute(&at, "cpulist")),
                memory: node_memory(&attribute(&at, "meminfo")),
            })
        })
        .collect();
    nodes.sort_by_key(|node| node.id);
    nodes
}

fn disks(directory: &Path) -> Vec<Disk> {
    names(directory)
        .iter()
        .filter_map(|name| {
            let at = directory.join(name);
            let read = |file| attribute(&at, file);
            let mut disk = Disk::parse(
                name,
                &read("size"),
                &read("queue/rotational"),
                &read("removable"),
                &read("ro"),
            )?;
            let device = at.join("device");
            disk.model = disk_model(
                text(&device.join("vendor")).as_deref(),
                text(&device.join("model")).as_deref(),
            );
            Some(disk)
        })
        .collect()
}

fn gpus(directory: &Path) -> Vec<Gpu> {
    names(directory)
        .iter()
        .filter(|name| name.strip_prefix("card").and_then(number::<u16>).is_some())
        .map(|name| {
            let device = directory.join(name).join("device");
            let id = |file| {
                text(&device.join(file))
                    .map(|id| clip(&id))
                    .filter(|id| !id.is_empty())
            };
            let driver = fs::read_link(device.join("driver")).ok();
            Gpu {
                name: name.clone(),
                vendor: id("vendor"),
                device: id("device"),
                driver: driver
                    .and_then(|link| Some(link.file_name()?.to_string_lossy().into_owned())),
            }
        })
        .collect()
}

fn sensors(sys: &Path) -> Vec<Sensor> {
    let mut sensors = Vec::new();
    let hwmon = sys.join("class/hwmon");
    for name in names(&hwmon) {
        let at = hwmon.join(&name);
        let chip = text(&at.join("name")).unwrap_or(name);
        for file in names(&at) {
            let Some(stem) = file
                .strip_suffix("_input")
                .filter(|stem| stem.starts_with("temp"))
            else {
                continue;
            };
            let read = |kind: &str| text(&at.join(format!("{stem}_{kind}")));
            let label = read("label").unwrap_or_else(|| stem.to_owned());
            let input = read("input").unwrap_or_default();
            sensors.extend(Sensor::parse(
                &chip,
                &label,
                &input,
                read("max").as_deref(),
                read("crit").as_deref(),
            ));
        }
    }
    // Zones are often the same sensors again; they count where there is nothing else.
    if sensors.is_empty() {
        let thermal = sys.join("class/thermal");
        for name in names(&thermal)
            .iter()
            .filter(|name| name.starts_with("thermal_zone"))
        {
            let at = thermal.join(name);
            sensors.extend(Sensor::parse(
                name,
                &attribute(&at, "type"),
                &attribute(&at, "temp"),
                None,
                None,
            ));
        }
    }
    sensors.truncate(limits::TEXTS);
    sensors
}

fn interfaces(directory: &Path) -> Vec<Interface> {
    names(directory)
        .iter()
        .filter(|name| directory.join(name).join("operstate").exists())
        .map(|name| {
            let at = directory.join(name);
            let speed = text(&at.join("speed"));
            Interface::parse(
                name,
                &attribute(&at, "operstate"),
                &attribute(&at, "mtu"),
                speed.as_deref(),
                at.join("device").exists(),
            )
        })
        .collect()
}
