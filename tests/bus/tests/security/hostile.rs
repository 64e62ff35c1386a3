//! What programs of this very kernel do to be missed, or to have their words taken for the daemon's.

use crate::stage::{Stage, alert};
use futures_util::StreamExt;
use quantumos_dbus::Security1Proxy;
use security_ai::Settings;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

const RULE: &str = "title: Out of a test\nid: test\nlogsource: {category: process_creation}\n\
    detection:\n  s: {Image|contains: quantumos-hostile}\n  condition: s\nlevel: high\n";

#[tokio::test]
async fn hostile_names_and_arguments_become_an_alert_that_can_be_printed() {
    let stage = Stage::new(&[("r.yml", RULE)]);
    let Some(running) = stage.serve_on_this_kernel().await else {
        return;
    };
    let client = stage.bus.connect().await.unwrap();
    let security = Security1Proxy::new(&client).await.unwrap();
    let mut raised = security.receive_alert_raised().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let many = (0..10_000).map(|n| OsString::from(n.to_string()));
    let bytes = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    for (name, arguments, wanted) in [
        (
            &b"quantumos-hostile) R 1 1 (x"[..],
            vec![],
            "hostile) R 1 1 (x",
        ),
        (b"quantumos-hostile\n\x1b[2J\xff\xfe", vec![], "\\u{1b}[2J"),
        (
            b"quantumos-hostile",
            vec![
                bytes(b"a\nb"),
                bytes(b"\xff\xfe"),
                bytes("\u{202e}txt".as_bytes()),
            ],
            "a\\u{a}b",
        ),
        (b"quantumos-hostile-many", many.collect(), " 0 1 2 3 4 "),
    ] {
        let program: PathBuf = folder.path().join(bytes(name));
        std::fs::copy("/bin/true", &program).unwrap();
        let status = tokio::process::Command::new(&program)
            .args(arguments)
            .status();
        assert!(status.await.unwrap().success());
        let path = raised
            .next()
            .await
            .unwrap()
            .args()
            .unwrap()
            .alert
            .to_string();
        let one = alert(&client, &path).await;
        let mut texts = vec![
            one.executable().await.unwrap(),
            one.command_line().await.unwrap(),
            one.explanation().await.unwrap(),
        ];
        texts.extend(one.fields().await.unwrap().into_values());
        assert!(
            texts.iter().any(|text| text.contains(wanted)),
            "{wanted}: {texts:?}"
        );
        for text in &texts {
            assert!(!text.chars().any(char::is_control), "{text:?}");
            assert!(text.len() <= 64 * 1024, "{} bytes", text.len());
        }
    }
    assert_eq!(
        security.events_lost().await.unwrap(),
        0,
        "nothing was lost on the way"
    );
    running.stop().await;
}

#[tokio::test]
async fn rules_that_would_explode_are_named_and_the_others_stay() {
    let bomb = format!(
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n{}title: bomb\nid: bomb\n",
        (0..9)
            .map(|n| {
                let (this, last) = (char::from(b'b' + n), char::from(b'a' + n));
                format!(
                    "{this}: &{this} [{}*{last}]\n",
                    format!("*{last}, ").repeat(9)
                )
            })
            .collect::<String>()
    );
    let rule = |id: &str, test: &str| {
        format!(
            "title: {id}\nid: {id}\nlogsource: {{category: process_creation}}\ndetection:\n  s: {{CommandLine{test}}}\n  condition: s\n"
        )
    };
    let large = rule("large", "|re: '((a{1,100}){1,100}){1,100}'");
    let deep = format!(
        "title: deep\nid: deep\nx: {}{}\n",
        "[".repeat(5000),
        "]".repeat(5000)
    );
    let sound = rule("sound", "|re: '^(a+)+$'");
    let stage = Stage::new(&[
        ("bomb.yml", bomb.as_str()),
        ("deep.yml", &deep),
        ("large.yml", &large),
        ("sound.yml", &sound),
    ]);
    let running = stage.serve(Settings::default()).await;
    let client = stage.bus.connect().await.unwrap();
    let security = Security1Proxy::new(&client).await.unwrap();
    let rules = security.list_rules().await.unwrap();
    let failed: Vec<_> = rules.iter().filter(|row| row.3 == "failed").collect();
    let reasons: Vec<&str> = failed.iter().map(|row| row.4.as_str()).collect();
    assert_eq!(failed.len(), 3, "{rules:?}");
    for (file, word) in [
        ("bomb.yml", "alias"),
        ("deep.yml", "deep"),
        ("large.yml", "size"),
    ] {
        assert!(
            reasons
                .iter()
                .any(|reason| reason.contains(file) && reason.contains(word)),
            "{file}: {reasons:?}"
        );
    }
    // What would take a backtracking matcher for ever is over at once here, whether it matches or not.
    let mut raised = security.receive_alert_raised().await.unwrap();
    let almost = [&[b'a'; 3000][..], b"!\0"].concat();
    stage.source.give([
        crate::stage::exec(7, "/bin/x", &almost),
        crate::stage::exec(8, "/bin/x", &[&[b'a'; 3000][..], b"\0"].concat()),
    ]);
    let signal = raised.next().await.unwrap();
    let details = &signal.args().unwrap().details;
    assert_eq!(u32::try_from(&details["Pid"]).unwrap(), 8);
    running.stop().await;
}
