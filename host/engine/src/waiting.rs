//! Says once that a plan waits for a person, and once that nobody approved it in time.
//!
//! A `notify` step tells the first of these with the report of the run. Where a workflow has none that did,
//! it is told all the same: a plan that waits in silence waits for nobody.

use domain::id::{ChannelName, WorkflowName};
use domain::report::{heading, steps};
use domain::run::{Outcome, Run};
use domain::token::Severity;
use domain::workflow::{Step, Uses};
use serde_json::json;

use crate::engine::Engine;
use crate::failure::Error;
use crate::freshness::channels_of;
use crate::runner::tokens_of;
use crate::store::{Asker, Waiting};

impl Engine {
    /// Ends the waiting of plans that nobody has approved in time, says so, and returns them.
    pub async fn lapse(&self) -> Result<Vec<Waiting>, Error> {
        let lapsed = self.store.lapse(self.now()).await?;
        for it in &lapsed {
            let Waiting { run, asker, waited, .. } = it;
            let (subject, text) = match &waited.answer {
                None => (
                    format!("nobody approved its plan for {} in time", asker.token),
                    "It waited for a person and lapsed",
                ),
                Some(answer) => (
                    format!(
                        "its plan for {}, approved by {answer}, was not carried out in time",
                        asker.token
                    ),
                    "It was approved and lapsed; its runs say what kept them from it",
                ),
            };
            let subject = format!("run {run} of {}: {subject}", asker.workflow);
            tracing::warn!(%run, workflow = %asker.workflow, token = %asker.token, "{subject}");
            let text = format!(
                "{text}{}. The next run of {} asks again if it is still so.\n\
                 hint: `deputy run {}` asks now\n",
                if waited.begun_by.is_none() { "; nothing was changed" } else { "" },
                asker.workflow,
                asker.workflow
            );
            let mut message = self.new_message("lapsed", Severity::Warning, subject, text);
            message.data = json!({ "run": run, "workflow": asker.workflow, "token": asker.token });
            self.tell(message, &asker.workflow).await?;
        }
        Ok(lapsed)
    }

    /// Why a plan that waits can never be carried out any more, if that is so: what would do it is gone.
    pub fn orphaned(&self, asker: &Asker) -> Option<String> {
        let Asker { workflow: name, token, step } = asker;
        let Some(workflow) = self.settings.workflows.get(name) else {
            return Some(format!("there is no workflow {name} any more"));
        };
        if !tokens_of(self, workflow, None).contains(token) {
            let is_configured = self.settings.tokens.contains_key(token);
            return Some(match is_configured {
                true => format!("{name} does not serve the token {token} any more"),
                false => format!("the token {token} is not configured any more"),
            });
        }
        let is_it = |it: &Step| it.id == *step && matches!(it.uses, Uses::Plan { .. });
        (!workflow.steps.iter().any(is_it))
            .then(|| format!("{name} has no step `{step}` any more that plans"))
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
