//! What the daemon does beside runs and messages, now and then: it forgets what is old, and watches.

use std::time::Duration;

use tokio::sync::watch;

use crate::engine::Engine;
use crate::stop::Stop;

/// Between two looks. Each kind of thing has its round once a day.
const LOOK: Duration = Duration::from_secs(300);

/// Looks after the store until told to stop, with the settings of the day.
pub(crate) async fn look_after(engines: watch::Receiver<Engine>, stop: Stop) {
    loop {
        let engine = engines.borrow().clone();
        if let Err(error) = engine.forget_all(&stop).await {
            tracing::error!("what is old could not be forgotten: {}", error.failure().error);
        }
        crate::watch::now_and_then(&engine).await;
        if !stop.sleep(LOOK).await {
            return;
        }
    }
}
