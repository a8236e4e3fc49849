//! `deputy workflow pause` and `deputy workflow resume`: a person keeps a workflow from running on its
//! schedule, says why, and lets it run again.

use domain::agenda::WorkflowPause;
use domain::id::WorkflowName;
use engine::daemon;
use serde_json::json;

use crate::Common;
use crate::app::{App, Policies};
use crate::exit::{Exit, Outcome, Problem};
use crate::moment::Moment;
use crate::output::{print, print_json, time};
use crate::{person, reason};

/// What `deputy workflow pause` takes.
#[derive(clap::Args)]
#[command(
    after_help = "Its scheduled times are put on record as skipped, with who and why. A run that is going on goes on, \
and `deputy run` still runs it when a person wants it now. The pause is kept in the store: it outlasts a restart."
)]
pub(crate) struct Pause {
    /// The workflow
    name: WorkflowName,
    /// Why, for whoever wonders
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Until when: 2027-03-01, 2027-03-01T09:00:00Z, or for so long, such as 3d [default: until it is resumed]
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
}

/// What `deputy workflow resume` takes.
#[derive(clap::Args)]
pub(crate) struct Resume {
    /// The workflow
    name: WorkflowName,
}

/// Carries out `deputy workflow pause`.
pub(super) async fn pause(common: &Common, arguments: Pause) -> Outcome {
    let Pause { name, reason, until } = arguments;
    let app = App::open(&common.config, Policies::Unused).await?;
    let workflow = app.workflow(&name)?;
    let now = app.engine.now();
    let until = until.map(|until| until.after(now));
    let reason = reason::one_line(&reason)?.to_owned();
    if reason.is_empty() {
        return Err(
            Problem::usage("a pause without a reason puzzles whoever finds it").hint("`--reason TEXT`")
        );
    }
    if until.is_some_and(|until| until <= now) {
        return Err(Problem::usage("that moment has passed")
            .hint(format!("`deputy workflow resume {name}` ends a pause")));
    }
    if workflow.timing.is_none() {
        return Err(Problem::usage(format!("{name} has no schedule, so there is nothing to pause"))
            .hint("only `deputy run` starts it"));
    }
    let pause = WorkflowPause { who: person::name(), reason, since: now, until };
    let before = app.engine.store.pauses().await?.remove(&name).filter(|before| before.is_on(now));
    app.engine.store.pause_workflow(&name, pause.clone()).await?;
    if common.json {
        print_json("pause", &as_json(&name, &pause));
    } else {
        let until = match pause.until {
            Some(until) => format!("until {}", time(until)),
            None => format!("until `deputy workflow resume {name}`"),
        };
        print(&format!("{name} does not run on its schedule {until}."));
        if let Some(before) = before {
            print(&format!("This takes the place of an earlier one: {}.", in_words(&before)));
        }
    }
    Ok(Exit::Success)
}

/// Carries out `deputy workflow resume`.
pub(super) async fn resume(common: &Common, arguments: Resume) -> Outcome {
    let Resume { name } = arguments;
    let app = App::open(&common.config, Policies::Unused).await?;
    // What went by while it was paused, and no daemon put on record, is skipped for that and not missed.
    if let Some(workflow) = app.engine.settings.workflows.get(&name) {
        daemon::put_pause_on_record(&app.engine, workflow).await?;
    }
    let Some(pause) = app.engine.store.resume_workflow(&name).await? else {
        app.workflow(&name)?;
        return Err(Problem::usage(format!("{name} is not paused"))
            .hint("`deputy workflow list` shows what is, and when each runs next"));
    };
    let next = app.engine.settings.workflows.get(&name).and_then(|it| it.next_start(app.engine.now()));
    let is_disabled = app.engine.settings.workflows.get(&name).is_some_and(|workflow| !workflow.enabled);
    if common.json {
        let mut value = as_json(&name, &pause);
        value["next"] = json!(next);
        print_json("resumed", &value);
    } else if is_disabled {
        print(&format!(
            "{name} is not paused any more. It still does not run on its schedule: its file says `enabled = false`."
        ));
    } else {
        let next = next.map_or_else(|| "by hand only".to_owned(), |at| format!("next at {}", time(at)));
        print(&format!("{name} runs on its schedule again, {next}."));
    }
    Ok(Exit::Success)
}

/// A pause, for machines.
pub(crate) fn as_json(name: &WorkflowName, pause: &WorkflowPause) -> serde_json::Value {
    json!({
        "workflow": name, "who": pause.who, "reason": pause.reason, "since": pause.since, "until": pause.until,
    })
}

/// A pause, for people.
pub(crate) fn in_words(pause: &WorkflowPause) -> String {
    let until = pause.until.map_or_else(String::new, |until| format!(" until {}", time(until)));
    format!("paused{until} by {}", pause.in_words())
}
