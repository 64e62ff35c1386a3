//! Compiles the probes with clang and generates the layout that both sides share.

#[path = "build/layout.rs"]
mod layout;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const PROBES: [&str; 3] = ["scheduler", "security", "deny_cost"];

fn main() {
    if let Err(error) = build() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn build() -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let source = Path::new("probes");
    println!("cargo::rerun-if-changed=probes");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-env-changed=CLANG");

    let header = fs::read_to_string(source.join("events.h"))
        .map_err(|error| format!("probes/events.h: {error}"))?;
    let layout = layout::Layout::parse(&header)?;
    let write = |name: &str, text: String| {
        fs::write(out.join(name), text).map_err(|error| format!("{name}: {error}"))
    };
    write("layout.rs", layout.rust())?;
    write("layout_check.h", layout.assertions())?;

    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    for probe in PROBES {
        compile(&clang, source, probe, &out)?;
    }
    Ok(())
}

fn compile(clang: &str, source: &Path, probe: &str, out: &Path) -> Result<(), String> {
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let (define, multiarch) = match arch.as_str() {
        "x86_64" => ("-D__TARGET_ARCH_x86", "x86_64-linux-gnu"),
        "aarch64" => ("-D__TARGET_ARCH_arm64", "aarch64-linux-gnu"),
        other => return Err(format!("the probes know no pt_regs layout for {other}")),
    };
    let output = Command::new(clang)
        .args(["-target", "bpf", "-mcpu=v3", "-O2", "-g", "-std=gnu11"])
        .args([
            "-Wall",
            "-Wextra",
            "-Werror",
            "-Wno-unused-parameter",
            define,
        ])
        .arg(format!("-I/usr/include/{multiarch}"))
        .arg("-I")
        .arg(source)
        .arg("-include")
        .arg(out.join("layout_check.h"))
        // No build path in the debug information: the object is the same wherever it is built.
        .arg(format!(
            "-ffile-prefix-map={}=",
            env::var("CARGO_MANIFEST_DIR").unwrap_or_default()
        ))
        .arg(format!("-ffile-prefix-map={}=", out.display()))
        .arg("-c")
        .arg(source.join(format!("{probe}.bpf.c")))
        .arg("-o")
        .arg(out.join(format!("{probe}.bpf.o")))
        .output()
        .map_err(|error| {
            format!(
                "cannot run `{clang}` to compile the eBPF probes: {error}. Install the packages \
                 clang (14 or later) and libbpf-dev, or name a compiler in CLANG."
            )
        })?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let hint = if stderr.contains("bpf/bpf_helpers.h") {
        "\nThe headers come with the package libbpf-dev."
    } else {
        ""
    };
    Err(format!(
        "{clang} does not compile probes/{probe}.bpf.c:\n{stderr}{hint}"
    ))
}
