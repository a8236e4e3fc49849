//! What happens to a device next, and when.

use domain::freeze::frozen;
use domain::id::{PluginName, WorkflowName};
use domain::pause::Refusal;
use domain::verdict::Decision;
use domain::workflow::{Mode, Step, Uses, Workflow};
use engine::store::{ActionState, StoredDevice, StoredVerdict, Waiting};
use jiff::Timestamp;

use crate::app::App;
use crate::exit::Outcome;
use crate::output::time;

/// Among so many actions on a device, the latest, is one that waits.
const LATEST: u32 = 20;

/// What happens next.
pub(super) struct Next {
    /// In words.
    pub(super) words: String,
    /// When, if that is known.
    pub(super) at: Option<Timestamp>,
    /// In the run of which workflow.
    pub(super) workflow: Option<WorkflowName>,
}

/// The next run that looks at a device: when, of which workflow, and what is to be known of it.
struct Look {
    at: Option<Timestamp>,
    workflow: Option<WorkflowName>,
    words: String,
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
    let Look { at, workflow, words: when } =
        look(app, stored, pause.map_or(now, |pause| pause.until)).await?;
    if let Some(words) = waits(app, stored).await? {
        return Ok(Next { words, at, workflow });
    }
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
                } else if let Some(frozen) = frozen(&app.engine.settings.freezes, token, at.unwrap_or(now)) {
                    // Runs go on, and change nothing before that.
                    let Look { at, workflow, words: when } = look(app, stored, frozen.until).await?;
                    let words = format!("{}; then gets {profile} {when}", frozen.in_words());
                    return Ok(Next { words, at, workflow });
                } else if let Some((policy, workflow)) = verdict.map(|it| &it.policy).zip(workflow.as_ref())
                    && !asks(app, workflow, policy)
                {
                    format!(
                        "{workflow} does not ask {policy}, who wants {profile} for it; its own policies are asked {when}"
                    )
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
    Ok(Next { words, at, workflow })
}

/// Whether this workflow decides by this policy.
fn asks(app: &App, workflow: &WorkflowName, policy: &PluginName) -> bool {
    let steps = app.engine.settings.workflows.get(workflow).map(|workflow| workflow.steps.as_slice());
    let asked = |step: &Step| matches!(&step.uses, Uses::Decide { policy: asked, .. } if asked == policy);
    steps.unwrap_or_default().iter().any(asked)
}

/// That the device is in a plan that waits for a person's word.
async fn waits(app: &App, stored: &StoredDevice) -> Outcome<Option<String>> {
    let StoredDevice { token, known } = stored;
    let store = &app.engine.store;
    let waiting = store.waiting(None).await?;
    if !waiting.iter().any(|waiting| waiting.asker.token == *token) {
        return Ok(None);
    }
    let actions = store.actions_of(token, &known.device.serial_number, LATEST).await?;
    let unsent = |state| matches!(state, ActionState::Planned | ActionState::Dropped);
    let planned = actions.iter().filter(|action| unsent(action.state));
    let mut asked = planned.filter_map(|action| {
        waiting.iter().find(|waiting| waiting.run == action.run && waiting.asker.token == *token)
    });
    Ok(asked.next().map(|Waiting { run, waited, .. }| {
        let until = waited.until;
        if let Some(answer) = waited.is_approved() {
            return format!(
                "is in the plan of run {run}, approved by {answer}: the next run tries to carry it out"
            );
        }
        format!(
            "waits for a person until {}: `deputy runs show {run} --actions 1000` shows the plan it is in, \
             `deputy approve {run}` lets that go ahead",
            time(until)
        )
    }))
}

/// The first run from then on that may assign the device. A workflow that a person has paused runs when that is over.
async fn look(app: &App, stored: &StoredDevice, from: Timestamp) -> Outcome<Look> {
    let assigns = |workflow: &&std::sync::Arc<Workflow>| {
        let serves = workflow.tokens.as_ref().is_none_or(|tokens| tokens.contains(&stored.token));
        let assigns = workflow.steps.iter().any(|step| matches!(step.uses, Uses::Apply { .. }));
        serves && assigns && workflow.enabled && workflow.mode == Mode::Live
    };
    let pauses = app.engine.store.pauses().await?;
    let (mut first, mut paused): (Option<(Timestamp, &WorkflowName)>, _) = (None, None);
    for workflow in app.engine.settings.workflows.values().filter(assigns) {
        if workflow.timing.is_none() {
            continue;
        }
        let pause = pauses.get(&workflow.name);
        let from = match pause.map(|pause| pause.until) {
            None => from,
            Some(Some(until)) => from.max(until),
            Some(None) => {
                paused = pause.map(|pause| (&workflow.name, pause));
                continue;
            }
        };
        let due = workflow.next_start(from).map(|at| (at, &workflow.name));
        first = [first, due].into_iter().flatten().min();
    }
    Ok(match (first, paused) {
        (Some((at, workflow)), _) => {
            let pause = pauses.get(workflow).map_or(String::new(), |pause| {
                format!(" (until then it is paused by {}: {})", pause.who, pause.reason)
            });
            let words = format!("at the next run of {workflow}, {}{pause}", time(at));
            Look { at: Some(at), workflow: Some(workflow.clone()), words }
        }
        (None, Some((workflow, pause))) => Look {
            at: None,
            workflow: Some(workflow.clone()),
            words: format!(
                "when {workflow} runs again, which {} paused: {}; `deputy workflow resume {workflow}` ends that",
                pause.who, pause.reason
            ),
        },
        (None, None) => Look { at: None, workflow: None, words: "at the next run by hand".to_owned() },
    })
}
