//! `deputy workflow`: what is done, and when; and whether the files are right.

mod check;
mod next;
pub(crate) mod pause;
mod show;

use domain::agenda::WorkflowPause;
use domain::id::WorkflowName;
use domain::workflow::{Mode, Workflow};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::Common;
use crate::app::{App, Policies};
use crate::exit::{Exit, Outcome};
use crate::output::{print_json, print_table, time};

/// What `deputy workflow` can do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Show every workflow, its steps, and when it runs next
    List,
    /// Show what a workflow will do, step by step, with everything its file leaves out
    Show {
        /// The workflow
        workflow: WorkflowName,
    },
    /// Show the times to come, on the clocks of the workflow and in UTC
    Next {
        /// The workflow [default: all that have a schedule]
        workflow: Option<WorkflowName>,
        /// How many times
        #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
        count: u32,
    },
    /// Keep a workflow from running on its schedule, for a reason
    Pause(pause::Pause),
    /// Let a workflow run on its schedule again
    Resume(pause::Resume),
    /// Check deputy.toml, profiles/, workflows/, tables and the settings of every plugin: all mistakes at once
    Check,
}

/// Carries the command out.
pub(crate) async fn run(common: &Common, command: Command) -> Outcome {
    match command {
        Command::List => list(common).await,
        Command::Show { workflow } => show::run(common, &workflow).await,
        Command::Next { workflow, count } => next::run(common, workflow.as_ref(), count).await,
        Command::Pause(arguments) => pause::pause(common, arguments).await,
        Command::Resume(arguments) => pause::resume(common, arguments).await,
        Command::Check => check::run(common).await,
    }
}

async fn list(common: &Common) -> Outcome {
    let app = App::open(&common.config, Policies::Unused).await?;
    let now = app.engine.now();
    let pauses = app.engine.store.pauses().await?;
    let (mut rows, mut data) = (Vec::new(), Vec::new());
    for workflow in app.engine.settings.workflows.values() {
        let schedule = workflow.timing.as_ref().map(|timing| &timing.schedule);
        let pause = pauses.get(&workflow.name).filter(|pause| pause.is_on(now));
        let next = next_start(workflow, pause, now);
        let steps: Vec<&str> = workflow.steps.iter().map(|step| step.id.as_str()).collect();
        data.push(json!({
            "name": workflow.name, "description": workflow.description, "enabled": workflow.enabled, "mode": workflow.mode,
            "steps": steps,
            "cron": schedule.map(|schedule| schedule.expression()), "next": next,
            "pause": pauses.get(&workflow.name).map(|pause| pause::as_json(&workflow.name, pause)),
        }));
        rows.push([
            workflow.name.to_string(),
            schedule.map_or("by hand", |schedule| schedule.expression()).to_owned(),
            match (next, pause) {
                _ if !workflow.enabled => "disabled".to_owned(),
                (_, Some(pause)) => pause::in_words(pause),
                (Some(next), None) if workflow.mode == Mode::Shadow => format!("{} (shadow)", time(next)),
                (None, None) => "-".to_owned(),
                (Some(next), None) => time(next),
            },
            steps.join(", "),
        ]);
    }
    if common.json {
        print_json("workflows", &data.into());
    } else {
        print_table(["workflow", "schedule", "next", "steps"], rows, "no workflows; put one into workflows/");
    }
    Ok(Exit::Success)
}

/// When it starts next by itself: not in a pause, and never in one without an end.
fn next_start(workflow: &Workflow, pause: Option<&WorkflowPause>, now: Timestamp) -> Option<Timestamp> {
    let from = match pause {
        None => now,
        // The pause is over at its end, so a time of that very moment is none of it.
        Some(pause) => pause.until?.checked_sub(SignedDuration::from_nanos(1)).ok()?.max(now),
    };
    workflow.next_start(from)
}
