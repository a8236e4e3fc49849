//! `deputy runs`: what was done, and what came of it.

mod replay;

use domain::id::{RunId, TokenName, WorkflowName};
use domain::report::report;
use domain::run::{Outcome as StepOutcome, Planned, Run, State, StepRecord, Trigger, Waits};
use domain::waiting::Waited;
use engine::store::{ActionRecord, ActionState, RunFilter, Waiting};
use serde_json::json;

use crate::Common;
use crate::app::{App, Policies};
use crate::commands::device::InWords;
use crate::commands::run::close_interrupted;
use crate::exit::{Exit, Outcome, Problem};
use crate::moment::Moment;
use crate::output::{grouped, maybe, or_dash, print, print_json, print_table, time};

/// What `deputy runs` can do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Show the latest runs, the newest first
    List {
        /// Only of this workflow
        #[arg(long, value_name = "NAME")]
        workflow: Option<WorkflowName>,
        /// Only in this state, such as succeeded, failed or needs-person; may be repeated
        #[arg(long = "state", value_name = "STATE", value_parser = in_state)]
        states: Vec<State>,
        /// Only those that did something for this token
        #[arg(long, value_name = "NAME")]
        token: Option<TokenName>,
        /// Only those that began since then: a time, a day, or how long ago, such as 2d
        #[arg(long, value_name = "TIME")]
        since: Option<Moment>,
        /// At most so many
        #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Show a run: every step, what it came to, and what was done to devices
    Show {
        /// The run, or `last`
        run: String,
        /// Show so many actions, the first by serial number
        #[arg(long, default_value_t = 20, value_name = "N")]
        actions: u32,
        /// Show which policies were asked, by which component, and what that took
        #[arg(long)]
        policies: bool,
    },
    /// Take a run back: give the devices that it changed what they had before; shows it and asks
    Rollback(super::rollback::Arguments),
    /// Ask a policy again about what a run decided on, and show what would be different; sends nothing
    Replay(replay::Arguments),
}

fn in_state(word: &str) -> Result<State, String> {
    State::from_word(word).ok_or_else(|| {
        let words: Vec<&str> = State::ALL.iter().map(|state| state.as_str()).collect();
        let help = domain::document::suggestion(word, &words);
        format!("`{word}` is no state of a run{}", help.map_or(String::new(), |help| format!("; {help}")))
    })
}

/// Carries the command out.
pub(crate) async fn run(common: &Common, command: Command) -> Outcome {
    if let Command::Rollback(arguments) = &command {
        return super::rollback::run(common, arguments).await;
    }
    let app = App::open(&common.config, Policies::Unused).await?;
    close_interrupted(&app).await?;
    app.engine.lapse().await?;
    match command {
        Command::List { workflow, states, token, since, limit } => {
            let since = since.map(|since| since.before(app.engine.now()));
            list(common, &app, RunFilter { workflow, states, token, since, limit }).await
        }
        Command::Show { run, actions, policies } => show(common, &app, &run, actions, policies).await,
        Command::Rollback(_) => unreachable!("it was carried out before anything else"),
        Command::Replay(arguments) => replay::run(common, &app, &arguments).await,
    }
}

async fn list(common: &Common, app: &App, filter: RunFilter) -> Outcome {
    let limit = filter.limit;
    let is_filtered = filter != RunFilter { limit, ..RunFilter::default() };
    let runs = app.engine.store.find_runs(filter.clone()).await?;
    if runs.is_empty() {
        is_known(app, &filter).await?;
    }
    if common.json {
        print_json("runs", &json!(runs));
        return Ok(Exit::Success);
    }
    let rows = runs.iter().map(|run| {
        let by = match run.trigger {
            Trigger::Schedule { .. } => "schedule",
            Trigger::CaughtUp { .. } => "schedule, late",
            Trigger::Hand => "hand",
        };
        let dry = match (run.dry, run.shadow) {
            (true, _) => ", dry",
            (false, true) => ", shadow",
            (false, false) => "",
        };
        [
            run.id.to_string(),
            run.workflow.to_string(),
            format!("{by}{dry}"),
            maybe(run.trigger.scheduled_at(), "-"),
            time(run.started_at),
            state(run),
        ]
    });
    print_table(
        ["run", "workflow", "by", "due", "started", "state"],
        rows.collect(),
        if is_filtered { "no such runs" } else { "no runs yet" },
    );
    Ok(Exit::Success)
}

/// Whether there is, or ever was, a workflow and a token of these names.
async fn is_known(app: &App, filter: &RunFilter) -> Outcome<()> {
    let ever =
        async |filter: RunFilter| app.engine.store.find_runs(filter).await.map(|runs| !runs.is_empty());
    if let Some(name) = &filter.workflow
        && !name.as_str().ends_with("-by-hand")
        && !app.engine.settings.workflows.contains_key(name)
        && !ever(RunFilter { workflow: Some(name.clone()), limit: 1, ..RunFilter::default() }).await?
    {
        app.workflow(name)?;
    }
    if let Some(name) = &filter.token
        && !app.config.tokens.contains_key(name)
        && !ever(RunFilter { token: Some(name.clone()), limit: 1, ..RunFilter::default() }).await?
    {
        app.tokens(std::slice::from_ref(name))?;
    }
    Ok(())
}

