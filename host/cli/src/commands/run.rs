//! `deputy run`: a workflow now; and what all commands share that carry one out.

use domain::id::{TokenName, WorkflowName};
use domain::rails::{Limit, RailsOverride};
use domain::report::report;
use domain::run::Run;
use domain::workflow::{Step, Uses, Workflow};
use engine::runner::{self, Approvals, RunOptions};
use engine::stop::Stopper;
use serde_json::json;
use std::time::Duration;

use crate::Common;
use crate::app::{App, Policies};
use crate::commands::channel;
use crate::commands::device::InWords;
use crate::commands::freeze::{self, Freezing};
use crate::commands::workflow::pause;
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{observer, print, print_json, print_table};

/// What `deputy run` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The workflow
    workflow: WorkflowName,
    /// Stop before anything is changed at Apple, and tell nobody
    #[arg(long)]
    dry_run: bool,
    /// Also if its file says `enabled = false`
    #[arg(long)]
    despite_disabled: bool,
    #[command(flatten)]
    freezing: Freezing,
    #[command(flatten)]
    scope: Scope,
}

/// What `deputy plan` takes as well.
#[derive(clap::Args)]
pub(crate) struct Scope {
    /// Only this token of the workflow's; may be repeated
    #[arg(long = "token", value_name = "NAME")]
    tokens: Vec<TokenName>,
    #[command(flatten)]
    rails: RailsArguments,
}

/// Rails for one run.
#[derive(clap::Args)]
pub(crate) struct RailsArguments {
    /// In place of the rail: the most devices of a token that get their first profile; a number, or a part such as 10%
    #[arg(long, value_name = "N")]
    first_assignments: Option<Limit>,
    /// In place of the rail: the most devices of a token that are moved to another profile; likewise
    #[arg(long, value_name = "N")]
    reassignments: Option<Limit>,
}

impl RailsArguments {
    /// What they mean for a run.
    pub(crate) fn meant(&self) -> RailsOverride {
        let Self { first_assignments, reassignments } = *self;
        RailsOverride { first_assignments, reassignments, removals: None }
    }
}

/// How a workflow is carried out by hand.
#[derive(Default)]
pub(crate) struct Manner {
    /// Change nothing at Apple.
    pub dry: bool,
    /// Change things also while deputy.toml says that nothing is changed.
    pub freezing: Freezing,
    /// Only these tokens.
    pub tokens: Option<Vec<TokenName>>,
    /// In place of the workflow's rails.
    pub rails: RailsOverride,
    /// Plans that may go ahead although they break rails, or their review asks.
    pub approved: Approvals,
    /// Show so many of the plan's actions.
    pub actions: u32,
}

/// Carries `deputy run` out.
pub(crate) async fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let app = App::open(&common.config, Policies::Unused).await?;
    let workflow = app.workflow(&arguments.workflow)?;
    if !workflow.enabled && !arguments.dry_run && !arguments.despite_disabled {
        let name = &workflow.name;
        return Err(Problem::usage(format!("the workflow `{name}` is disabled; nothing was done")).hint(format!(
            "its file says `enabled = false`; `deputy run {name} --despite-disabled` runs it all the same, \
             `deputy plan {name}` only shows what it would do"
        )));
    }
    let app = app.with_policies_of(&workflow);
    let Arguments { dry_run: dry, freezing, ref scope, .. } = *arguments;
    let manner = Manner { dry, freezing, ..scope.manner(&app)? };
    carry_out(common, &app, &workflow, manner).await
}

impl Scope {
    /// What it means for a run.
    pub(crate) fn manner(&self, app: &App) -> Outcome<Manner> {
        let tokens = if self.tokens.is_empty() { None } else { Some(app.tokens(&self.tokens)?) };
        Ok(Manner { tokens, rails: self.rails.meant(), ..Manner::default() })
    }
}

/// How long a command tries to deliver what its run has to say. The rest waits for the daemon, or for the
/// next command.
const PATIENCE: Duration = Duration::from_secs(20);

