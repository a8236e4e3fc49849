//! `deputy approve`: a person's word on a plan that waits for it.

mod look;

use domain::report::{heading, waits_for};
use domain::run::{Outcome as StepOutcome, Run};
use domain::token::about_from_now;
use domain::waiting::{Answer, CameTo, End};
use domain::workflow::Mode;
use engine::runner::{Approval, Approvals};
use engine::store::Waiting;
use serde_json::json;

use super::freeze::{self, Freezing};
use super::given::ask;
use super::run::{Manner, carry_out};
use super::runs::find;
use crate::Common;
use crate::app::{App, Policies};
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{print, print_json, print_table, time};
use crate::{person, reason};

/// What `deputy approve` takes.
#[derive(clap::Args)]
#[command(
    after_help = "Shows the plan and asks. Then carries the workflow out again, for the tokens whose plan waits, and lets through \
exactly that plan, by its digest: the same devices from the same profiles to the same profiles, in the same wording. If it \
would be another plan by now, you are asked again, and told how it differs. If it cannot be carried out now, because Apple \
does not answer or deputy.toml has a freeze, your word holds: the next run of the workflow tries again, until it lapses.

Without RUN: shows what waits."
)]
pub(crate) struct Arguments {
    /// The run that waits, or `last`
    run: Option<String>,
    /// Refuse its plan: the run is over, and the same plan is not asked about again
    #[arg(long)]
    refuse: bool,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Do it without asking; without this and without a terminal, only show what would be done
    #[arg(long, conflicts_with = "refuse")]
    yes: bool,
    #[command(flatten)]
    freezing: Freezing,
}

/// Carries the command out.
pub(crate) async fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let Arguments { run: wanted, refuse: refuses, reason, yes, freezing } = arguments;
    let reason = reason.as_deref().map(reason::one_line).transpose()?.filter(|reason| !reason.is_empty());
    let app = App::open(&common.config, Policies::Unused).await?;
    app.engine.lapse().await?;
    let Some(wanted) = wanted else {
        if *refuses || *yes || reason.is_some() {
            return Err(Problem::usage("say which run is meant").hint("`deputy approve` shows what waits"));
        }
        return list(common, &app).await;
    };
    let run = asked_by(&app, find(&app, wanted).await?).await?;
    let waiting = app.engine.store.waiting(Some(&run.id)).await?;
    let answer = Answer { who: person::name(), at: app.engine.now(), reason: reason.map(str::to_owned) };
    if *refuses {
        return refuse(common, &app, &run, &waiting, answer).await;
    }
    let approved = if run.dry { dry(&run, &answer)? } else { open(&app, &run, &waiting, &answer)? };
    let workflow = app.workflow(&run.workflow)?;
    if workflow.mode == Mode::Shadow {
        return Err(Problem::usage(format!("{} runs in shadow mode: it sends nothing", workflow.name))
            .hint("take `mode = \"shadow\"` out of the workflow; its next run asks again"));
    }
    if !yes {
        look::show(common, &app, &run).await?;
    }
    if run.dry {
        eprintln!("note: run {} was a dry run, only to see: nothing waits for an answer", run.id);
    }
    if !workflow.enabled {
        eprintln!(
            "note: {} is disabled: its file says `enabled = false`; this runs it all the same",
            workflow.name
        );
    }
    if !yes && !ask(common)? {
        let problem = Problem::new(Exit::NeedsPerson, "it was not confirmed, so nothing was changed");
        return Err(problem.hint(format!("`deputy approve {} --yes` confirms it", run.id)));
    }
    let tokens: Vec<_> = approved.keys().map(|(token, _)| token.clone()).collect();
    if !run.dry {
        // On record before anything is done: whatever keeps this run from it, the next one has their word.
        if app.engine.store.approve(&run.id, answer).await?.is_empty() {
            let waiting = app.engine.store.waiting(Some(&run.id)).await?;
            return Err(waiting.first().map_or_else(|| nothing_waits(&run), |it| is_over(&run, it)));
        }
        if let Some(frozen) = freeze::on(&app, &tokens, *freezing) {
            let run = app.engine.store.run(&run.id).await?.unwrap_or(run);
            if common.json {
                print_json("run", &json!(run));
            } else {
                print(&heading(&run));
                print(&format!("nothing is changed at Apple now; {}", frozen.in_words()));
            }
            return Ok(Exit::Success);
        }
    }
    let app = app.with_policies_of(&workflow);
    let manner = Manner { tokens: Some(tokens), approved, freezing: *freezing, ..Manner::default() };
    carry_out(common, &app, &workflow, manner).await
}

/// The run that asked: this one, or the earlier one whose plan it made again, or tried in vain to carry out.
async fn asked_by(app: &App, run: Run) -> Outcome<Run> {
    if run.steps.iter().any(waits_itself) {
        return Ok(run);
    }
    for step in &run.steps {
        let (asked, is_it) = match &step.outcome {
            Some(StepOutcome::Waits(waits)) => (waits.planned.same_as.as_ref(), true),
            Some(StepOutcome::Declined { run, .. }) => (Some(run), true),
            Some(StepOutcome::Planned(planned)) => (planned.approved.as_ref(), false),
            _ => (None, false),
        };
        let Some(asked) = asked else { continue };
        let waits = app.engine.store.waiting(Some(asked)).await?.iter().any(|it| it.waited.end.is_none());
        if is_it || waits {
            return Ok(app.engine.store.run(asked).await?.unwrap_or(run));
        }
    }
    Ok(run)
}

fn waits_itself(step: &domain::run::StepRecord) -> bool {
    matches!(&step.outcome, Some(StepOutcome::Waits(waits)) if waits.is_new())
}

