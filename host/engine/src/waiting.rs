//! Says once that a plan waits for a person, and once that nobody approved it in time.
//!
//! A `notify` step tells the first of these with the report of the run. Where a workflow has none that did,
//! it is told all the same: a plan that waits in silence waits for nobody.

use domain::id::{ChannelName, WorkflowName};
use domain::report::{heading, steps};
use domain::run::{Outcome, Run};
use domain::token::Severity;
use serde_json::json;

use crate::engine::Engine;
use crate::failure::Error;
use crate::freshness::channels_of;
use crate::store::Waiting;

impl Engine {
    /// Ends the waiting of plans that nobody has approved in time, says so, and returns them.
    pub async fn lapse(&self) -> Result<Vec<Waiting>, Error> {
        let lapsed = self.store.lapse(self.now()).await?;
        for it in &lapsed {
            let Waiting { run, asker, .. } = it;
            let subject = format!(
                "run {run} of {}: nobody approved its plan for {} in time",
                asker.workflow, asker.token
            );
            tracing::warn!(%run, workflow = %asker.workflow, token = %asker.token, "{subject}");
            let text = format!(
                "It waited for a person and lapsed; nothing was changed. The next run of {} asks again if it is still so.\n\
                 hint: `deputy run {}` asks now\n",
                asker.workflow, asker.workflow
            );
            let mut message = self.new_message("lapsed", Severity::Warning, subject, text);
            message.data = json!({ "run": run, "workflow": asker.workflow, "token": asker.token });
            self.tell(message, &asker.workflow).await?;
        }
        Ok(lapsed)
    }

    /// Says that a run waits, if none of its steps has told anybody.
    pub(crate) async fn announce(&self, run: &Run) -> Result<(), Error> {
        let outcomes = || run.steps.iter().filter_map(|step| step.outcome.as_ref());
        let waits = outcomes().any(|outcome| matches!(outcome, Outcome::Waits(waits) if waits.is_new()));
        let told =
            outcomes().any(|outcome| matches!(outcome, Outcome::Notified { sent, .. } if !sent.is_empty()));
        if !waits || told {
            return Ok(());
        }
        let mut message = self.new_message("waiting", Severity::Critical, heading(run), steps(run));
        message.data = json!(run);
        self.tell(message, &run.workflow).await
    }

    /// Puts a message into the outbox for whom a workflow tells about its runs, or else for everybody.
    async fn tell(&self, message: domain::message::Message, workflow: &WorkflowName) -> Result<(), Error> {
        let channels: Vec<ChannelName> = match self.settings.workflows.get(workflow) {
            Some(workflow) => channels_of(self, workflow).into_iter().collect(),
            None => self.settings.channels.keys().cloned().collect(),
        };
        self.store.enqueue(self.outgoing(message, &channels)).await?;
        self.ring_outbox();
        Ok(())
    }
}
