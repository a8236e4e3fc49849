//! `deputy apply`: carries out a plan that `deputy plan --out` has written.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use domain::id::TokenName;
use domain::plan_file::{BadPlan, LARGEST, PlanFile};
use domain::rails::Rails;
use domain::workflow::{Uses, Workflow};

use super::freeze::Freezing;
use super::given::Wanted;
use super::run::RailsArguments;
use crate::Common;
use crate::app::{App, Policies};
use crate::exit::{Exit, Outcome, Problem};

/// What `deputy apply` takes.
#[derive(clap::Args)]
#[command(
    after_help = "Asks Apple what changed since the plan was made, and does exactly what the plan says, or nothing: it is \
refused, for each token apart, if a device has left, has been given something else meanwhile, or if a profile says \
something else now. New devices, and devices that are where the plan wants them, do not matter. The rails of the \
workflow hold. host/PLANS.md describes the file.

  deputy plan auto-assign --out friday.json
  deputy apply friday.json"
)]
pub(crate) struct Arguments {
    /// The file
    file: PathBuf,
    /// Only this token of the plan's; may be repeated
    #[arg(long = "token", value_name = "NAME")]
    tokens: Vec<TokenName>,
    #[command(flatten)]
    freezing: Freezing,
    #[command(flatten)]
    rails: RailsArguments,
}

/// Carries the command out.
pub(crate) async fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let plan = read(&arguments.file)?;
    let app = App::open(&common.config, Policies::Unused).await?;
    let (workflow, run) = (plan.workflow.clone(), plan.run.clone());
    let mut given = plan.given();
    if let Some(stranger) = arguments.tokens.iter().find(|token| !given.contains_key(*token)) {
        let names: Vec<&str> = given.keys().map(TokenName::as_str).collect();
        return Err(Problem::usage(format!("the plan says nothing of the token `{stranger}`"))
            .hint(format!("it is for {}", names.join(", "))));
    }
    given.retain(|token, _| arguments.tokens.is_empty() || arguments.tokens.contains(token));
    if given.is_empty() {
        return Err(Problem::usage(format!("{} holds no plan", arguments.file.display()))
            .hint(format!("`deputy runs show {run}` shows what kept the run from making one")));
    }
    app.tokens(&given.keys().cloned().collect::<Vec<_>>())?;
    let found = app.engine.settings.workflows.get(&workflow).cloned();
    let (app, (rails, review)) = match found.and_then(|found| Some((planning(&found)?, found))) {
        Some((planning, found)) => (app.with_policies_of(&found), planning),
        None => {
            eprintln!("note: no workflow `{workflow}` plans any more; the rails of `[defaults.rails]` hold");
            let rails = app.config.defaults.rails.clone();
            (app, (rails, None))
        }
    };
    let typed = arguments.rails.meant();
    let freezing = arguments.freezing;
    let wanted = Wanted { name: "apply-by-hand", given, rails, typed, review, freezing, left_alone: None };
    wanted.carry_out(common, &app).await
}

/// How a workflow plans.
fn planning(workflow: &Workflow) -> Option<(Rails, Option<domain::id::PluginName>)> {
    workflow.steps.iter().find_map(|step| match &step.uses {
        Uses::Plan { rails, review, .. } => Some((rails.clone(), review.clone())),
        _ => None,
    })
}

fn read(path: &Path) -> Outcome<PlanFile> {
    let file = std::fs::File::open(path).map_err(|error| Problem::file("read", path, &error))?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| Problem::file("read", path, &error))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Problem::usage(format!(
            "{} has more than {LARGEST} bytes, too many for a plan",
            path.display()
        )));
    }
    PlanFile::read(&bytes).map_err(|error| {
        let hint = match &error {
            BadPlan::Newer(_) => "use the Deputy that wrote it, or a newer one",
            BadPlan::Changed => {
                "`deputy plan WORKFLOW --out FILE` makes it anew; `deputy assign` is for other devices"
            }
            BadPlan::Shape(_) | BadPlan::Odd(_) => "`deputy plan WORKFLOW --out FILE` writes such a file",
        };
        let problem = Problem::new(Exit::Usage, format!("cannot carry out {}", path.display())).hint(hint);
        Problem { chain: vec![problem.chain[0].clone(), error.to_string()], ..problem }
    })
}