/// Carries a workflow out, shows how far it is, reports, and delivers what people are to know of it.
pub(crate) async fn carry_out(common: &Common, app: &App, workflow: &Workflow, manner: Manner) -> Outcome {
    let dry = manner.dry;
    let exit = report_on(common, app, workflow, manner).await?;
    if !dry {
        channel::left(&app.engine.deliver_now(PATIENCE).await?);
    }
    app.engine.forget_a_little().await?;
    Ok(exit)
}

async fn report_on(common: &Common, app: &App, workflow: &Workflow, manner: Manner) -> Outcome {
    let most = manner.actions;
    let Some(run) = execute(common, app, workflow, manner).await? else { return Ok(Exit::Success) };
    show(common, app, &run, most).await?;
    Ok(run.state.into())
}

/// A run in words or as data, with so many of its actions.
pub(crate) async fn show(common: &Common, app: &App, run: &Run, most: u32) -> Outcome<()> {
    let actions = app.engine.store.actions_of_run(&run.id, most).await?;
    let (mut rows, mut data) = (Vec::new(), Vec::new());
    let mut words = InWords::new(app);
    for (token, serial, action) in &actions {
        let has = match &action.from {
            None => "-".to_owned(),
            from => words.profile(token, from.as_ref()).await?,
        };
        let gets = words.target(token, action).await?;
        data.push(json!({
            "token": token, "serial_number": serial, "profile": action.profile, "from": action.from, "has": has,
            "reason": action.reason,
        }));
        rows.push([serial.to_string(), token.to_string(), gets, has, action.reason.clone()]);
    }
    if common.json {
        let mut value = json!(run);
        if most > 0 {
            value["actions"] = data.into();
        }
        print_json("run", &value);
        return Ok(());
    }
    print(&report(run));
    if !rows.is_empty() {
        print("");
        print_table(["serial", "token", "gets", "has", "because"], rows, "");
    }
    Ok(())
}

/// Closes the runs that a process left open when it ended, and says so.
pub(crate) async fn close_interrupted(app: &App) -> Outcome<()> {
    for interrupted in app.engine.close_interrupted_runs().await? {
        eprintln!("note: {interrupted}");
    }
    Ok(())
}

/// Carries a workflow out and shows how far it is.
pub(crate) async fn execute(
    common: &Common,
    app: &App,
    workflow: &Workflow,
    manner: Manner,
) -> Outcome<Option<Run>> {
    let changes = |step: &Step| matches!(step.uses, Uses::Apply { .. } | Uses::Remove { .. });
    if !manner.dry && workflow.steps.iter().any(changes) {
        let tokens = runner::tokens_of(&app.engine, workflow, manner.tokens.as_deref());
        freeze::refuse(app, &tokens, manner.freezing)?;
    }
    if let Some(pause) =
        app.engine.store.pauses().await?.get(&workflow.name).filter(|it| it.is_on(app.engine.now()))
    {
        eprintln!(
            "note: {} is {}; its schedule rests, and this run is yours",
            workflow.name,
            pause::in_words(pause)
        );
    }
    close_interrupted(app).await?;
    let (observer, bars) = observer(common.json);
    let options = RunOptions {
        dry: manner.dry,
        despite_freeze: manner.freezing.despite_freeze,
        tokens: manner.tokens,
        rails: manner.rails,
        approved: manner.approved,
        observer,
        ..RunOptions::by_hand()
    };
    let stopper = Stopper::default();
    let stop = stopper.listener();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            eprintln!("stopping at the end of the page or call; what is done is stored");
            stopper.stop();
            // Whoever asks twice does not want to wait; what is in flight is read back next time.
            let _ = tokio::signal::ctrl_c().await;
            std::process::exit(i32::from(Exit::Failure as u8));
        }
    });
    let run = runner::run(&app.engine, workflow, options, &stop).await?;
    let _ = bars.clear();
    Ok(run)
}
