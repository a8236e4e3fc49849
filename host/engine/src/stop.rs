//! The wish that a run should end early, and how to wait with an ear for it.
//!
//! Nothing is torn down: a step looks between two pages or two calls, where everything done so far
//! is in the store. Only a call whose answer does not come is left alone, as if the process had died.

use std::time::Duration;

use tokio::sync::watch;

/// Says "stop" to every run that listens.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Listens for "stop".
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Default for Stopper {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Stopper {
    /// Says it. Saying it again changes nothing.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// A listener.
    pub fn listener(&self) -> Stop {
        Stop(self.0.subscribe())
    }
}

impl Stop {
    /// Whether it was said.
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is said; for ever if nobody is left who could.
    pub async fn wait(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Does `work`, which listens to `inner`: it hears of this stop, and of the `limit` once that has gone
    /// by. True if the limit was what it heard of.
    pub async fn within<T>(
        &self,
        limit: Option<Duration>,
        inner: &Stopper,
        work: impl Future<Output = T>,
    ) -> (T, bool) {
        tokio::pin!(work);
        let late = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        let late = tokio::select! {
            done = &mut work => return (done, false),
            () = self.wait() => false,
            () = late => true,
        };
        inner.stop();
        (work.await, late)
    }

    /// Waits for `pause`, or less if it is said. True if the whole pause went by.
    pub async fn sleep(&self, pause: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(pause) => !self.is_set(),
            () = self.wait() => false,
        }
    }
}
