//! Names of units in cgroup paths. systemd names each cgroup after its unit, so the
//! path tells which units a weight competes with: only the children of one parent
//! share CPU time by weight.

/// The unit of a cgroup path such as `/system.slice/cron.service`: its last part, where
/// that is a slice, service or scope. `None` for the root and for cgroups inside a unit.
pub fn unit_of(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?;
    is_unit(name).then_some(name)
}

/// Whether a name is one of a slice, service or scope that systemd could have given.
pub fn is_unit(name: &str) -> bool {
    let stem = [".slice", ".service", ".scope"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix));
    stem.is_some_and(|stem| {
        !stem.is_empty()
            && name.len() <= 255
            && stem
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte))
    })
}

/// Whether readings descend into this cgroup: slices hold units; what is inside a
/// service or a scope is its own business.
pub fn holds_units(path: &str) -> bool {
    path == "/" || unit_of(path).is_some_and(|unit| unit.ends_with(".slice"))
}

/// Where two cgroups part: the children of their last common ancestor on the way to
/// each. `None` when one is inside the other or they are the same.
pub fn parting<'a>(one: &'a str, other: &'a str) -> Option<(&'a str, &'a str)> {
    let (mut a, mut b) = (parts(one), parts(other));
    loop {
        match (a.next(), b.next()) {
            (Some((left, left_end)), Some((right, right_end))) => {
                if left != right {
                    return Some((&one[..left_end], &other[..right_end]));
                }
            }
            _ => return None,
        }
    }
}

/// The parts of a path with the place where each ends.
fn parts(path: &str) -> impl Iterator<Item = (&str, usize)> {
    path.split('/')
        .scan(0_usize, |start, part| {
            let end = *start + part.len();
            *start = end + 1;
            Some((part, end))
        })
        .filter(|(part, _)| !part.is_empty())
}
