//! The maps of the security probes: counters that the kernel keeps, filters that it applies.

use std::collections::{BTreeMap, BTreeSet};

use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, RingBuf};
use aya::{Ebpf, Pod};

use crate::action::Action;
use crate::calls::{self, Calls, Duty};
use crate::error::Error;
use crate::event::Class;
use crate::layout::{self, WATCH_KEY_MAX, WATCH_NAME_MAX};
use crate::watch::Compiled;

pub(crate) type PathKey = [u8; WATCH_KEY_MAX as usize];
type NameKey = [u8; WATCH_NAME_MAX as usize];

/// `struct config` of the probes.
#[repr(C)]
#[derive(Clone, Copy)]
struct Config {
    path_accesses: u32,
    everywhere: u32,
    limits: [u32; layout::EVENT_CLASSES as usize],
    reserved: u32,
}

const _: () = assert!(size_of::<Config>() == layout::config::SIZE);

#[allow(unsafe_code)]
// SAFETY: `repr(C)` and made of `u32` only: every byte pattern is a value, and nothing is padding.
unsafe impl Pod for Config {}

/// The ring of a class.
pub(crate) const fn ring_name(class: Class) -> &'static str {
    match class {
        Class::Exec => "exec_events",
        Class::Exit => "exit_events",
        Class::Fork => "fork_events",
        Class::Connect => "connect_events",
        Class::Open => "open_events",
        Class::Privilege => "privilege_events",
        Class::File => "file_events",
        Class::Socket => "socket_events",
        Class::Kernel => "kernel_events",
    }
}

pub(crate) fn take_ring(ebpf: &mut Ebpf, class: Class) -> Result<RingBuf<MapData>, Error> {
    let map = ring_name(class);
    let found = ebpf.take_map(map).ok_or(Error::Missing(map))?;
    RingBuf::try_from(found).map_err(failed(map))
}

/// The map that says whether the reader looks by itself.
const READER: &str = "reader";

/// Has records wake the reader, or not.
pub(crate) fn set_looking(ebpf: &mut Ebpf, looks: bool) -> Result<(), Error> {
    let found = ebpf.map_mut(READER).ok_or(Error::Missing(READER))?;
    let mut reader: Array<_, u32> = Array::try_from(found).map_err(failed(READER))?;
    reader.set(0, u32::from(looks), 0).map_err(failed(READER))
}

/// Whether records wake the reader.
pub(crate) fn is_looking(ebpf: &Ebpf) -> Result<bool, Error> {
    let found = ebpf.map(READER).ok_or(Error::Missing(READER))?;
    let reader: Array<_, u32> = Array::try_from(found).map_err(failed(READER))?;
    Ok(reader.get(&0, 0).map_err(failed(READER))? != 0)
}

/// A counter of every class, summed over the CPUs.
pub(crate) fn counters(ebpf: &Ebpf, map: &'static str) -> Result<BTreeMap<Class, u64>, Error> {
    let found = ebpf.map(map).ok_or(Error::Missing(map))?;
    let counters: PerCpuArray<_, u64> = PerCpuArray::try_from(found).map_err(failed(map))?;
    Class::ALL
        .into_iter()
        .map(|class| {
            let cpus = counters.get(&class.index(), 0).map_err(failed(map))?;
            Ok((class, cpus.iter().sum()))
        })
        .collect()
}

/// Has the system calls of these duties looked at, and no others.
pub(crate) fn set_calls(ebpf: &mut Ebpf, duties: &BTreeMap<Duty, bool>) -> Result<(), Error> {
    let map = "calls";
    let mut array: Array<_, Calls> = Array::try_from(map_mut(ebpf, map)?).map_err(failed(map))?;
    for (number, call) in calls::table(duties) {
        array.set(number, call, 0).map_err(failed(map))?;
    }
    Ok(())
}

/// Has these actions reported whatever the path, others of files only where the watch list says.
pub(crate) fn set_everywhere(ebpf: &mut Ebpf, actions: &BTreeSet<Action>) -> Result<(), Error> {
    let bits = actions
        .iter()
        .fold(0, |bits, action| bits | action.everywhere());
    change_config(ebpf, |config| config.everywhere = bits)
}

/// Sets how many events of a class one cgroup may have reported in a second; classes that are missing have no
/// limit.
pub(crate) fn set_limits(ebpf: &mut Ebpf, limits: &BTreeMap<Class, u32>) -> Result<(), Error> {
    change_config(ebpf, |config| {
        for (class, limit) in Class::ALL.iter().zip(&mut config.limits) {
            *limit = limits.get(class).copied().unwrap_or(0);
        }
    })
}

