//! Asks a policy whether a plan may go ahead, after the rails have let it pass.
//!
//! A policy that fails has said nothing, and then a person is asked: what is not known to be right
//! does not go ahead by itself, and what nobody objected to is not refused for good.

use domain::id::PluginName;
use domain::policy::{Answered, Question, Usage};
use domain::review::{Context, Decision, Opinion};
use domain::run::Reviewed;

use super::{Lane, decide};
use crate::failure::Error;
use crate::store::{RecordedPlan, Work};

/// What is said of the plan; none if there is nothing in it to object to.
pub(crate) async fn review(
    lane: &Lane<'_>,
    policy: &PluginName,
    plan: &RecordedPlan,
) -> Result<Option<Reviewed>, Error> {
    if plan.totals().actions() == 0 {
        return Ok(None);
    }
    let store = &lane.engine.store;
    let policy = decide::find(lane, policy, Question::Review)?;
    let asked_about = store.plan_in_words(plan, lane.engine.profiles(&lane.token).await?).await?;
    let tables = lane.tables(policy.name());
    let mut reviewed = Reviewed {
        policy: policy.name().clone(),
        digest: policy.digest().clone(),
        opinion: Opinion { decision: Decision::Approve, reason: String::new() },
        fault: false,
        tables: tables.0.iter().map(|(name, table)| (name.clone(), table.digest().clone())).collect(),
        usage: Usage::default(),
    };
    let context = Context {
        now: lane.now,
        utc_offset: lane.about.utc_offset,
        token: lane.token.clone(),
        workflow: lane.about.workflow.clone(),
        tables,
    };
    let asked = policy.clone();
    // A policy computes and never waits: not for a thread that serves others.
    let answered = tokio::task::spawn_blocking(move || asked.review(&context, &asked_about)).await;
    let (opinion, usage) = match answered {
        Ok(Answered { answer, usage }) => (answer.map_err(|error| error.to_string()), usage),
        Err(panicked) => (Err(format!("it ended unexpectedly: {panicked}")), Usage::default()),
    };
    reviewed.usage = usage;
    reviewed.opinion = opinion.unwrap_or_else(|why| {
        tracing::error!(token = %lane.token, run = %lane.run, "{why}; a person is asked about the plan");
        reviewed.fault = true;
        Opinion { decision: Decision::Ask, reason: why }
    });
    let work = Work { usage, faults: u64::from(reviewed.fault), ..Work::default() };
    store.plugin_worked(policy.name(), policy.digest(), work, lane.engine.now()).await?;
    Ok(Some(reviewed))
}
