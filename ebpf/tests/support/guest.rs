//! Process 1 of a guest: loads the probes three times (with the best hooks, without security hooks, with
//! tracepoints only), does every action each time, says what it saw, and switches the machine off.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::libc;
use quantumos_ebpf::{
    Access, Action, Class, Denial, Event, Pattern, Rings, SecurityProbes, Settings, Watch,
};

use crate::fire::Range;
use crate::support;

/// What the line has that says that the first programs are loaded.
pub const LOADED: &str = ": loaded in ";
/// The line that says that all went well.
pub const GOOD: &str = "guest: all is well";

/// Runs all, and ends the machine.
pub fn run() -> ! {
    if std::env::args().nth(1).as_deref() == Some("sleep") {
        std::thread::sleep(Duration::from_secs(600));
    }
    let outcome = std::panic::catch_unwind(|| {
        mount();
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("release");
        println!("guest: Linux {}", release.trim());
        let mut good = true;
        for (name, security_hooks, function_hooks) in [
            ("best", true, true),
            ("functions", false, true),
            ("tracepoints", false, false),
        ] {
            good &= pass(name, security_hooks, function_hooks);
        }
        good
    });
    if matches!(outcome, Ok(true)) {
        println!("{GOOD}");
    }
    // SAFETY: numbers only; nothing is left to lose.
    unsafe {
        libc::sync();
        libc::reboot(libc::LINUX_REBOOT_CMD_POWER_OFF);
        libc::reboot(libc::LINUX_REBOOT_CMD_RESTART);
    }
    loop {
        std::thread::park();
    }
}

fn mount() {
    for (kind, at) in [
        (c"proc", c"/proc"),
        (c"sysfs", c"/sys"),
        (c"tmpfs", c"/tmp"),
        (c"devtmpfs", c"/dev"),
    ] {
        // SAFETY: constant strings.
        let done = unsafe {
            libc::mount(
                kind.as_ptr(),
                at.as_ptr(),
                kind.as_ptr(),
                0,
                std::ptr::null(),
            )
        };
        assert_eq!(done, 0, "{at:?}: {}", std::io::Error::last_os_error());
    }
    // The loopback interface, up.
    // SAFETY: a request of the right size, with a name that ends.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0);
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as libc::c_char;
        request.ifr_name[1] = b'o' as libc::c_char;
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
        assert_eq!(libc::ioctl(socket, libc::SIOCSIFFLAGS, &request), 0);
        libc::close(socket);
    }
}

fn sleeper() -> Command {
    let mut command = Command::new("/init");
    command.arg("sleep");
    command
}

fn pass(name: &str, security_hooks: bool, function_hooks: bool) -> bool {
    let range = Range {
        directory: PathBuf::from("/tmp").join(name),
        sleeper,
        module: Some(PathBuf::from("/dummy.ko")).filter(|path| path.exists()),
    };
    fs::create_dir(&range.directory).expect("directory");
    let watched = Watch {
        pattern: Pattern::Path(range.watched().into_os_string().into_encoded_bytes()),
        access: Access::Write,
    };
    let settings = Settings {
        ignore_self: false,
        security_hooks,
        function_hooks,
        watches: vec![watched],
        ..Settings::default()
    };
    let started = Instant::now();
    let mut probes = match SecurityProbes::load(&settings) {
        Ok(probes) => probes,
        Err(error) => {
            println!("guest: {name}: FAILED to load: {error}");
            return false;
        }
    };
    println!("guest: {name}{LOADED}{} ms", started.elapsed().as_millis());
    let mut good = true;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("release");
    let old = release.starts_with("5.");
    let mut covered = Vec::new();
    for row in probes.coverage() {
        covered.extend(row.action.filter(|_| row.state.delivers()));
        println!(
            "guest: {name}: {:24} {:10} {:40} {}",
            row.name(),
            row.state,
            row.hook,
            row.reason
        );
        good &= row.state.delivers();
        // Where functions can be hooked, no call has to pay for what only some do. The functions of 5.10 have
        // arguments that its verifier does not take.
        if function_hooks && !old && row.hook.contains("sys_exit") {
            println!(
                "guest: {name}: {}: FAILED, no better hook than the end of all calls",
                row.name()
            );
            good = false;
        }
    }
    let programs = probes.statistics().expect("statistics");
    let verified = programs
        .iter()
        .map(|one| (one.verified_instructions.unwrap_or(0), one.program));
    let heaviest = verified.clone().max().unwrap_or_default();
    let sum: u32 = verified.map(|(count, _)| count).sum();
    println!(
        "guest: {name}: {} programs, {sum} instructions verified, most {heaviest:?}",
        programs.len()
    );
    good &= heaviest.0 < 100_000;
    let mut rings = probes.take_rings().expect("rings");
    for action in covered {
        good &= shoot(name, &range, action, &mut rings);
    }
    good &= programs_and_files(name, &range, &mut rings);
    good &= refusal(name, &range, &mut probes, &mut rings);
    let changed = probes.verify().expect("maps");
    if !changed.is_empty() {
        println!("guest: {name}: FAILED, not as it was: {changed:?}");
        good = false;
    }
    let lost: u64 = probes.lost().expect("counters").values().sum();
    println!("guest: {name}: {lost} events lost");
    good && lost == 0
}

