//! `deputy approve`: a person's word on a plan that waits for it.

use domain::report::{heading, waits_for};
use domain::run::{Outcome as StepOutcome, Run};
use domain::token::about_from_now;
use domain::workflow::Mode;
use engine::runner::{Approval, Approvals};
use engine::store::{CameTo, Waiting};
use serde_json::json;

use super::freeze::Freezing;
use super::run::{Manner, carry_out};
use super::runs::find;
use crate::Common;
use crate::app::{App, Policies};
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{print, print_json, print_table, time};

/// What `deputy approve` takes.
#[derive(clap::Args)]
#[command(
    after_help = "Carries the workflow out again, for the tokens whose plan waits, and lets through exactly that plan, by its \
digest: the same devices from the same profiles to the same profiles, in the same wording. If it would be another plan \
by now, you are asked again, and told how it differs.

Without RUN: shows what waits."
)]
pub(crate) struct Arguments {
    /// The run that waits, or `last`
    run: Option<String>,
    /// Refuse its plan: the run is over, and the same plan is not asked about again
    #[arg(long)]
    refuse: bool,
    /// Carry out what a dry run has asked about
    #[arg(long, conflicts_with = "refuse")]
    yes: bool,
    #[command(flatten)]
    freezing: Freezing,
}

/// Carries the command out.
pub(crate) async fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let app = App::open(&common.config, Policies::Unused).await?;
    app.engine.lapse().await?;
    let Some(wanted) = &arguments.run else {
        if arguments.refuse || arguments.yes {
            return Err(Problem::usage("say which run is meant").hint("`deputy approve` shows what waits"));
        }
        return list(common, &app).await;
    };
    let run = asked_by(&app, find(&app, wanted).await?).await?;
    let waiting = app.engine.store.waiting(Some(&run.id)).await?;
    if arguments.refuse {
        return refuse(common, &app, &run, &waiting).await;
    }
    let approved = if run.dry { dry(&run, arguments.yes)? } else { open(&run, waiting)? };
    let workflow = app.workflow(&run.workflow)?;
    if workflow.mode == Mode::Shadow {
        return Err(Problem::usage(format!("{} runs in shadow mode: it sends nothing", workflow.name))
            .hint("take `mode = \"shadow\"` out of the workflow; its next run asks again"));
    }
    let app = app.with_policies_of(&workflow);
    let tokens = Some(approved.keys().map(|(token, _)| token.clone()).collect());
    let manner = Manner { tokens, approved, freezing: arguments.freezing, ..Manner::default() };
    carry_out(common, &app, &workflow, manner).await
}

/// The run that asked: this one, or the earlier one whose plan it made again.
async fn asked_by(app: &App, run: Run) -> Outcome<Run> {
    let asked = run.steps.iter().find_map(|step| match &step.outcome {
        Some(StepOutcome::Waits(waits)) => waits.planned.same_as.clone(),
        Some(StepOutcome::Declined { run, .. }) => Some(run.clone()),
        _ => None,
    });
    match asked {
        Some(asked) if !run.steps.iter().any(waits_itself) => {
            Ok(app.engine.store.run(&asked).await?.unwrap_or(run))
        }
        _ => Ok(run),
    }
}

fn waits_itself(step: &domain::run::StepRecord) -> bool {
    matches!(&step.outcome, Some(StepOutcome::Waits(waits)) if waits.is_new())
}

/// What waits of a run, or was refused and may be approved after all.
fn open(run: &Run, waiting: Vec<Waiting>) -> Outcome<Approvals> {
    let can = |it: &Waiting| it.end.as_ref().is_none_or(|end| end.how == CameTo::Refused);
    if let Some(over) = waiting.iter().find(|it| !can(it)).filter(|_| !waiting.iter().any(can)) {
        return Err(is_over(run, over));
    }
    if waiting.is_empty() {
        return Err(nothing_waits(run));
    }
    let approved = waiting.into_iter().filter(can).map(|it| {
        let approval = Approval { plan: it.plan, run: run.id.clone(), reviewed: it.reviewed };
        ((it.asker.token, it.asker.place), approval)
    });
    Ok(approved.collect())
}

fn nothing_waits(run: &Run) -> Problem {
    let problem =
        Problem::usage(format!("run {} of {} has no plan that waits for a person", run.id, run.workflow));
    problem.hint(format!("`deputy runs show {}` shows what came of it", run.id))
}

