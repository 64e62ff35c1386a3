//! `quantumctl learn`.

use quantumos_harness::PrivateBus;
use serde_json::json;

use crate::{ctl, learner};

#[tokio::test(flavor = "multi_thread")]
async fn models_are_listed_trained_and_rolled_back() {
    let bus = PrivateBus::start().unwrap();
    let _learn = learner::learn(&bus).await;
    let run = ctl::run(&bus, &["learn", "status"]).await;
    assert!(run.out.contains("1200 (1000 needed)"), "{run:?}");
    let run = ctl::run(&bus, &["learn", "models"]).await;
    assert_eq!(run.code, 0);
    let line = run.out.lines().nth(2).unwrap().split_whitespace();
    assert_eq!(line.last(), Some("published"), "{run:?}");
    let models = ctl::run(&bus, &["learn", "models", "--json"]).await.json();
    assert_eq!(models["models"][1]["auc"], 0.97);
    let train = ctl::run(&bus, &["learn", "train", "--json"]).await.json();
    let wanted = json!({"serial": 0, "published": false, "reason": "not better than model 2"});
    assert_eq!(train, wanted);
    for (arguments, published) in [
        (&["learn", "rollback"][..], 1),
        (&["learn", "rollback", "7"], 7),
    ] {
        let run = ctl::run(&bus, arguments).await;
        assert_eq!(run.out, format!("model {published} is in force\n"));
    }
    let run = ctl::run(&bus, &["learn", "rollback", "9"]).await;
    assert!(
        run.code != 0 && run.err.contains("there is no model 9"),
        "{run:?}"
    );
}