fn shoot(name: &str, range: &Range, action: Action, rings: &mut Rings) -> bool {
    // A module stays loaded.
    if action == Action::Module && name != "best" {
        return true;
    }
    let check = match range.fire(action) {
        Ok(check) => check,
        Err(error) => {
            println!("guest: {name}: {action}: FAILED, could not be done: {error}");
            return false;
        }
    };
    let mut near = Vec::new();
    let found = wait(rings, &mut |event| match event {
        Event::Action(event) if event.action == action => {
            near.push(format!("{event:?}"));
            check(event)
        }
        _ => false,
    });
    if !found {
        println!("guest: {name}: {action}: FAILED, not seen; {near:?}");
    }
    found
}

/// Programs with what they have, opens and connections, as the other tests look at more closely.
fn programs_and_files(name: &str, range: &Range, rings: &mut Rings) -> bool {
    let mut child = sleeper();
    let mut child = child
        .arg("a\nb")
        .args((0..10_000).map(|n| n.to_string()))
        .spawn()
        .expect("spawn");
    let pid = child.id();
    let exec = wait(rings, &mut |event| match event {
        Event::Exec(exec) if exec.context.process.pid == pid => {
            exec.executable == b"/init"
                && exec.argc == 10_003
                && exec.argv_truncated
                && exec.argv.starts_with(b"/init\0sleep\0a\nb\x000\0")
                && exec
                    .ancestors
                    .first()
                    .is_some_and(|parent| parent.process.pid == 1)
        }
        _ => false,
    });
    child.kill().expect("kill");
    child.wait().expect("wait");
    let exit = wait(rings, &mut |event| match event {
        Event::Exit(exit) => exit.context.process.pid == pid && exit.signal == Some(9),
        _ => false,
    });
    let path = range.watched();
    drop(fs::File::create(&path).expect("create"));
    let open = wait(rings, &mut |event| match event {
        Event::Open(open) => open.path == path.as_os_str().as_encoded_bytes() && open.write,
        _ => false,
    });
    let port = {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("listen");
        let port = listener.local_addr().expect("address").port();
        drop(std::net::TcpStream::connect(("127.0.0.1", port)).expect("connect"));
        port
    };
    let connect = wait(rings, &mut |event| match event {
        Event::Connect(connect) => connect.port == port,
        _ => false,
    });
    for (class, seen) in [
        (Class::Exec, exec),
        (Class::Exit, exit),
        (Class::Open, open),
        (Class::Connect, connect),
    ] {
        if !seen {
            println!("guest: {name}: {class}: FAILED, not seen");
        }
    }
    exec && exit && open && connect
}

/// An execution is refused where security hooks fire, and is not refused any more afterwards.
fn refusal(name: &str, range: &Range, probes: &mut SecurityProbes, rings: &mut Rings) -> bool {
    if let Err(reason) = probes.can_deny() {
        println!("guest: {name}: nothing can be refused: {reason}");
        return true;
    }
    let program = range.directory.join("program");
    fs::copy("/init", &program).expect("copy");
    let meta = fs::metadata(&program).expect("metadata");
    let denial = Denial::File {
        inode: meta.ino(),
        device_major: nix::sys::stat::major(meta.dev()) as u32,
        device_minor: nix::sys::stat::minor(meta.dev()) as u32,
        cgroup: None,
    };
    let run = || {
        let child = Command::new(&program).arg("sleep").spawn();
        child.and_then(|mut child| child.kill().and_then(|()| child.wait()))
    };
    probes.deny(denial).expect("deny");
    let refused = run().is_err();
    let told = wait(rings, &mut |event| match event {
        Event::Action(event) => {
            event.action == Action::Denied && event.path == program.as_os_str().as_encoded_bytes()
        }
        _ => false,
    });
    probes.allow(denial).expect("allow");
    let again = run().is_ok();
    if !(refused && told && again) {
        println!("guest: {name}: FAILED, refused {refused}, told {told}, allowed again {again}");
    }
    refused && told && again
}

/// Whether an event comes within some seconds.
fn wait(rings: &mut Rings, wanted: &mut dyn FnMut(&Event) -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(4);
    let mut found = false;
    loop {
        rings.drain(4096, &mut |event| found |= wanted(&event));
        let left = deadline.saturating_duration_since(Instant::now());
        if found || left.is_zero() {
            return found;
        }
        support::wait(rings, left);
    }
}