/// Replaces the watch list. While it changes, opens are judged by a mixture of the old and the new one that has
/// all of what both have.
pub(crate) fn set_watches(ebpf: &mut Ebpf, watches: &Compiled) -> Result<(), Error> {
    let wanted: BTreeMap<(u32, PathKey), u8> = watches
        .prefixes
        .iter()
        .map(|(prefix, accesses)| (path_key(prefix), *accesses))
        .collect();
    let accesses = watches
        .prefixes
        .values()
        .fold(0, |all, one| all | u32::from(*one));
    change_config(ebpf, |config| config.path_accesses |= accesses)?;

    let map = "watched_paths";
    let mut trie: LpmTrie<_, PathKey, u8> =
        LpmTrie::try_from(map_mut(ebpf, map)?).map_err(failed(map))?;
    replace_paths(&mut trie, &wanted).map_err(failed(map))?;

    let map = "watched_names";
    let mut names: HashMap<_, NameKey, u8> =
        HashMap::try_from(map_mut(ebpf, map)?).map_err(failed(map))?;
    replace(&mut names, &watches.names).map_err(failed(map))?;
    change_config(ebpf, |config| config.path_accesses = accesses)
}

/// Replaces the list of thread names whose events are dropped.
pub(crate) fn set_ignored_comms(ebpf: &mut Ebpf, comms: &[Vec<u8>]) -> Result<(), Error> {
    let mut wanted = BTreeMap::new();
    for comm in comms {
        if comm.is_empty() || comm.len() > 15 {
            let what = format!("ignored thread name {:?}", String::from_utf8_lossy(comm));
            return Err(Error::Settings {
                what,
                reason: "a name has 1 to 15 bytes",
            });
        }
        wanted.insert(padded::<16>(comm), 1);
    }
    let map = "ignored_comms";
    let mut filter: HashMap<_, [u8; 16], u8> =
        HashMap::try_from(map_mut(ebpf, map)?).map_err(failed(map))?;
    replace(&mut filter, &wanted).map_err(failed(map))
}

/// Replaces the list of cgroups whose events are dropped.
pub(crate) fn set_ignored_cgroups(ebpf: &mut Ebpf, cgroups: &[u64]) -> Result<(), Error> {
    let wanted = cgroups.iter().map(|cgroup| (*cgroup, 1)).collect();
    let map = "ignored_cgroups";
    let mut filter: HashMap<_, u64, u8> =
        HashMap::try_from(map_mut(ebpf, map)?).map_err(failed(map))?;
    replace(&mut filter, &wanted).map_err(failed(map))
}

/// How many bits of a path count, and the path.
pub(crate) fn path_key(prefix: &[u8]) -> (u32, PathKey) {
    (prefix.len() as u32 * 8, padded(prefix))
}

/// Makes a trie of paths hold these, and no others; what stays is there all the time.
pub(crate) fn replace_paths(
    trie: &mut LpmTrie<&mut MapData, PathKey, u8>,
    wanted: &BTreeMap<(u32, PathKey), u8>,
) -> Result<(), MapError> {
    for ((bits, path), accesses) in wanted {
        trie.insert(&Key::new(*bits, *path), *accesses, 0)?;
    }
    let old: Vec<_> = trie.keys().filter_map(Result::ok).collect();
    for key in old {
        if !wanted.contains_key(&(key.prefix_len(), key.data())) {
            trie.remove(&key)?;
        }
    }
    Ok(())
}

/// Makes a map hold these, and no others; what stays is there all the time.
pub(crate) fn replace<K: Pod + Ord>(
    map: &mut HashMap<&mut MapData, K, u8>,
    wanted: &BTreeMap<K, u8>,
) -> Result<(), MapError> {
    for (key, value) in wanted {
        map.insert(key, value, 0)?;
    }
    let old: Vec<K> = map.keys().filter_map(Result::ok).collect();
    for key in old.iter().filter(|key| !wanted.contains_key(key)) {
        map.remove(key)?;
    }
    Ok(())
}

fn change_config(ebpf: &mut Ebpf, change: impl FnOnce(&mut Config)) -> Result<(), Error> {
    let map = "config";
    let mut array: Array<_, Config> = Array::try_from(map_mut(ebpf, map)?).map_err(failed(map))?;
    let mut config = array.get(&0, 0).map_err(failed(map))?;
    change(&mut config);
    array.set(0, config, 0).map_err(failed(map))
}

pub(crate) fn map_mut<'a>(ebpf: &'a mut Ebpf, map: &'static str) -> Result<&'a mut Map, Error> {
    ebpf.map_mut(map).ok_or(Error::Missing(map))
}

pub(crate) fn failed(map: &'static str) -> impl Fn(MapError) -> Error {
    move |source| Error::Map { map, source }
}

/// The bytes, followed by zeros; what is too long is cut.
pub(crate) fn padded<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    for (to, from) in array.iter_mut().zip(bytes) {
        *to = *from;
    }
    array
}
