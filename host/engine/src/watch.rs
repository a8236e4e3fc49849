//! Watches over what nobody runs for: it is done after each run, and by the daemon also while none happens.
//! Whoever waits for a run to say that no run happens waits for ever.

use domain::run::Run;
use domain::workflow::Workflow;

use crate::engine::Engine;
use crate::failure::Error;
use crate::{expected, freshness, ping};

/// After a run in earnest: what concerns its workflow. No trouble here is the run's.
pub(crate) async fn after_run(engine: &Engine, workflow: &Workflow, run: &Run) {
    let name = &workflow.name;
    noted(&format!("what {name} promises"), freshness::watch(engine, workflow).await);
    noted(&format!("the ping of {name}"), ping::after(engine, workflow, run).await);
    let asked =
        |list: &&domain::id::TableName| workflow.policies().any(|policy| policy.as_str() == list.as_str());
    for list in engine.settings.expected.keys().filter(asked) {
        noted(&format!("the list `{list}` (after run {})", run.id), expected::watch(engine, list).await);
    }
}

/// Now and then: everything. What a workflow promises is looked at when its run has ended, if one is going on.
pub(crate) async fn now_and_then(engine: &Engine) {
    let going = match engine.workflows_going().await {
        Ok(going) => going,
        Err(error) => return noted("what workflows promise", Err(error)),
    };
    for workflow in engine.settings.workflows.values().filter(|it| !going.contains(&it.name)) {
        noted(&format!("what {} promises", workflow.name), freshness::watch(engine, workflow).await);
    }
    for list in engine.settings.expected.keys() {
        noted(&format!("the list `{list}`"), expected::watch(engine, list).await);
    }
}

fn noted(what: &str, watched: Result<(), Error>) {
    if let Err(error) = watched {
        tracing::error!("{what} cannot be watched: {}", error.failure().error);
    }
}
