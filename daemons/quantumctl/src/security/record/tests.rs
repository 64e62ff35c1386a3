//! Recordings that end well and those that do not, over real pipes and a real full disk.

use super::*;

const LAST: &str = "{\"end\":{\"started_at\":1,\"ended_at\":2,\"events\":2,\"dropped\":3}}\n";

fn pipe(text: &str) -> OwnedFd {
    let (reader, writer) = nix::unistd::pipe().unwrap();
    File::from(writer).write_all(text.as_bytes()).unwrap();
    reader
}

fn whole() -> Ended {
    Ended::Whole(End {
        started_at: 1,
        ended_at: 2,
        dropped: 3,
    })
}

#[tokio::test]
async fn what_is_no_event_is_not_kept_and_a_torn_line_is_cut_off() {
    for (written, kept, dropped) in [
        (
            format!("{{\"a\":1}}\n{{\"a\":2}}\n{LAST}"),
            "{\"a\":1}\n{\"a\":2}\n",
            None,
        ),
        // The service was killed, once after it had told that something was missing.
        ("{\"a\":1}\n{\"a\"".to_owned(), "{\"a\":1}\n", Some(0)),
        (
            "{\"dropped\":7}\n{\"a\":1}\n".to_owned(),
            "{\"a\":1}\n",
            Some(7),
        ),
        (String::new(), "", Some(0)),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("capture");
        let mut file = create(&path).unwrap();
        let ended = copy(pipe(&written), &mut file, &mut Signals::new().unwrap()).await;
        keep_whole_lines(&mut file).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), kept);
        let mut manifest = blank(None);
        let failure = describe(&mut manifest, ended, &path).unwrap();
        assert_eq!(failure.is_some(), dropped.is_some());
        assert_eq!(manifest.complete, dropped.is_none());
        assert_eq!(manifest.events, kept.matches('\n').count() as u64);
        match dropped {
            None => assert_eq!((manifest.dropped, manifest.dropped_at_least), (Some(3), 3)),
            Some(least) => {
                assert_eq!((manifest.dropped, manifest.dropped_at_least), (None, least));
                let part = manifest.part().unwrap();
                assert!(part.starts_with("security-ai ended; "), "{part}");
                assert_eq!(part.contains("at least 7"), least == 7, "{part}");
            }
        }
    }
}

#[tokio::test]
async fn a_full_disk_ends_it_and_what_is_there_is_described() {
    // The kernel's own full disk; what was written before is kept by the file that the test gives.
    let mut full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ended = copy(pipe("{\"a\":1}\n"), &mut full, &mut Signals::new().unwrap()).await;
    let Ended::Early {
        reason, is_wanted, ..
    } = &ended
    else {
        panic!("{ended:?}");
    };
    assert!(reason.contains("No space left") && !is_wanted, "{reason}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("capture");
    let mut file = create(&path).unwrap();
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(200_000));
    file.write_all(format!("{long}\n{long}\n{}", &long[..70_000]).as_bytes())
        .unwrap();
    keep_whole_lines(&mut file).unwrap();
    let mut beside = Beside::create(&path, blank(None)).unwrap();
    // Until the manifest is replaced, whoever replays knows that the recording did not end.
    let part = manifest::part(&path).unwrap();
    assert!(part.starts_with("its recording did not end"), "{part}");
    assert!(
        describe(&mut beside.manifest, ended, &path)
            .unwrap()
            .is_some()
    );
    let room = std::fs::metadata(manifest::path_of(&path)).unwrap().len();
    let text = beside.replace().unwrap();
    assert!(
        (text.len() as u64) < room,
        "it needs no room that it has not"
    );
    assert_eq!(beside.manifest.events, 2);
    let part = manifest::part(&path).unwrap();
    assert!(part.contains("No space left"), "{part}");
    let text = shown(&beside.manifest, &TimeZone::UTC);
    assert!(
        text.contains("2 events from") && text.contains("\nonly a part: "),
        "{text}"
    );
}

#[tokio::test]
async fn a_recording_that_ends_is_whole_but_for_what_was_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("capture");
    let mut file = create(&path).unwrap();
    let mut beside = Beside::create(&path, blank(None)).unwrap();
    let ended = copy(pipe(LAST), &mut file, &mut Signals::new().unwrap()).await;
    assert_eq!(ended, whole());
    assert!(
        describe(&mut beside.manifest, ended, &path)
            .unwrap()
            .is_none()
    );
    beside.replace().unwrap();
    assert_eq!(
        manifest::part(&path).as_deref(),
        Some("3 events were dropped")
    );
    beside.manifest.dropped = Some(0);
    beside.replace().unwrap();
    assert_eq!(manifest::part(&path), None);
    std::fs::write(manifest::path_of(&path), "{").unwrap();
    assert!(manifest::part(&path).unwrap().contains("can't be read"));
    beside.remove();
    assert_eq!(manifest::part(&path), None);
}

#[test]
fn a_recording_takes_a_time_with_an_end() {
    for (text, wanted) in [
        ("90s", Some(90)),
        ("15m", Some(900)),
        ("1d", Some(86_400)),
        ("2d", None),
        ("never", None),
        ("60", None),
    ] {
        assert_eq!(span(text).ok(), wanted, "{text}");
    }
}
