//! What a person is shown before they let a plan go ahead: numbers, broken rails, from where to where, and some
//! of the devices.

use domain::id::TokenName;
use domain::report::planned_lines;
use domain::review::{self, Move};
use domain::run::{Outcome as StepOutcome, Planned, Run};
use serde_json::{Value, json};

use crate::Common;
use crate::app::App;
use crate::exit::Outcome;
use crate::output::{or_dash, print, print_json, print_table};

/// As many devices are shown.
const SHOWN: usize = 10;

/// Shows the plans of a run that wait.
pub(super) async fn show(common: &Common, app: &App, run: &Run) -> Outcome<()> {
    let mut data = Vec::new();
    for step in &run.steps {
        let (Some(token), Some(StepOutcome::Waits(waits))) = (&step.token, &step.outcome) else { continue };
        let plan = plan(app, run, token, &waits.planned).await?;
        if common.json {
            data.push(json_of(token, &waits.planned, &plan));
        } else {
            words(run, token, &waits.planned, plan);
        }
    }
    if common.json {
        print_json("plan", &json!({ "run": run.id, "workflow": run.workflow, "plans": data }));
    }
    Ok(())
}

async fn plan(app: &App, run: &Run, token: &TokenName, planned: &Planned) -> Outcome<review::Plan> {
    let profiles = app.engine.profiles(token).await?;
    Ok(app.engine.store.plan_of_run(&run.id, token, &planned.totals, profiles).await?)
}

fn words(run: &Run, token: &TokenName, planned: &Planned, plan: review::Plan) {
    let mut lines = planned_lines(planned).into_iter();
    print(&format!("{} for {token}: {}", run.workflow, lines.next().unwrap_or_default()));
    lines.for_each(|line| print(&format!("  {line}")));
    for it in &plan.moves {
        let from = it.has();
        print(&format!("  {}: {from} -> {}", devices(it.devices), it.to));
    }
    let more = planned.totals.actions().saturating_sub(SHOWN as u64);
    let rows = plan.actions.into_iter().take(SHOWN).map(|action| {
        let moved = Move { from: action.from, to: action.to, devices: 1 };
        [action.serial_number.to_string(), has(&moved), moved.to, action.reason.to_string()]
    });
    print_table(["serial", "has", "gets", "because"], rows.collect(), "");
    if more > 0 {
        print(&format!("and {more} more: `deputy runs show {} --actions 1000` shows them", run.id));
    }
}

/// The profile a device has.
fn has(it: &Move) -> String {
    match &it.from {
        Some(_) => it.has(),
        None => or_dash(None),
    }
}

fn json_of(token: &TokenName, planned: &Planned, plan: &review::Plan) -> Value {
    let devices = plan.actions.iter().map(|action| {
        json!({
            "serial_number": action.serial_number, "from": action.from, "to": action.to, "reason": &*action.reason,
        })
    });
    json!({
        "token": token, "plan": planned.plan, "totals": planned.totals, "breaches": planned.breaches,
        "moves": plan.moves, "devices": devices.collect::<Vec<_>>(),
    })
}

fn devices(number: u64) -> String {
    format!("{number} device{}", if number == 1 { "" } else { "s" })
}
