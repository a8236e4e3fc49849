//! The runs of a daemon: beside each other, bounded in number, at most one of each workflow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::id::{RunId, WorkflowName};
use domain::run::State;
use tokio::sync::Semaphore;
use tokio::task::{Id, JoinError, JoinSet};

use super::timetable::Begun;
use crate::engine::Engine;
use crate::failure::Error;
use crate::runner::{self, RunOptions};
use crate::stop::Stopper;

/// Runs that are worked on at once. What they do at once is bounded for all of them together; this bounds
/// what a run needs before and after.
const AT_ONCE: usize = 64;
/// How long runs have, after the wish to end, until they are left behind. A run itself gives up sooner.
const GRACE: Duration = Duration::from_secs(30);

/// The runs that are going on.
pub(super) struct Runs {
    stopper: Stopper,
    places: Arc<Semaphore>,
    tasks: JoinSet<()>,
    going: BTreeMap<WorkflowName, Id>,
}

impl Default for Runs {
    fn default() -> Self {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        Self { stopper: Stopper::default(), places, tasks: JoinSet::new(), going: BTreeMap::new() }
    }
}

impl Runs {
    /// Whether a run of this workflow is going on, or waits for its place.
    pub(super) fn is_going(&self, workflow: &WorkflowName) -> bool {
        self.going.contains_key(workflow)
    }

    /// Carries runs out beside the loop.
    pub(super) fn start(&mut self, engine: &Engine, begun: Vec<Begun>) {
        for Begun { workflow, trigger, opened } in begun {
            let (engine, places, stop) = (engine.clone(), self.places.clone(), self.stopper.listener());
            let name = workflow.name.clone();
            let task = self.tasks.spawn(async move {
                let place = tokio::select! {
                    place = places.acquire_owned() => place,
                    () = stop.wait() => return not_begun(&engine, &opened.id).await,
                };
                let name = &workflow.name;
                let done =
                    runner::carry_out(&engine, &workflow, RunOptions::of(trigger), opened, &stop).await;
                if let Err(error) = done {
                    tracing::error!(workflow = %name, "{name} could not be run: {}", error.failure().error);
                }
                drop(place);
            });
            self.going.insert(name, task.id());
        }
    }

    /// Waits for the end of a run; for ever if there is none.
    pub(super) async fn ended(&mut self) -> Result<(Id, ()), JoinError> {
        match self.tasks.join_next_with_id().await {
            Some(ended) => ended,
            None => std::future::pending().await,
        }
    }

    /// A run has ended.
    pub(super) async fn note(
        &mut self,
        engine: &Engine,
        ended: Result<(Id, ()), JoinError>,
    ) -> Result<(), Error> {
        let task = match ended {
            Ok((task, ())) => task,
            Err(error) => {
                tracing::error!("a run broke off: {error}");
                engine.close_interrupted_runs().await?;
                error.id()
            }
        };
        self.going.retain(|_, going| *going != task);
        Ok(())
    }

    /// Lets the runs come to the end of a page or a call, where all they did is in the store. One
    /// that hangs is left behind after a while: what it had in flight is read back.
    pub(super) async fn finish(mut self, engine: &Engine) -> Result<(), Error> {
        if !self.tasks.is_empty() {
            let number = self.tasks.len();
            tracing::info!("stopping when the runs that are going on have come to an end: {number}");
        }
        self.stopper.stop();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            self.tasks.shutdown().await;
            engine.close_interrupted_runs().await?;
        }
        Ok(())
    }
}

/// A run that never got its place before the daemon was told to end.
async fn not_begun(engine: &Engine, run: &RunId) {
    if let Err(error) = engine.store.close_run(run, State::Stopped, engine.now()).await {
        tracing::error!(%run, "run {run} could not be closed: {error}");
    }
}
