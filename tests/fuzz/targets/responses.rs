//! The record of responses after somebody had it: what is read is written and read again the same, the rest is said.
#![no_main]

use std::{fs, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use security_ai::response::due::{Due, Dues, Mark};
use security_ai::response::history::History;
use security_ai::response::record::Response;
use security_ai::response::store::{Page, Store};

static FOLDERS: LazyLock<[tempfile::TempDir; 2]> =
    LazyLock::new(|| [(); 2].map(|()| tempfile::tempdir().expect("a directory")));

struct Known {
    history: History,
    dues: Dues,
    store: Store,
    said: Vec<String>,
}

fn read() -> Known {
    let [disk, memory] = &*FOLDERS;
    let (mut history, mut dues) = (History::new(100), Dues::default());
    let (store, said) = Store::open(disk.path(), memory.path(), &mut history, &mut dues);
    Known {
        history,
        dues,
        store,
        said,
    }
}

fn all(known: &Known) -> (Vec<Response>, u64, Vec<Due>, Mark) {
    let responses = known.history.all().cloned().collect();
    let (next, dues) = (known.history.next(), known.dues.to_write(true));
    (responses, next, dues, known.dues.mark())
}

fuzz_target!(|bytes: &[u8]| {
    fs::write(FOLDERS[0].path().join("responses.jsonl"), bytes).expect("the file");
    let mut first = read();
    let (responses, next, dues, mark) = all(&first);
    assert!(responses.iter().all(|response| response.id < next));
    assert!(
        dues.iter()
            .all(|due| due.number >= mark.recorded && due.number < mark.next)
    );
    let page = Page {
        responses: responses.clone(),
        next,
        dues: dues.clone(),
        mark,
    };
    first.store.write(&page, true).expect("a file to write");
    let again = read();
    assert!(again.said.is_empty(), "{:?}", again.said);
    assert_eq!(all(&again), (responses, next, dues, mark));
});
