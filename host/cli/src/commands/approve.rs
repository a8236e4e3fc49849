//! `deputy approve`: lets a plan go ahead that a review has asked a person about.

use std::collections::BTreeMap;

use domain::id::TokenName;
use domain::review::Decision;
use domain::run::{Outcome as StepOutcome, Run};
use engine::runner::Approval;

use super::run::{Manner, RailsArguments, carry_out};
use super::runs::find;
use crate::Common;
use crate::app::{App, Policies};
use crate::exit::{Outcome, Problem};

/// What `deputy approve` takes.
#[derive(clap::Args)]
#[command(
    after_help = "Carries the workflow out again, for the tokens whose plan was asked about, and lets through exactly \
that plan: the same devices to the same profiles. If it would be another plan by now, the review is asked again."
)]
pub(crate) struct Arguments {
    /// The run that asks, or `last`
    run: String,
    #[command(flatten)]
    rails: RailsArguments,
}

/// Carries the command out.
pub(crate) async fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let app = App::open(&common.config, Policies::Unused).await?;
    let run = find(&app, &arguments.run).await?;
    let approved = asked(&run);
    if approved.is_empty() {
        let problem =
            Problem::usage(format!("run {} of {} has no plan that waits for a person", run.id, run.workflow));
        return Err(problem.hint(format!("`deputy runs show {}` shows what came of it", run.id)));
    }
    let workflow = app.workflow(&run.workflow)?;
    let app = app.with_policies_of(&workflow);
    let tokens = Some(approved.keys().cloned().collect());
    let manner = Manner { tokens, approved, rails: arguments.rails.meant(), ..Manner::default() };
    carry_out(common, &app, &workflow, manner).await
}

/// The plans of a run that its review asked about, by token.
fn asked(run: &Run) -> BTreeMap<TokenName, Approval> {
    let asked = run.steps.iter().filter_map(|step| match (&step.token, &step.outcome) {
        (Some(token), Some(StepOutcome::Objected { review, .. }))
            if review.opinion.decision == Decision::Ask =>
        {
            Some((token.clone(), Approval { plan: review.plan.clone(), run: run.id.clone() }))
        }
        _ => None,
    });
    asked.collect()
}
