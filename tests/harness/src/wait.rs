//! Waiting for what another process does, without guessing how long it takes.

use std::{future::Future, time::Duration};

/// How long a test waits before it says that something never happened. It bounds a failure,
/// not a success, so it may be long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until the answer is there.
///
/// # Panics
/// When `PATIENCE` is over; `what` is in the message.
pub async fn eventually<T, F, Fut>(what: &str, mut ask: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "never happened: {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
