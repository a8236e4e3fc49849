//! What happens to a device next, and when.

use domain::id::WorkflowName;
use domain::pause::Refusal;
use domain::verdict::Decision;
use domain::workflow::{Step, Workflow};
use engine::store::{StoredDevice, StoredVerdict};
use jiff::Timestamp;

use crate::app::App;
use crate::exit::Outcome;
use crate::output::time;

/// What happens next.
pub(super) struct Next {
    /// In words.
    pub(super) words: String,
    /// When, if that is known.
    pub(super) at: Option<Timestamp>,
    /// In the run of which workflow.
    pub(super) workflow: Option<WorkflowName>,
}

/// What happens to a device next.
pub(super) async fn of(app: &App, stored: &StoredDevice, verdict: Option<&StoredVerdict>) -> Outcome<Next> {
    let StoredDevice { token, known } = stored;
    if known.gone {
        let words = "nothing, unless Apple lists it again".to_owned();
        return Ok(Next { words, at: None, workflow: None });
    }
    let now = app.engine.now();
    let pause = known.pause.filter(|pause| pause.is_on(now));
    let from = pause.map_or(now, |pause| pause.until);
    let assigns = |workflow: &&std::sync::Arc<Workflow>| {
        let serves = workflow.tokens.as_ref().is_none_or(|tokens| tokens.contains(token));
        serves && workflow.steps.iter().any(|step| matches!(step, Step::Apply { .. }))
    };
    let due = app.engine.settings.workflows.values().filter(assigns).filter_map(|workflow| {
        Some((workflow.timing.as_ref()?.schedule.next_due(from)?, workflow.name.clone()))
    });
    let due = due.min();
    let when = match &due {
        Some((at, workflow)) => format!("at the next run of {workflow}, {}", time(*at)),
        None => "at the next run by hand".to_owned(),
    };
    let words = if let Some(pause) = pause {
        let why = match pause.why {
            Refusal::Failed => "Apple would not assign it and gave no reason",
            Refusal::Throttled => "Apple wants it left alone for so long",
            Refusal::NotAccessible => "Apple says it is not this server's, or until it is added again",
        };
        format!("nothing before {}: {why}; then {when}", time(pause.until))
    } else {
        match verdict.map(|it| &it.verdict.decision) {
            Some(Decision::Assign { profile }) => {
                let wanted = app.config.profiles.get(profile).map(|(_, definition)| &definition.digest);
                let defined = app.engine.store.defined_profiles(token).await?;
                let current = known.on().and_then(|on| defined.get(on));
                if current.is_some_and(|(name, digest)| name == profile && Some(digest) == wanted) {
                    format!("nothing, it has the profile it should have; looked at again {when}")
                } else {
                    format!("gets {profile} {when}")
                }
            }
            Some(Decision::Hold { until: Some(until) }) if *until > now => {
                format!("held until {}; the policy is asked again {when}", time(*until))
            }
            _ => format!("the policy is asked again {when}"),
        }
    };
    let (at, workflow) = due.unzip();
    Ok(Next { words, at, workflow })
}
