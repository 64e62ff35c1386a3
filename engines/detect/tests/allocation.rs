//! Evaluating an event allocates nothing: counted by an allocator of the test's own.
#![allow(clippy::unwrap_used, clippy::panic)]

use quantumos_detect::{Audited, Class, Field, Record, RuleSet, Source, Value};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: hands everything to the system's allocator, and only counts besides.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that is ending has no count any more.
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const RULES: &str = r"
title: Texts
logsource: {product: linux, category: process_creation}
detection:
  s: {Image|endswith: [/sh, /bash], CommandLine|contains|all: [curl, http]}
  f: {ParentImage: /usr/sbin/cron}
  condition: s and not f
---
title: Regular expression
logsource: {product: linux, category: process_creation}
detection:
  s: {CommandLine|re: '\s-[a-z]*c\s+\w+ curl'}
  n: {ProcessId|gte: 5}
  condition: s and n
---
title: Audit
logsource: {product: linux, service: auditd}
detection:
  s: {type: EXECVE, a1: '-c', a2|contains: 'curl*http'}
  condition: s
---
title: Keyword
logsource: {product: linux}
detection: {k: ['curl*http', zzz], condition: k}
";

#[test]
fn evaluating_allocates_nothing() {
    let set = RuleSet::compile([Source {
        name: "r.yml",
        text: RULES,
    }]);
    assert_eq!(set.counts(), (4, 0, 0), "{:?}", set.report);
    let event = Record::new(Class::ProcessCreation)
        .with(Field::Image, "/usr/bin/bash")
        .with(Field::CommandLine, "bash -c x curl http://h")
        .with(Field::ParentImage, "/usr/sbin/sshd")
        .with(Field::Argument1, "-c")
        .with(Field::Argument2, "x curl http://h")
        .with_value(Field::ProcessId, Value::Number(7));
    let mut scratch = set.matcher.scratch();
    let mut all = |first: bool| {
        let mut count = set.matcher.matches(&event, &mut scratch).len();
        for record in Audited::of(&event) {
            count += set.matcher.matches(&record, &mut scratch).len();
        }
        assert_eq!(count, 4, "first {first}");
    };
    // A regular expression makes its scratch memory when it is used for the first time.
    all(true);
    let before = COUNT.with(Cell::get);
    for _ in 0..1000 {
        all(false);
    }
    assert_eq!(COUNT.with(Cell::get), before);
}
