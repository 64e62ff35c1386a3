//! `quantumctl security respond`, `undo` and `responses`, against a double that has one response.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use quantumos_dbus::{Dictionary, Error};
use quantumos_harness::PrivateBus;
use serde_json::json;
use zbus::{Connection, OwnedObjectPath};

use crate::{ctl, services};

const ROOT: &str = "/org/quantumos/security/responses";

/// Target, grade and options of each call.
type Calls = Arc<Mutex<Vec<(Dictionary, String, Dictionary)>>>;

struct Responses1(Calls);
struct Response1(String);

#[zbus::interface(name = "org.quantumos.Responses1")]
impl Responses1 {
    fn respond(
        &self,
        target: Dictionary,
        grade: String,
        options: Dictionary,
    ) -> Result<OwnedObjectPath, Error> {
        self.0
            .lock()
            .unwrap()
            .push((target, grade.clone(), options));
        match grade.as_str() {
            "kill" => Err(Error::NotAuthorized("process 1 is the host's init".into())),
            _ => Ok(OwnedObjectPath::try_from(format!("{ROOT}/3")).unwrap()),
        }
    }

    fn plan(&self, target: Dictionary, grade: String, options: Dictionary) -> Dictionary {
        self.0.lock().unwrap().push((target, grade, options));
        HashMap::from([
            ("Allowed".into(), services::own(false)),
            ("Grade".into(), services::own("kill")),
            ("Refusal".into(), services::own("it is \x1b[2Jprotected")),
        ])
    }

    fn undo_all(&self) -> (u32, u32) {
        (2, 1)
    }
}

#[zbus::interface(name = "org.quantumos.Response1")]
impl Response1 {
    fn undo(&mut self) {
        self.0 = "undone".into();
    }
    #[zbus(property)]
    fn id(&self) -> String {
        "3".into()
    }
    #[zbus(property)]
    fn grade(&self) -> String {
        "freeze".into()
    }
    #[zbus(property)]
    fn scope(&self) -> String {
        "process".into()
    }
    #[zbus(property)]
    fn effect(&self) -> String {
        "process 7 (/x) is stopped".into()
    }
    #[zbus(property)]
    fn pid(&self) -> u32 {
        7
    }
    #[zbus(property)]
    fn start(&self) -> u64 {
        70
    }
    #[zbus(property)]
    fn executable(&self) -> String {
        "/x".into()
    }
    #[zbus(property)]
    fn unit(&self) -> String {
        String::new()
    }
    #[zbus(property)]
    fn reason(&self) -> String {
        String::new()
    }
    #[zbus(property)]
    fn evidence(&self) -> HashMap<String, String> {
        HashMap::from([("Level".into(), "high".into())])
    }
    #[zbus(property)]
    fn by(&self) -> String {
        "root".into()
    }
    #[zbus(property)]
    fn state(&self) -> String {
        self.0.clone()
    }
    #[zbus(property)]
    fn detail(&self) -> String {
        String::new()
    }

    #[zbus(property)]
    fn ledger(&self) -> HashMap<String, u64> {
        HashMap::from([("planned".into(), 4)])
    }
    #[zbus(property)]
    fn time(&self) -> u64 {
        1_763_726_400_000_000
    }
    #[zbus(property)]
    fn expires(&self) -> u64 {
        0
    }
}

async fn open(bus: &PrivateBus) -> (Connection, Calls) {
    let connection = services::open_security(bus).await;
    let calls = Calls::default();
    let server = connection.object_server();
    server.at(ROOT, zbus::fdo::ObjectManager).await.unwrap();
    server.at(ROOT, Responses1(calls.clone())).await.unwrap();
    let one = Response1("applied".into());
    server.at(format!("{ROOT}/3"), one).await.unwrap();
    (connection, calls)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_is_asked_for_shown_and_undone() {
    let bus = PrivateBus::start().unwrap();
    let (_security, calls) = open(&bus).await;
    let words = "security respond freeze --pid 7 --start 70 --scope process --for 15m --reason odd";
    let words: Vec<&str> = words.split(' ').collect();
    let run = ctl::run(&bus, &words).await;
    assert_eq!(
        run.out,
        "3: freeze applied: process 7 (/x) is stopped\nundo: quantumctl security undo 3\n"
    );
    let (target, grade, options) = calls.lock().unwrap().remove(0);
    assert_eq!(grade, "freeze");
    let wanted = HashMap::from([
        ("pid".to_owned(), services::own(7_u32)),
        ("start".to_owned(), services::own(70_u64)),
    ]);
    assert_eq!(target, wanted);
    let wanted = HashMap::from([
        ("scope".to_owned(), services::own("process")),
        ("seconds".to_owned(), services::own(900_u32)),
        ("reason".to_owned(), services::own("odd")),
    ]);
    assert_eq!(options, wanted);

    let run = ctl::run(&bus, &["security", "responses", "--json"]).await;
    let listed = run.json();
    assert_eq!(listed["responses"][0]["state"], "applied");
    assert_eq!(listed["responses"][0]["evidence"], json!({"Level": "high"}));
    assert_eq!(listed["responses"][0]["path"], format!("{ROOT}/3"));
    assert_eq!(ctl::run(&bus, &["security", "undo", "3"]).await.code, 0);
    let run = ctl::run(&bus, &["security", "responses", "3"]).await;
    assert!(run.out.contains("State:    undone\n"), "{run:?}");
    let run = ctl::run(&bus, &["security", "responses", "--in-force"]).await;
    assert_eq!(run.out, "no responses\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_says_so() {
    let bus = PrivateBus::start().unwrap();
    let (_security, _) = open(&bus).await;
    let run = ctl::run(&bus, &["security", "respond", "kill", "--pid", "1"]).await;
    assert_eq!(run.code, 4, "{run:?}");
    let dry = ["security", "respond", "kill", "--pid", "1", "--dry-run"];
    let run = ctl::run(&bus, &dry).await;
    assert_eq!(
        run.out,
        "Grade:     kill\nWould do:  nothing: it is \\x1b[2Jprotected\n"
    );
    let run = ctl::run(&bus, &["security", "undo", "4"]).await;
    assert_eq!(
        (run.code, run.err.as_str()),
        (
            5,
            "quantumctl: no response has the id \"4\"; see: quantumctl security responses\n"
        )
    );
    let run = ctl::run(&bus, &["security", "undo", "--all"]).await;
    assert_eq!(
        (run.code, run.out.as_str()),
        (1, "2 undone, 1 could not be\n")
    );
    for wrong in [
        &["security", "respond", "kill"][..],
        &[
            "security",
            "respond",
            "kill",
            "--pid",
            "1",
            "--unit",
            "a.service",
        ],
        &["security", "respond", "freeze", "--pid", "1", "--for", "15"],
        &["security", "undo"],
    ] {
        assert_eq!(ctl::run(&bus, wrong).await.code, 2, "{wrong:?}");
    }
}
