//! Containers by quantumctl and a real quantumd, and what is left of them when nothing runs.

#![allow(clippy::panic, clippy::unwrap_used)] // a test says so by failing

#[path = "support/ctl.rs"]
mod support;

use quantumd::Quantumd;
use quantumos_harness::{PrivateBus, Swtpm};
use support::ctl;

/// Sealed under a new waveform, signed by a key that the TPM seals, and read without any service.
#[tokio::test(flavor = "multi_thread")]
async fn containers_have_a_history_that_verifies_offline() {
    let bus = PrivateBus::start().unwrap();
    let root = tempfile::tempdir().unwrap();
    let tpm = Swtpm::start().unwrap();
    let mut settings = quantumd::Settings::default();
    settings.tpm.tcti = tpm.tcti();
    let running = bus.serve::<Quantumd>(root.path(), settings).await.unwrap();
    let (code, _) = ctl(&bus, &["keys", "create", "author"]).await;
    assert_eq!(code, 0);
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("data"), vec![7; 300_000]).unwrap();
    let (data, wave) = (path("data"), path("wave"));
    let (first, second) = (path("first"), path("second"));
    let create = [
        "container",
        "create",
        &data,
        "--key",
        "author",
        "--memory",
        "1",
    ];
    let new = [
        "--new-waveform",
        &wave,
        "--output",
        &first,
        "--author",
        "Ada",
    ];
    let (code, made) = ctl(&bus, &[&create[..], &new].concat()).await;
    assert_eq!((code, &made["signed"]), (0, &true.into()), "{made}");
    let child = ["--waveform", &wave, "--parent", &first, "--output", &second];
    let (code, child) = ctl(&bus, &[&create[..], &child].concat()).await;
    assert_eq!((code, &child["parent"]), (0, &made["id"]), "{child}");
    // A waveform like the manual's example is refused, unless insisted on.
    std::fs::write(path("weak"), "0.1 0.5 0.9 0.5 0.1").unwrap();
    let (weak, third) = (path("weak"), path("third"));
    let by_weak = ["--waveform", &weak, "--output", &third];
    let (code, error) = ctl(&bus, &[&create[..], &by_weak].concat()).await;
    assert_eq!((code, &error["error"]["name"]), (2, &"weak".into()));
    let (code, marked) = ctl(&bus, &[&create[..], &by_weak, &["--insist"]].concat()).await;
    assert_eq!((code, &marked["weak"]), (0, &true.into()));
    // The five numbers of a signature, made there and checked here.
    let (signature, public) = (path("signature"), path("public"));
    let sign = [
        "wave", "sign5d", &data, "--key", "author", "--output", &signature,
    ];
    let (code, five) = ctl(&bus, &sign).await;
    assert_eq!(code, 0, "{five}");
    let (code, _) = ctl(&bus, &["keys", "public", "author", "--output", &public]).await;
    assert_eq!(code, 0);
    running.stop().await;

    let open = ["container", "open", &second, "--waveform", &wave];
    let back = path("back");
    let (code, _) = ctl(&bus, &[&open[..], &["--output", &back]].concat()).await;
    assert_eq!(code, 0);
    assert_eq!(std::fs::read(&back).unwrap(), vec![7; 300_000]);
    let (code, verified) = ctl(&bus, &["container", "verify", &second, "--waveform", &wave]).await;
    assert_eq!((code, &verified["coherent"]), (0, &true.into()));
    let chain = serde_json::json!([child["id"], made["id"]]);
    assert_eq!(verified["chain"], chain);
    let (_, list) = ctl(&bus, &["container", "list", place.path().to_str().unwrap()]).await;
    assert_eq!(list["containers"].as_array().unwrap().len(), 3);
    let check = [
        "wave",
        "sign5d",
        &data,
        "--signature",
        &signature,
        "--public-key",
        &public,
    ];
    let (code, checked) = ctl(&bus, &check).await;
    assert_eq!((code, &checked["digest"]), (0, &five["digest"]));

    // Every kind of wrong has a name, and nothing comes out.
    let whole = std::fs::read(&second).unwrap();
    let mut altered = whole.clone();
    *altered.last_mut().unwrap() ^= 1;
    let mut forged = whole.clone();
    forged[12] ^= 1;
    let refused = path("refused");
    for (bytes, waveform, name) in [
        (&whole, &weak, "wrong-key"),
        (&altered, &wave, "cut-or-altered"),
        (&whole[..whole.len() - 1].to_vec(), &wave, "cut-or-altered"),
        (&whole[..100].to_vec(), &wave, "truncated"),
        (&forged, &wave, "bad-signature"),
        (&b"something else".to_vec(), &wave, "foreign"),
    ] {
        std::fs::write(&refused, bytes).unwrap();
        let open = ["container", "open", &refused, "--waveform", waveform];
        let (code, error) = ctl(&bus, &open).await;
        assert_eq!(
            (code, &error["error"]["name"]),
            (7, &name.into()),
            "{error}"
        );
        let (code, _) = ctl(&bus, &[&open[..], &["--output", &path("none")]].concat()).await;
        assert_eq!(code, 7);
        assert!(!std::fs::exists(path("none")).unwrap());
    }
    std::fs::write(&refused, &altered).unwrap();
    let (code, error) = ctl(&bus, &["container", "verify", &refused]).await;
    assert_eq!((code, &error["error"]["name"]), (7, &"damaged".into()));
    // Without the parent the history can't be shown.
    let lone = tempfile::tempdir().unwrap();
    std::fs::copy(&second, lone.path().join("second")).unwrap();
    let lone = lone.path().join("second");
    let (code, error) = ctl(&bus, &["container", "verify", lone.to_str().unwrap()]).await;
    assert_eq!((code, &error["error"]["name"]), (5, &"chain".into()));
}
