//! `deputy plan`: what a workflow would do; shown, or written to a file that `deputy apply` carries out.

use std::io::BufWriter;
use std::path::PathBuf;

use domain::id::{Digest, ProfileName, TokenName, WorkflowName};
use domain::plan::Action;
use domain::plan_file::{FileAction, Kind, PlanFile, TokenPlan, VERSION};
use domain::run::{Outcome as StepOutcome, Planned, Run};
use domain::workflow::{Uses, Workflow};

use super::run::{Manner, Scope, execute, show};
use crate::Common;
use crate::app::{App, Policies};
use crate::exit::{Exit, Outcome, Problem};
use crate::out_file::OutFile;

/// What `deputy plan` takes.
#[derive(clap::Args)]
#[command(
    after_help = "A plan that would wait for a person, since it breaks a rail or its review asks, is shown and written all \
the same; then the command ends with 4."
)]
pub(crate) struct Arguments {
    /// The workflow [default: the one that plans, if there is only one]
    workflow: Option<WorkflowName>,
    /// Show so many actions, the first by serial number
    #[arg(long, default_value_t = 20, value_name = "N")]
    actions: u32,
    /// Write all of the plan to this file, for `deputy apply FILE`; `-` writes it to standard output, and nothing else
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    scope: Scope,
}

/// Carries the command out.
pub(crate) async fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let app = App::open(&common.config, Policies::Unused).await?;
    let workflow = match &arguments.workflow {
        Some(name) => app.workflow(name)?,
        None => {
            let plans = |workflow: &Workflow| plan_steps(workflow) > 0;
            let mut planning = app.engine.settings.workflows.values().filter(|workflow| plans(workflow));
            match (planning.next(), planning.next()) {
                (Some(only), None) => only.clone(),
                (None, _) => return Err(Problem::usage("no workflow has a step `plan`")),
                _ => return Err(Problem::usage("several workflows plan; say which: `deputy plan WORKFLOW`")),
            }
        }
    };
    if arguments.out.is_some() && plan_steps(&workflow) == 0 {
        return Err(Problem::usage(format!("{} plans nothing, so there is nothing to write", workflow.name))
            .hint("`deputy workflow list` shows which workflows have a step `plan`"));
    }
    if arguments.out.is_some() && plan_steps(&workflow) > 1 {
        let (name, times) = (&workflow.name, plan_steps(&workflow));
        return Err(Problem::usage(format!("{name} plans {times} times, and a file holds one plan")).hint(format!(
            "copy its file for each step `plan`, under a `name` of its own, and leave the other steps `plan` and `apply` \
             and what only they need out of it; then `deputy plan NAME --out FILE` for each. `deputy plan {name}` shows all"
        )));
    }
    // Nobody waits for a plan that cannot be written.
    let out = arguments.out.as_deref().map(OutFile::open).transpose()?;
    let app = app.with_policies_of(&workflow);
    let manner = Manner { dry: true, ..arguments.scope.manner(&app)? };
    let Some(run) = execute(common, &app, &workflow, manner).await? else { return Ok(Exit::Success) };
    if !out.as_ref().is_some_and(OutFile::is_standard_output) {
        show(common, &app, &run, arguments.actions).await?;
    }
    if let Some(out) = out {
        let (file, without) = file_of(&app, &run).await?;
        let actions: usize = file.plans.iter().map(|plan| plan.actions.len()).sum();
        let place = out.shown();
        out.write(|out| file.write(BufWriter::new(out)))?;
        eprintln!("wrote {actions} {} to {place}", if actions == 1 { "action" } else { "actions" });
        if !without.is_empty() {
            let names: Vec<&str> = without.iter().map(TokenName::as_str).collect();
            eprintln!("note: it holds no plan for {}: the report says why", names.join(", "));
        }
    }
    Ok(run.state.into())
}

fn plan_steps(workflow: &Workflow) -> usize {
    workflow.steps.iter().filter(|step| matches!(step.uses, Uses::Plan { .. })).count()
}

/// All that the run would do, and the tokens for which it has no plan.
async fn file_of(app: &App, run: &Run) -> Outcome<(PlanFile, Vec<TokenName>)> {
    let mut plans = Vec::new();
    let mut without: Vec<TokenName> = run.steps.iter().filter_map(|step| step.token.clone()).collect();
    for step in &run.steps {
        let planned = match &step.outcome {
            Some(StepOutcome::Planned(planned)) => planned,
            Some(StepOutcome::Waits(waits)) => &waits.planned,
            _ => continue,
        };
        let (Some(token), Some(digest)) = (&step.token, &planned.plan) else { continue };
        without.retain(|other| other != token);
        plans.push(plan_of(app, run, token, planned, digest.clone()).await?);
    }
    plans.sort_by(|a, b| a.token.cmp(&b.token));
    without.sort();
    without.dedup();
    let (run, workflow, made_at) = (run.id.clone(), run.workflow.clone(), run.started_at);
    let digest = String::new();
    Ok((PlanFile { version: VERSION, kind: Kind::Plan, run, workflow, made_at, plans, digest }, without))
}

async fn plan_of(
    app: &App,
    run: &Run,
    token: &TokenName,
    planned: &Planned,
    plan: Digest,
) -> Outcome<TokenPlan> {
    let store = &app.engine.store;
    let state = store.sync_state(token).await?;
    let synced_at =
        store.tokens().await?.into_iter().find(|it| it.token.name == *token).and_then(|it| it.synced_at);
    let server = store.token(token).await?.map_or_else(String::new, |token| token.server_uuid);
    let profiles = app.engine.profiles(token).await?;
    let named = |action: Action| -> Option<FileAction> {
        let to: ProfileName = action.to.name()?.clone();
        let ours = action.from.as_ref().filter(|from| profiles.defined.contains_key(from));
        let from_name = ours.map(|from| profiles.in_words(from));
        let Action { serial_number, from, reason, .. } = action;
        Some(FileAction { serial_number, from, from_name, to, reason: reason.to_string() })
    };
    let actions = store.plan_actions(&run.id, token).await?.into_iter().filter_map(named).collect();
    Ok(TokenPlan {
        token: token.clone(),
        server,
        synced_at,
        cursor: state.cursor.map(|cursor| Digest::of(cursor.0.as_bytes())),
        plan,
        totals: planned.totals.clone(),
        breaches: planned.breaches.clone(),
        profiles: planned.contents.clone(),
        actions,
    })
}
