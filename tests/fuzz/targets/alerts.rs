//! The file of alerts after somebody had it: what is read is written and read again the same, the rest is said.
#![no_main]

use std::{fs, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use security_ai::{
    book::{Book, Entry},
    store::Store,
};

static FOLDER: LazyLock<tempfile::TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("a directory"));

fn read() -> (Book, Store) {
    let mut book = Book::new(100, 100);
    let opened = Store::open(FOLDER.path(), 1 << 20, &mut book);
    (book, opened.expect("a file to open").0)
}

fuzz_target!(|bytes: &[u8]| {
    fs::write(FOLDER.path().join("alerts.jsonl"), bytes).expect("the file");
    let (book, mut store) = read();
    store.write_anew(&book).expect("a file to write");
    let (again, _) = read();
    let all = |book: &Book| book.entries().cloned().collect::<Vec<Entry>>();
    assert_eq!(all(&again), all(&book));
    assert_eq!(again.next(), book.next());
});
