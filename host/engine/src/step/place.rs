//! A lane's place among those that go on side by side.
//!
//! A bound keeps 150 tokens from asking Apple all at once. But one that hangs must not keep its place:
//! eight customers whose network swallows packets would make everybody else late. So who waits for
//! long gives the place to the next, and takes another when there is something to do again.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::stop::Stop;

/// Places there are, for all runs together.
#[derive(Clone)]
pub(crate) struct Places(Arc<Semaphore>);

/// One of them, taken until it is dropped.
pub(crate) struct Place {
    places: Places,
    /// Who is to end does not queue for a place again.
    stop: Stop,
    taken: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Places {
    /// So many.
    pub(crate) fn new(number: usize) -> Self {
        Self(Arc::new(Semaphore::new(number)))
    }

    /// Waits for a free place and takes it; or for the wish to end, and goes without.
    pub(crate) async fn take(&self, stop: &Stop) -> Place {
        let taken = Mutex::new(self.permit(stop).await);
        Place { places: self.clone(), stop: stop.clone(), taken }
    }

    async fn permit(&self, stop: &Stop) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            // It fails only once the semaphore is closed, and nobody closes it.
            permit = self.0.clone().acquire_owned() => permit.ok(),
            () = stop.wait() => None,
        }
    }
}

impl Place {
    /// Does `work` at this place for as long as `patience`, then without one; it is taken again for
    /// what comes after.
    pub(crate) async fn lend<T>(&self, patience: Duration, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = tokio::time::sleep(patience) => {}
        }
        drop(self.swap(None));
        let done = work.await;
        drop(self.swap(self.places.permit(&self.stop).await));
        done
    }

    fn swap(&self, permit: Option<OwnedSemaphorePermit>) -> Option<OwnedSemaphorePermit> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *taken, permit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stop::Stopper;

    #[tokio::test]
    async fn who_hangs_does_not_keep_the_next_from_its_place() {
        let (places, stopper) = (Places::new(1), Stopper::default());
        let hanging = places.take(&stopper.listener()).await;
        let stuck = tokio::spawn(async move {
            hanging.lend(Duration::ZERO, std::future::pending::<()>()).await;
        });
        // There is one place; that this ends at all is the test.
        drop(places.take(&stopper.listener()).await);
        stuck.abort();
    }

    #[tokio::test]
    async fn who_is_to_end_does_not_wait_for_a_place() {
        let (places, stopper) = (Places::new(1), Stopper::default());
        let _first = places.take(&stopper.listener()).await;
        stopper.stop();
        drop(places.take(&stopper.listener()).await);
    }

    #[tokio::test]
    async fn whoever_goes_on_waits_for_a_place_again() {
        let (places, stopper) = (Places::new(1), Stopper::default());
        let first = places.take(&stopper.listener()).await;
        let (go_on, wait) = tokio::sync::oneshot::channel::<()>();
        let lent = tokio::spawn(async move {
            let _ = first.lend(Duration::ZERO, wait).await;
            first
        });
        let second = places.take(&stopper.listener()).await;
        go_on.send(()).unwrap();
        // The first has its answer, but the second has the place.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!lent.is_finished());
        drop(second);
        drop(lent.await.unwrap());
        drop(places.take(&stopper.listener()).await);
    }
}
