//! security-ai with everything that it can load: the public corpus and our own rules, a model, every output. The files
//! are the same on this machine and in a guest.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ai_learnd::trainer;
use quantumos_dbus::{Service1Proxy, bus_name, path};
use quantumos_harness::PrivateBus;
use quantumos_harness::bus::die_with_parent;
use quantumos_learn::manifest::{FORMAT, File, Manifest, SIGNATURE_CONTEXT, Source};
use quantumos_learn::{Window, features, onnx};
use quantumos_pqc::{Secret, SigningKey, sha256_hex};

use crate::learn::{SEED, window};
use crate::process::{Served, proportional_share};
use crate::{Failure, Print};

/// Windows that the model learns from: as many as ai-learnd keeps.
const WINDOWS: u64 = 10_000;
/// How long the daemon may take to load it all.
const PATIENCE: Duration = Duration::from_secs(60);

/// All files by their path on a host; the collector of alerts is where `collector` says.
pub fn files(collector: &str) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let mut files = Vec::new();
    let rules = "/usr/lib/quantumos/security-ai/rules.d";
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let data = std::env::var_os("QUANTUMOS_DATA").map_or(top.join("../shared/data"), PathBuf::from);
    let mut texts = Vec::new();
    super::rules::collect(&super::pack(), &mut texts)?;
    if data.join("sigma-linux").is_dir() {
        super::rules::collect(&data.join("sigma-linux"), &mut texts)?;
    } else {
        eprintln!("skipped: no data sigma-linux; the rules are our own pack alone");
    }
    for (number, (_, text)) in texts.into_iter().enumerate() {
        files.push((format!("{rules}/{number:03}.yml"), text.into_bytes()));
    }
    let folder = "/etc/quantumos/security-ai";
    for (name, bytes) in model()? {
        files.push((format!("{folder}/{name}"), bytes));
    }
    let text = format!(
        "[file]\nenabled = true\n[metrics]\nenabled = true\n[otlp]\nendpoint = \"{collector}\"\n[windows]\nseconds = 2\n"
    );
    files.push(("/etc/quantumos/security-ai.toml".into(), text.into_bytes()));
    Ok(files)
}

/// Where the model is, in the configuration's words, below a root.
pub fn place(root: &Path) -> String {
    let folder = root.join("etc/quantumos/security-ai");
    format!(
        "[model]\ndirectory = {:?}\ntrusted = [{:?}]\nenroll = false\n",
        folder.join("model"),
        folder.join("trusted.d")
    )
}

/// A model of forty units, signed, and the key that signed it.
fn model() -> Result<Vec<(&'static str, Vec<u8>)>, Failure> {
    let windows: Vec<Window> = (0..WINDOWS).map(window).collect();
    let (windows, from) = trainer::split(windows);
    let candidate = trainer::train(&windows, from, SEED, 0.001)?;
    let (older, newer) = windows.split_at(from);
    let network = onnx::write(&candidate.trained.density);
    let profile = candidate.trained.profile.write();
    let file = |bytes: &[u8]| File {
        size: bytes.len() as u64,
        sha256: sha256_hex(bytes),
    };
    let manifest = Manifest {
        format: FORMAT,
        serial: 1,
        trained_at: 1,
        architecture: "mixture of normal distributions".into(),
        signer: "0".into(),
        seed: SEED,
        threshold: candidate.threshold,
        false_positive_rate: 0.001,
        features: features::names(&features::HOST),
        model: file(&network),
        profile: file(&profile),
        training: with_digest(candidate.training, older),
        held_out: with_digest(candidate.held_out, newer),
        figures: candidate.figures,
        baseline: candidate.trained.baseline,
    };
    let text = toml::to_string(&manifest)?;
    let key = SigningKey::from_seed(&Secret::from_slice("seed", &[7; 32])?)?;
    let signature = key.sign(text.as_bytes(), SIGNATURE_CONTEXT)?;
    Ok(vec![
        ("model/manifest.toml", text.into_bytes()),
        ("model/manifest.toml.sig", signature.as_bytes().to_vec()),
        ("model/model.onnx", network),
        ("model/profile.bin", profile),
        ("trusted.d/bench.pub", key.public_key().as_bytes().to_vec()),
    ])
}

/// Windows as ai-learnd names them in a manifest.
fn with_digest(source: Source, windows: &[Window]) -> Source {
    let starts = windows.iter().flat_map(|window| window.start.to_le_bytes());
    Source {
        sha256: sha256_hex(&starts.collect::<Vec<u8>>()),
        ..source
    }
}

/// The proportional share of the daemon's memory on this machine, with everything loaded and events coming.
pub fn on_this_machine(print: Print<'_>) -> Result<(), Failure> {
    let program = std::env::current_exe()?.with_file_name("security-ai");
    if !program.exists() {
        eprintln!("skipped: no {}; make bench builds it", program.display());
        return Ok(());
    }
    let root = tempfile::tempdir()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let collector = format!("http://{}/v1/logs", listener.local_addr()?);
    std::thread::spawn(move || collect(&listener));
    for (name, bytes) in files(&collector)? {
        let file = root.path().join(name.trim_start_matches('/'));
        std::fs::create_dir_all(file.parent().ok_or("a file without a folder")?)?;
        std::fs::write(file, bytes)?;
    }
    let settings = root.path().join("etc/quantumos/security-ai.toml");
    let mut settings = std::fs::File::options().append(true).open(settings)?;
    settings.write_all(place(root.path()).as_bytes())?;
    let [state, runtime] = ["state", "runtime"].map(|name| root.path().join(name));
    std::fs::create_dir(&state)?;
    std::fs::create_dir(&runtime)?;
    let bus = PrivateBus::start()?;
    let mut command = Command::new(program);
    command
        .args(["--bus", bus.address(), "--config-root"])
        .arg(root.path())
        .arg("--state-directory")
        .arg(&state)
        .arg("--runtime-directory")
        .arg(&runtime)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    die_with_parent(&mut command);
    let served = Served(command.spawn()?);
    let runtime = tokio::runtime::Runtime::new()?;
    let problems = runtime.block_on(loaded(&bus))?;
    eprintln!("security.memory: with everything loaded; problems: {problems:?}");
    print(
        "security.memory.pss",
        proportional_share(served.0.id())?,
        "MiB",
        "",
        None,
    );
    Ok(())
}

/// Waits for rules and model, and keeps the machine busy until then; what the daemon complains about.
async fn loaded(bus: &PrivateBus) -> Result<Vec<String>, Failure> {
    let client = bus.connect().await?;
    let service = Service1Proxy::new(&client, bus_name::SECURITY, path::SECURITY).await?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        for _ in 0..20 {
            Command::new("/bin/true").stdin(Stdio::null()).status()?;
        }
        let said = service.describe().await.unwrap_or_default();
        if said.contains("threshold") {
            return Ok(service.problems().await?);
        }
        if Instant::now() > deadline {
            return Err(format!("no model is in use: {said}").into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Takes what an exporter sends, and says that it is well.
fn collect(listener: &TcpListener) {
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { return };
        let mut bytes = [0; 65_536];
        while stream.read(&mut bytes).is_ok_and(|count| count > 0) {
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            if stream.write_all(answer).is_err() {
                break;
            }
        }
    }
}
