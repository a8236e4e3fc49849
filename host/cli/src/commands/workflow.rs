//! `deputy workflow`: what is done, and when; and whether the files are right.

mod next;
pub(crate) mod pause;
mod show;

use domain::agenda::WorkflowPause;
use domain::document::{Mistakes, Severity};
use domain::id::WorkflowName;
use domain::workflow::{Mode, Workflow};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::Common;
use crate::app::{App, Policies};
use crate::config::Config;
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{print, print_json, print_table, time};

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
        Command::Check => check(common).await,
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

/// What is wrong, each with its place, as JSON.
fn mistakes_json(wrong: &[Mistakes]) -> Value {
    let one = |mistakes: &Mistakes| {
        let list = mistakes.list().iter().map(|mistake| {
            let (file, line, column) = mistakes.place(mistake);
            let severity = if mistake.severity == Severity::Error { "error" } else { "warning" };
            json!({
                "file": file, "line": line, "column": column, "severity": severity, "message": mistake.message,
                "help": mistake.help, "rule": mistake.rule,
            })
        });
        list.collect::<Vec<Value>>()
    };
    wrong.iter().flat_map(one).collect()
}

async fn check(common: &Common) -> Outcome {
    if common.json {
        let (config, wrong) = Config::examine(&common.config)?;
        if config.is_none() {
            print_json("mistakes", &mistakes_json(&wrong));
            return Ok(Exit::Usage);
        }
    }
    let app = App::open(&common.config, Policies::Checked).await?;
    let mut wrong = false;
    for table in app.engine.settings.tables.values() {
        table.now();
        if let Some(mistakes) = table.wrong() {
            Problem::usage(mistakes).print();
            wrong = true;
        }
    }
    for rails in app.config.all_rails() {
        if let Err(error) = engine::rails::whole(rails.clone()).await {
            Problem::from(error).print();
            wrong = true;
        }
    }
    let unusable: Vec<_> =
        app.engine.settings.policies.values().filter_map(|policy| policy.as_ref().err()).collect();
    for unusable in &unusable {
        let problem = Problem::usage(&unusable.error);
        match &unusable.hint {
            Some(hint) => problem.hint(hint).print(),
            None => problem.print(),
        }
    }
    if wrong || !unusable.is_empty() {
        return Ok(Exit::Usage);
    }
    let settings = &app.engine.settings;
    let (tokens, profiles) = (settings.tokens.len(), settings.profiles.len());
    let (workflows, plugins) = (settings.workflows.len(), settings.policies.len());
    let doubts: usize = app.config.doubts.values().map(|found| found.list().len()).sum();
    let folder = common.config.parent().unwrap_or(std::path::Path::new(""));
    if crate::commands::schema::are_old(folder) {
        eprintln!(
            "note: the schemas beside deputy.toml are of another Deputy; `deputy schema --dir {}` renews them",
            folder.join(crate::commands::schema::FOLDER).display()
        );
    }
    if doubts > 0 {
        eprintln!("note: doubts about profiles: {doubts}; `deputy profile check` tells them");
    }
    if common.json {
        let counts =
            json!({ "tokens": tokens, "profiles": profiles, "workflows": workflows, "plugins": plugins });
        print_json("checked", &counts);
    } else {
        print(&format!(
            "no mistakes; tokens: {tokens}, profiles: {profiles}, workflows: {workflows}, plugins: {plugins}"
        ));
    }
    Ok(Exit::Success)
}