/// What waits of a run, or was refused and may be approved after all.
fn open(app: &App, run: &Run, waiting: &[Waiting], answer: &Answer) -> Outcome<Approvals> {
    let can = |it: &&Waiting| it.waited.end.is_none() || it.waited.is_refused().is_some();
    let open: Vec<&Waiting> = waiting.iter().filter(can).collect();
    if open.is_empty() {
        return Err(waiting.first().map_or_else(|| nothing_waits(run), |it| is_over(run, it)));
    }
    let mut approved = Approvals::new();
    for it in &open {
        let Waiting { asker, plan, reviewed, .. } = it;
        match app.engine.orphaned(asker) {
            Some(why) if open.len() == 1 => {
                let problem = Problem::usage(format!(
                    "the plan of run {} for {} cannot be carried out: {why}",
                    run.id, asker.token
                ));
                return Err(problem.hint(format!("`deputy approve {} --refuse` ends it", run.id)));
            }
            Some(why) => eprintln!("note: its plan for {} cannot be carried out: {why}", asker.token),
            None => {
                let (plan, run, answer) = (plan.clone(), run.id.clone(), answer.clone());
                let approval = Approval { plan, run, reviewed: *reviewed, answer };
                approved.insert((asker.token.clone(), asker.step.clone()), approval);
            }
        }
    }
    if approved.is_empty() {
        let problem = Problem::usage(format!("none of the plans of run {} can be carried out", run.id));
        return Err(problem.hint(format!("`deputy approve {} --refuse` ends them", run.id)));
    }
    Ok(approved)
}

fn nothing_waits(run: &Run) -> Problem {
    let problem =
        Problem::usage(format!("run {} of {} has no plan that waits for a person", run.id, run.workflow));
    problem.hint(format!("`deputy runs show {}` shows what came of it", run.id))
}

fn is_over(run: &Run, it: &Waiting) -> Problem {
    let asks_again = format!("`deputy run {}` asks again, if it is still so", run.workflow);
    let hint = match &it.waited.end {
        Some(End { came_to: CameTo::Approved, by, .. }) => {
            format!("`deputy runs show {}` shows it", by.as_ref().unwrap_or(&run.id))
        }
        Some(End { came_to: CameTo::Replaced, .. }) => "`deputy approve` shows what waits".to_owned(),
        _ => asks_again,
    };
    let when = it.waited.end.as_ref().map_or_else(String::new, |end| format!(", {}", time(end.at)));
    Problem::usage(format!("the plan of run {} is over: {}{when}", run.id, it.waited.in_words())).hint(hint)
}

/// What a dry run asked about. Nobody waits for the answer: it was only to see.
fn dry(run: &Run, answer: &Answer) -> Outcome<Approvals> {
    let asked = run.steps.iter().filter_map(|step| match (&step.token, &step.outcome) {
        (Some(token), Some(StepOutcome::Waits(waits))) => {
            let approval = Approval {
                plan: waits.planned.plan.clone()?,
                run: run.id.clone(),
                reviewed: waits.planned.review.is_some(),
                answer: answer.clone(),
            };
            Some(((token.clone(), step.name().parse().ok()?), approval))
        }
        _ => None,
    });
    let asked: Approvals = asked.collect();
    if asked.is_empty() { Err(nothing_waits(run)) } else { Ok(asked) }
}

async fn refuse(common: &Common, app: &App, run: &Run, waiting: &[Waiting], answer: Answer) -> Outcome {
    if !waiting.iter().any(|it| it.waited.end.is_none()) {
        return Err(waiting.first().map_or_else(
            || nothing_waits(run),
            |it| match it.waited.is_refused() {
                Some(_) => {
                    Problem::usage(format!("the plan of run {} was {} before", run.id, it.waited.in_words()))
                }
                None => is_over(run, it),
            },
        ));
    }
    app.engine.store.refuse(&run.id, answer).await?;
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
        data.push(as_json(app, it, &why));
        rows.push([
            it.run.to_string(),
            it.asker.workflow.to_string(),
            it.asker.token.to_string(),
            time(it.waited.since),
            about_from_now(it.waited.until, app.engine.now()),
            stands(app, it, why),
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

/// A plan that waits, for machines.
pub(super) fn as_json(app: &App, it: &Waiting, why: &str) -> serde_json::Value {
    let Waiting { run, asker, plan, waited, .. } = it;
    json!({
        "run": run, "workflow": asker.workflow, "token": asker.token, "step": asker.step, "plan": plan,
        "since": waited.since, "until": waited.until, "why": why,
        "approved": waited.is_approved(), "cannot": app.engine.orphaned(asker),
    })
}

/// How it stands with a plan that waits: what is in the way of it, or else why it waits.
pub(super) fn stands(app: &App, it: &Waiting, why: String) -> String {
    match (app.engine.orphaned(&it.asker), it.waited.is_approved()) {
        (Some(cannot), _) => format!("cannot be carried out: {cannot}"),
        (None, Some(_)) => it.waited.in_words(),
        (None, None) => why,
    }
}

/// Why a plan waits: what its run has on record.
pub(super) async fn why(app: &App, waiting: &Waiting) -> Outcome<String> {
    let run: Option<Run> = app.engine.store.run(&waiting.run).await?;
    let step = run.and_then(|run| {
        run.steps
            .into_iter()
            .find(|step| step.index == waiting.place && step.token.as_ref() == Some(&waiting.asker.token))
    });
    Ok(match step.and_then(|step| step.outcome) {
        Some(StepOutcome::Waits(waits)) => waits_for(&waits),
        _ => "its run was interrupted before it said why".to_owned(),
    })
}
