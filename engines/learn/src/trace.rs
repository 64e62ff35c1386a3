//! A window of a trace of system calls, as public data sets give them: numbers with nothing around them.

use crate::token;
use crate::window::{Counter, Kind, MAX_ITEMS, Sums, Window};

const ORDERS: [(Kind, usize); 5] = [
    (Kind::Step, 1),
    (Kind::Pair, 2),
    (Kind::Triple, 3),
    (Kind::Six, 6),
    (Kind::Twelve, 12),
];

/// The window that holds a whole trace.
#[must_use]
pub fn window(calls: &[u16]) -> Window {
    let steps: Vec<u64> = calls
        .iter()
        .map(|call| token::of(&call.to_le_bytes()))
        .collect();
    let mut counter = Counter::new(MAX_ITEMS);
    for end in 1..=steps.len() {
        counter.add_sequences(&steps[end.saturating_sub(12)..end], &ORDERS);
    }
    let (items, overflow) = counter.finish();
    Window {
        subject: "trace".into(),
        sums: Sums {
            events: u32::try_from(calls.len()).unwrap_or(u32::MAX),
            overflow,
            ..Sums::default()
        },
        items,
        ..Window::default()
    }
}
