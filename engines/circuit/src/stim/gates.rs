//! The unitary gates of stim's format by name, each as the images of X and Z (see
//! [`Clifford::of_images`]).

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::frames::Clifford;

const GATES: &[(&[&str], &str)] = &[
    (&["I"], "X Z"),
    (&["X"], "X -Z"),
    (&["Y"], "-X -Z"),
    (&["Z"], "-X Z"),
    (&["C_NXYZ"], "-Y -X"),
    (&["C_NZYX"], "-Z -Y"),
    (&["C_XNYZ"], "-Y X"),
    (&["C_XYNZ"], "Y -X"),
    (&["C_XYZ"], "Y X"),
    (&["C_ZNYX"], "Z -Y"),
    (&["C_ZYNX"], "-Z Y"),
    (&["C_ZYX"], "Z Y"),
    (&["H", "H_XZ"], "Z X"),
    (&["H_NXY"], "-Y -Z"),
    (&["H_NXZ"], "-Z -X"),
    (&["H_NYZ"], "-X -Y"),
    (&["H_XY"], "Y -Z"),
    (&["H_YZ"], "-X Y"),
    (&["S", "SQRT_Z"], "Y Z"),
    (&["S_DAG", "SQRT_Z_DAG"], "-Y Z"),
    (&["SQRT_X"], "X -Y"),
    (&["SQRT_X_DAG"], "X Y"),
    (&["SQRT_Y"], "-Z X"),
    (&["SQRT_Y_DAG"], "Z -X"),
    (&["II"], "XI ZI IX IZ"),
    (&["CX", "CNOT", "ZCX"], "XX ZI IX ZZ"),
    (&["CY", "ZCY"], "XY ZI ZX ZZ"),
    (&["CZ", "ZCZ"], "XZ ZI ZX IZ"),
    (&["XCX"], "XI ZX IX XZ"),
    (&["XCY"], "XI ZY XX XZ"),
    (&["XCZ"], "XI ZZ XX IZ"),
    (&["YCX"], "XX ZX IX YZ"),
    (&["YCY"], "XY ZY YX YZ"),
    (&["YCZ"], "XZ ZZ YX IZ"),
    (&["SWAP"], "IX IZ XI ZI"),
    (&["CXSWAP"], "XX IZ XI ZZ"),
    (&["SWAPCX"], "IX ZZ XX ZI"),
    (&["CZSWAP", "SWAPCZ"], "ZX IZ XZ ZI"),
    (&["ISWAP"], "ZY IZ YZ ZI"),
    (&["ISWAP_DAG"], "-ZY IZ -YZ ZI"),
    (&["SQRT_XX"], "XI -YX IX -XY"),
    (&["SQRT_XX_DAG"], "XI YX IX XY"),
    (&["SQRT_YY"], "-ZY XY -YZ YX"),
    (&["SQRT_YY_DAG"], "ZY -XY YZ -YX"),
    (&["SQRT_ZZ"], "YZ ZI ZY IZ"),
    (&["SQRT_ZZ_DAG"], "-YZ ZI -ZY IZ"),
];

static TABLE: LazyLock<HashMap<&'static str, Clifford>> = LazyLock::new(|| {
    let of = |&(names, images): &(&'static [&'static str], &str)| {
        let gate = Clifford::of_images(images)?;
        Some(names.iter().map(move |&name| (name, gate.clone())))
    };
    GATES.iter().filter_map(of).flatten().collect()
});

/// The gate of that name, in capitals.
#[must_use]
pub fn gate(name: &str) -> Option<&'static Clifford> {
    TABLE.get(name)
}

/// The names of all gates.
pub fn gate_names() -> impl Iterator<Item = &'static str> {
    GATES.iter().flat_map(|(names, _)| names.iter().copied())
}