fn is_over(run: &Run, it: &Waiting) -> Problem {
    let (how, by) = it.end.as_ref().map_or((CameTo::Lapsed, None), |end| (end.how, end.by.clone()));
    let by = by.as_ref().map_or("another run".to_owned(), |by| format!("run {by}"));
    let (what, hint) = match how {
        CameTo::Approved => (
            format!("was approved, and carried out by {by}"),
            format!("`deputy runs show {}` shows it", run.id),
        ),
        CameTo::Replaced => {
            (format!("gave its place to that of {by}"), "`deputy approve` shows what waits".to_owned())
        }
        CameTo::Lapsed | CameTo::Refused => (
            format!("lapsed at {}: nobody approved it in time", time(it.until)),
            format!("`deputy run {}` asks again, if it is still so", run.workflow),
        ),
    };
    Problem::usage(format!("the plan of run {} {what}", run.id)).hint(hint)
}

/// What a dry run asked about. Nobody waits for the answer: it was only to see.
fn dry(run: &Run, yes: bool) -> Outcome<Approvals> {
    let asked = run.steps.iter().filter_map(|step| match (&step.token, &step.outcome) {
        (Some(token), Some(StepOutcome::Waits(waits))) => {
            let approval = Approval {
                plan: waits.planned.plan.clone()?,
                run: run.id.clone(),
                reviewed: waits.planned.review.is_some(),
            };
            Some(((token.clone(), step.index), approval))
        }
        _ => None,
    });
    let asked: Approvals = asked.collect();
    if asked.is_empty() {
        return Err(nothing_waits(run));
    }
    if !yes {
        let problem = Problem::new(
            Exit::NeedsPerson,
            format!("run {} was a dry run, only to see: nothing waits for an answer", run.id),
        );
        return Err(problem.hint(format!(
            "`deputy approve {} --yes` carries {} out in earnest, and lets through exactly that plan",
            run.id, run.workflow
        )));
    }
    Ok(asked)
}

async fn refuse(common: &Common, app: &App, run: &Run, waiting: &[Waiting]) -> Outcome {
    if !waiting.iter().any(|it| it.end.is_none()) {
        return Err(waiting.first().map_or_else(
            || nothing_waits(run),
            |it| match &it.end {
                Some(end) if end.how == CameTo::Refused => {
                    Problem::usage(format!("the plan of run {} was refused before", run.id))
                }
                _ => is_over(run, it),
            },
        ));
    }
    app.engine.store.refuse(&run.id, app.engine.now()).await?;
    let run = app.engine.store.run(&run.id).await?.unwrap_or_else(|| run.clone());
    if common.json {
        print_json("run", &json!(run));
    } else {
        print(&heading(&run));
    }
    Ok(Exit::Success)
}

/// What waits.
async fn list(common: &Common, app: &App) -> Outcome {
    let waiting = app.engine.store.waiting(None).await?;
    let (mut rows, mut data) = (Vec::new(), Vec::new());
    for it in &waiting {
        let why = why(app, it).await?;
        let Waiting { run, asker, plan, since, until, .. } = it;
        data.push(json!({
            "run": run, "workflow": asker.workflow, "token": asker.token, "plan": plan, "since": since,
            "until": until, "why": why,
        }));
        rows.push([
            run.to_string(),
            asker.workflow.to_string(),
            asker.token.to_string(),
            time(*since),
            about_from_now(*until, app.engine.now()),
            why,
        ]);
    }
    if common.json {
        print_json("waiting", &data.into());
        return Ok(Exit::Success);
    }
    print_table(
        ["run", "workflow", "token", "since", "lapses", "because"],
        rows,
        "nothing waits for a person",
    );
    Ok(Exit::Success)
}

/// Why a plan waits: what its run has on record.
pub(super) async fn why(app: &App, waiting: &Waiting) -> Outcome<String> {
    let run: Option<Run> = app.engine.store.run(&waiting.run).await?;
    let step = run.and_then(|run| {
        run.steps.into_iter().find(|step| {
            step.index == waiting.asker.place && step.token.as_ref() == Some(&waiting.asker.token)
        })
    });
    Ok(match step.and_then(|step| step.outcome) {
        Some(StepOutcome::Waits(waits)) => waits_for(&waits),
        _ => "its run was interrupted before it said why".to_owned(),
    })
}