/// How it stands or ended; of times that were skipped, how many and why.
fn state(run: &Run) -> String {
    match &run.skipped {
        None => run.state.as_str().to_owned(),
        Some(skipped) if skipped.times == 1 => format!("skipped: {}", skipped.why.as_str()),
        Some(skipped) => {
            let (times, from) = (grouped(skipped.times), time(skipped.from));
            format!("{times} times skipped, from {from} on: {}", skipped.why.as_str())
        }
    }
}

async fn show(common: &Common, app: &App, wanted: &str, limit: u32, policies: bool) -> Outcome {
    let run = find(app, wanted).await?;
    let mut actions = app.engine.store.actions_of_run(&run.id, limit).await?;
    let mut waiting = app.engine.store.waiting(Some(&run.id)).await?;
    let mut elsewhere = None;
    // A plan that was made before is not kept twice.
    if actions.is_empty()
        && let Some(same) = run.steps.iter().find_map(same_as)
    {
        actions = app.engine.store.actions_of_run(same, limit).await?;
        waiting = app.engine.store.waiting(Some(same)).await?;
        elsewhere = Some(format!("the same plan as that of run {same}, which has its devices:"));
    }
    if common.json {
        let actions = actions.iter().map(|(token, serial, action)| {
            json!({
                "token": token, "serial_number": serial, "profile": action.profile,
                "removal": action.removal, "from": action.from,
                "reason": action.reason, "state": action.state, "answered_at": action.answered_at,
                "waited": waited(&waiting, token, action),
            })
        });
        let mut value = json!(run);
        value["actions"] = actions.collect();
        print_json("run", &value);
        return Ok(Exit::Success);
    }
    print(&report(&run));
    if policies {
        print("");
        let headings = ["step", "token", "policy", "component", "calls", "fuel", "milliseconds", "tables"];
        print_table(headings, policies_of(&run), "no policy was asked");
    }
    if !actions.is_empty() {
        print("");
        elsewhere.iter().for_each(|line| print(line));
        let (mut rows, mut words) = (Vec::new(), InWords::new(app));
        for (token, serial, action) in &actions {
            let state = waited(&waiting, token, action).map(Waited::in_brief);
            let state = state.unwrap_or_else(|| action.state.as_str().to_owned());
            let profile = words.target(token, action).await?;
            rows.push([serial.to_string(), token.to_string(), profile, state, action.reason.clone()]);
        }
        print_table(["serial", "token", "profile", "came to", "because"], rows, "");
    }
    Ok(Exit::Success)
}

/// What became of the plan of an action that its run did not send itself, if a person was asked about that. Of
/// several plans of a token, the first that is still open or ended last.
pub(super) fn waited<'a>(
    waiting: &'a [Waiting],
    token: &TokenName,
    action: &ActionRecord,
) -> Option<&'a Waited> {
    let unsent = matches!(action.state, ActionState::Planned | ActionState::Dropped);
    let of_token = waiting.iter().filter(|it| unsent && it.run == action.run && it.asker.token == *token);
    let open_last = |it: &&Waiting| it.waited.end.as_ref().map_or(jiff::Timestamp::MAX, |end| end.at);
    of_token.max_by_key(open_last).map(|it| &it.waited)
}

/// The run that has the actions of a step's plan, if it is another.
fn same_as(step: &StepRecord) -> Option<&RunId> {
    match step.outcome.as_ref()? {
        StepOutcome::Planned(planned) | StepOutcome::Waits(Waits { planned, .. }) => planned.same_as.as_ref(),
        _ => None,
    }
}

/// Who was asked in each step, and what that took.
fn policies_of(run: &Run) -> Vec<[String; 8]> {
    let rows = run.steps.iter().filter_map(|step| {
        let (policy, digest, usage, tables) = match step.outcome.as_ref()? {
            StepOutcome::Decided(it) => (it.policy.as_ref()?, it.digest.as_ref()?, &it.usage, &it.tables),
            StepOutcome::Objected { review: it, .. }
            | StepOutcome::Planned(Planned { review: Some(it), .. })
            | StepOutcome::Waits(Waits { planned: Planned { review: Some(it), .. }, .. }) => {
                (&it.policy, &it.digest, &it.usage, &it.tables)
            }
            _ => return None,
        };
        let tables: Vec<String> =
            tables.iter().map(|(name, digest)| format!("{name} {}…", digest.short())).collect();
        Some([
            step.uses.clone(),
            or_dash(step.token.as_ref().map(|token| token.as_str())),
            policy.to_string(),
            format!("{}…", digest.short()),
            usage.calls.to_string(),
            usage.fuel.to_string(),
            usage.time.as_millis().to_string(),
            or_dash(Some(&tables.join(", "))),
        ])
    });
    rows.collect()
}

pub(super) async fn find(app: &App, wanted: &str) -> Outcome<Run> {
    let run = if wanted == "last" {
        app.engine.store.runs(None, 1).await?.pop()
    } else {
        let id: RunId = wanted.parse().map_err(Problem::usage)?;
        app.engine.store.run(&id).await?
    };
    run.ok_or_else(|| {
        Problem::usage(format!("there is no run `{wanted}`")).hint("`deputy runs list` shows them")
    })
}
