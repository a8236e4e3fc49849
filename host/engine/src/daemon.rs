//! The loop of the daemon: waits for whatever comes first and has it done.
//!
//! What is due is worked out from the schedules and from what is on record, never from a timer that may
//! have been missed: a machine that slept, was off, or had its clock moved finds the times that went by
//! the same way it finds the one that has just come. A scheduled time is a row in the store, unique, so
//! it is carried out once, by whoever inserts it.

mod in_flight;
mod runs;
mod timetable;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use self::runs::Runs;
use self::timetable::Timetable;
pub use self::timetable::put_pause_on_record;
use crate::engine::Engine;
use crate::failure::Error;
use crate::outbox;
use crate::settings::Settings;
use crate::stop::Stopper;
use crate::upkeep;

/// What can happen to a daemon.
#[derive(Debug)]
pub enum Event {
    /// The operator's files have changed.
    Reload,
    /// It is to end, cleanly.
    Shutdown,
}

/// Reads the operator's files anew, given what was read before; what is wrong with them, if anything.
/// Takes its time: plugins are compiled.
pub type Reload = Arc<dyn Fn(&Settings) -> Result<Settings, String> + Send + Sync>;

/// The longest the daemon sleeps: a clock that jumps is noticed within this time.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// Runs workflows when they are due, until told to end. Fails only if the store does; also then the runs that
/// are going on come to the end of their page or call.
pub async fn serve(engine: Engine, events: mpsc::Receiver<Event>, reload: Reload) -> Result<(), Error> {
    engine.close_interrupted_runs().await?;
    engine.store.configuration_read(engine.now()).await?;
    let mut timetable = Timetable::default();
    let mut begun = timetable.take_up(&engine, |_| false).await?;
    let due = timetable.look(&engine, |name| begun.iter().any(|begun| begun.workflow.name == *name)).await?;
    begun.extend(due);
    // From here on nothing may end this function before what it began has come to an end.
    let mut runs = Runs::default();
    runs.start(&engine, begun);
    // Beside the loop: no run waits for a channel, and no channel for a run. The upkeep watches what runs are
    // to keep fresh, so those that make up for an outage are there before it.
    let (current, engines) = watch::channel(engine.clone());
    let no_more = Stopper::default();
    let upkeep = tokio::spawn(upkeep::look_after(engines.clone(), no_more.listener()));
    let deliveries = tokio::spawn(outbox::deliver(engines, no_more.listener()));
    let no_asking = Stopper::default();
    let asking = tokio::spawn(in_flight::ask(engine.clone(), no_asking.listener()));
    let served = rounds(engine.clone(), &mut runs, timetable, events, &reload, &current).await;
    if let Err(error) = &served {
        tracing::error!("it cannot go on: {}", error.failure().error);
    }
    no_asking.stop();
    let finished = runs.finish(&engine).await;
    no_more.stop();
    if let Err(panicked) = asking.await {
        tracing::error!("asking about what was in flight broke off: {panicked}");
    }
    if let Err(panicked) = deliveries.await {
        tracing::error!("the outbox broke off: {panicked}");
    }
    if let Err(panicked) = upkeep.await {
        tracing::error!("the upkeep broke off: {panicked}");
    }
    tracing::info!("stopped");
    served.and(finished)
}

/// The loop: until told to end, or until the store fails.
async fn rounds(
    mut engine: Engine,
    runs: &mut Runs,
    mut timetable: Timetable,
    mut events: mpsc::Receiver<Event>,
    reload: &Reload,
    current: &watch::Sender<Engine>,
) -> Result<(), Error> {
    let (mut reading, mut read_again) = (JoinSet::new(), false);
    loop {
        engine.lapse().await?;
        let begun = timetable.look(&engine, |name| runs.is_going(name)).await?;
        runs.start(&engine, begun);
        let pause = timetable.next().map_or(LONGEST_SLEEP, |next| until(engine.now(), next));
        tokio::select! {
            () = tokio::time::sleep(pause.min(LONGEST_SLEEP)) => {}
            ended = runs.ended() => runs.note(&engine, ended).await?,
            // Whatever runs goes on with what it began with.
            Some(done) = reading.join_next() => {
                match done {
                    Ok(Ok(settings)) => {
                        engine = engine.with_settings(settings);
                        current.send_replace(engine.clone());
                        engine.store.configuration_read(engine.now()).await?;
                        let begun = timetable.take_up(&engine, |name| runs.is_going(name)).await?;
                        runs.start(&engine, begun);
                        tracing::info!("configuration read again: {} workflows", engine.settings.workflows.len());
                    }
                    Ok(Err(mistakes)) => {
                        tracing::error!("the configuration has mistakes; going on with the one before\n{mistakes}");
                        engine.store.configuration_refused(mistakes, engine.now()).await?;
                    }
                    Err(panicked) => tracing::error!("the configuration could not be read: {panicked}"),
                }
                if std::mem::take(&mut read_again) {
                    read(&mut reading, reload, &engine);
                }
            }
            event = events.recv() => match event {
                // Files that change while they are read are read once more.
                Some(Event::Reload) if !reading.is_empty() => read_again = true,
                Some(Event::Reload) => read(&mut reading, reload, &engine),
                Some(Event::Shutdown) | None => return Ok(()),
            },
        }
    }
}

/// Reads the operator's files beside the loop.
fn read(reading: &mut JoinSet<Result<Settings, String>>, reload: &Reload, engine: &Engine) {
    let (reload, before) = (reload.clone(), engine.settings.clone());
    reading.spawn_blocking(move || reload(&before));
}

fn until(now: Timestamp, time: Timestamp) -> Duration {
    Duration::try_from(time.duration_since(now)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests;
