//! Pressure files, triggers and counters: the forms the kernel gives, and refusals.

use proptest::prelude::*;
use quantumos_resource::Error;
use quantumos_resource::counters;
use quantumos_resource::psi::{Line, Pressure};
use quantumos_resource::trigger::{Kind, Trigger};

const CPU: &str = "some avg10=0.03 avg60=12.25 avg300=100.00 total=16004337\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";

#[test]
fn reads_what_the_kernel_writes() {
    let pressure = Pressure::parse(CPU).unwrap();
    assert_eq!(
        pressure.some,
        Some(Line {
            avg10: 0.03,
            avg60: 12.25,
            avg300: 100.0,
            total: 16_004_337
        })
    );
    assert_eq!(pressure.full.unwrap().total, 0);
    let irq =
        Pressure::parse("full avg10=1.00 avg60=0.00 avg300=0.00 total=18446744073709551615\n")
            .unwrap();
    assert_eq!((irq.some, irq.full.unwrap().total), (None, u64::MAX));
}

#[test]
fn reads_this_kernel() {
    let Ok(text) = std::fs::read_to_string("/proc/pressure/cpu") else {
        println!("skipped: this kernel has no /proc/pressure");
        return;
    };
    assert!(Pressure::parse(&text).unwrap().some.is_some());
}

#[test]
fn refuses_other_text_and_says_where() {
    let table = [
        ("", 1, "empty"),
        ("some avg10=0.03 avg60=12.25 avg300=0.00\n", 1, "no total="),
        (
            "some avg10=0.03 avg60=12.25 avg300=0.00 total=-1\n",
            1,
            "whole number",
        ),
        (
            "some avg10=0.03 avg60=12.25 avg300=0.00 total=18446744073709551616\n",
            1,
            "64 bits",
        ),
        (
            "some avg10=0.3 avg60=12.25 avg300=0.00 total=1\n",
            1,
            "two decimals",
        ),
        (
            "some avg10=100.01 avg60=12.25 avg300=0.00 total=1\n",
            1,
            "more than 100",
        ),
        (
            "some avg60=0.03 avg10=12.25 avg300=0.00 total=1\n",
            1,
            "no avg10=",
        ),
        (
            "some avg10=0.00 avg60=0.00 avg300=0.00 total=1 more\n",
            1,
            "after total",
        ),
        (
            "none avg10=0.00 avg60=0.00 avg300=0.00 total=1\n",
            1,
            "instead of some or full",
        ),
        (
            "full avg10=0.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n",
            2,
            "second",
        ),
    ];
    for (text, at, wanted) in table {
        match Pressure::parse(text) {
            Err(Error::KernelText { line, reason, .. }) => {
                assert!(
                    line == at && reason.contains(wanted),
                    "{text:?}: line {line}: {reason}"
                );
            }
            other => panic!("{text:?} gave {other:?}"),
        }
    }
}

proptest! {
    #[test]
    fn every_reading_comes_back(a in 0u32..=10000, b in 0u32..=10000, c in 0u32..=10000, total: u64, full: bool) {
        let text = |kind: &str| format!(
            "{kind} avg10={}.{:02} avg60={}.{:02} avg300={}.{:02} total={total}\n",
            a / 100, a % 100, b / 100, b % 100, c / 100, c % 100
        );
        let all = if full { text("some") + &text("full") } else { text("some") };
        let read = Pressure::parse(&all).unwrap();
        let line = Line { avg10: f64::from(a) / 100.0, avg60: f64::from(b) / 100.0, avg300: f64::from(c) / 100.0, total };
        prop_assert_eq!(read.some, Some(line));
        prop_assert_eq!(read.full, full.then_some(line));
    }

    #[test]
    fn no_text_brings_the_parsers_down(text in "\\PC*", cut in 0usize..130) {
        let _ = Pressure::parse(&text);
        let _ = counters::cpu_stat(&text);
        let _ = counters::proc_stat_usage(&text, 100);
        let part = &CPU[..cut.min(CPU.len())];
        // A cut file is read only where the cut leaves whole lines or shortens the last total.
        if let Ok(read) = Pressure::parse(part) {
            prop_assert!(part.contains("total=") && read.some.is_some());
        }
    }

    #[test]
    fn a_trigger_is_made_only_where_the_kernel_takes_it(stall: u64, window in 0u64..12_000_000, privileged: bool) {
        if let Ok(trigger) = Trigger::new(Kind::Some, stall, window, privileged) {
            prop_assert!((500_000..=10_000_000).contains(&trigger.window_us));
            prop_assert!(trigger.stall_us > 0 && trigger.stall_us <= trigger.window_us);
            prop_assert!(privileged || trigger.window_us % 2_000_000 == 0);
        }
    }
}

#[test]
fn a_trigger_is_written_as_the_kernel_wants_it() {
    let trigger = Trigger::new(Kind::Some, 100_000, 2_000_000, false).unwrap();
    assert_eq!(trigger.to_string(), "some 100000 2000000");
    assert!(Trigger::new(Kind::Full, 100_000, 1_000_000, true).is_ok());
    assert!(Trigger::new(Kind::Full, 100_000, 1_000_000, false).is_err());
}

#[test]
fn counters_are_read_and_refused() {
    let stat =
        counters::cpu_stat("usage_usec 123\nuser_usec 100\nsystem_usec 23\nthrottled_usec 7\n")
            .unwrap();
    assert_eq!((stat.usage_us, stat.throttled_us), (123, 7));
    for bad in [
        "",
        "user_usec 1\n",
        "usage_usec\n",
        "usage_usec -1\n",
        "usage_usec 1 2\n",
    ] {
        assert!(counters::cpu_stat(bad).is_err(), "{bad:?}");
    }
    assert_eq!(counters::single("memory.current", "4096\n").unwrap(), 4096);
    assert!(counters::single("memory.current", "max\n").is_err());
    // user + nice + system + irq + softirq at 100 ticks a second.
    assert_eq!(
        counters::proc_stat_usage("cpu  1 2 3 400 50 6 7 8 9 10\n", 100).unwrap(),
        190_000
    );
    assert!(counters::proc_stat_usage("cpu0 1 2 3 4 5 6 7\n", 100).is_err());
}
