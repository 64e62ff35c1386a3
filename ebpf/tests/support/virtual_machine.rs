//! A machine that runs this very program as its process 1: an initial file system of the program, the libraries that it
//! needs and one kernel module, and QEMU around it.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a guest may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Boots a kernel (a folder with vmlinuz, and dummy.ko perhaps); gives what the guest wrote.
pub fn boot(kernel: &Path) -> String {
    let work = tempfile::tempdir().expect("directory");
    let root = work.path().join("root");
    let own = std::env::current_exe().expect("own path");
    for name in ["proc", "sys", "tmp", "dev"] {
        fs::create_dir_all(root.join(name)).expect("directory");
    }
    let init = root.join("init");
    // Without debug information, of which there is far more than program.
    run(Command::new("strip").arg("-o").arg(&init).arg(&own));
    for library in libraries(&own) {
        let to = root.join(library.trim_start_matches('/'));
        fs::create_dir_all(to.parent().expect("a folder")).expect("directory");
        fs::copy(&library, &to).expect("library");
    }
    if kernel.join("dummy.ko").exists() {
        fs::copy(kernel.join("dummy.ko"), root.join("dummy.ko")).expect("module");
    }
    let archive = work.path().join("initrd");
    let pack = "cd \"$1\" && find . | cpio --quiet -o -H newc >\"$2\"";
    run(Command::new("sh")
        .args(["-ec", pack, "sh"])
        .arg(&root)
        .arg(&archive));

    let mut machine = Command::new("qemu-system-x86_64")
        .args([
            "-accel",
            "tcg,thread=multi",
            "-cpu",
            "max",
            "-machine",
            "q35",
        ])
        .args(["-smp", "2", "-m", "512", "-nodefaults", "-display", "none"])
        .args(["-no-reboot", "-serial", "stdio", "-kernel"])
        .arg(kernel.join("vmlinuz"))
        .arg("-initrd")
        .arg(&archive)
        .arg("-append")
        .arg("console=ttyS0 quiet oops=panic panic=-1 lsm=landlock,lockdown,yama,bpf rdinit=/init")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("qemu");
    let mut output = machine.stdout.take().expect("its output");
    let reader = std::thread::spawn(move || {
        let mut said = Vec::new();
        output.read_to_end(&mut said).expect("output");
        said
    });
    let deadline = Instant::now() + PATIENCE;
    while machine.try_wait().expect("qemu").is_none() && !reader.is_finished() {
        if Instant::now() > deadline {
            println!("the guest is not done after {} s", PATIENCE.as_secs());
            machine.kill().expect("kill");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    machine.wait().expect("qemu");
    let said = reader.join().expect("output");
    String::from_utf8_lossy(&said).replace('\r', "")
}

/// What the program is linked with, and what links it.
fn libraries(program: &Path) -> Vec<String> {
    let output = Command::new("ldd").arg(program).output().expect("ldd");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = text.split_whitespace().filter(|word| word.starts_with('/'));
    words.map(str::to_owned).collect()
}

fn run(command: &mut Command) {
    let status = command.status().expect("a program");
    assert!(status.success(), "{command:?}: {status}");
}
