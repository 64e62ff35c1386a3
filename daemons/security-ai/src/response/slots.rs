//! How many responses are under way at a time. Kills have slots of their own: what merely contains something, and
//! waits for systemd, must not keep one waiting.

use super::grade::Grade;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Responses other than kills that are under way at a time, and so the calls to systemd.
const OTHERS: usize = 8;
/// Kills that are. One waits up to some seconds for the kernel to end the process.
const KILLS: usize = 16;

/// The slots.
#[derive(Debug)]
pub struct Slots {
    kills: Semaphore,
    others: Semaphore,
}

impl Default for Slots {
    fn default() -> Self {
        Self {
            kills: Semaphore::new(KILLS),
            others: Semaphore::new(OTHERS),
        }
    }
}

impl Slots {
    /// Waits for a slot; none is needed for what does nothing.
    pub async fn of(&self, grade: Grade) -> Option<SemaphorePermit<'_>> {
        let slots = match grade {
            Grade::Observe | Grade::Notify => return None,
            Grade::Kill => &self.kills,
            Grade::Throttle | Grade::Freeze | Grade::Isolate | Grade::Deny => &self.others,
        };
        // They are never closed.
        slots.acquire().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn there_are_so_many_and_a_kill_waits_for_none_of_the_others() {
        let slots = Slots::default();
        let mut taken = Vec::new();
        for _ in 0..OTHERS {
            taken.push(slots.of(Grade::Freeze).await);
        }
        let none_is_left = tokio::select! {
            biased;
            _ = slots.of(Grade::Throttle) => false,
            () = std::future::ready(()) => true,
        };
        assert!(none_is_left);
        assert!(slots.of(Grade::Kill).await.is_some());
        assert!(slots.of(Grade::Notify).await.is_none());
        drop(taken);
        assert!(slots.of(Grade::Deny).await.is_some());
    }
}
