//! `deputy plugin try` for policies that are not about devices: who hears of these tokens, and may this plan go ahead?
//!
//! Tokens come from a file or from the store; a plan from a file or from the last run that made one. The files are in the
//! words of case files, so that what was tried becomes a case by writing down what was answered.

use std::path::{Path, PathBuf};

use cases::{Answer, Case};
use domain::id::{RunId, TokenName, WorkflowName};
use domain::plan::{Profiles, Totals};
use domain::policy::{Question, Usage};
use domain::run::Outcome as Came;
use domain::{reminder, review};
use engine::lifecycle;
use jiff::Timestamp;
use sandbox::{Line, Plugin, Trace};
use serde_json::{Value, json};

use super::devices::From;
use super::subject::Subject;
use super::{asker, project};
use crate::Common;
use crate::app::{App, Policies};
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{grouped, print, print_json};

/// What is asked, and about what.
#[derive(clap::Args, Clone, Default)]
pub(super) struct About {
    /// What to ask [default: what it answers; of several, assignment]
    #[arg(long, short)]
    question: Option<project::Question>,
    /// Ask who hears about these tokens: a TOML file with `version = 1` and [[tokens]] as in case files [default: those
    /// that were imported, with all that is known of them]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["plan", "devices", "simulated", "serial"])]
    tokens: Option<PathBuf>,
    /// Ask whether this plan may go ahead: a TOML file with `version = 1` and [plan] as in case files [default: that
    /// of the last run that made one]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["devices", "simulated", "serial"])]
    plan: Option<PathBuf>,
}

impl About {
    /// What is asked: what the command says, or what the policy answers.
    pub(super) fn question(&self, plugin: &Plugin) -> Question {
        match self {
            Self { question: Some(project::Question::Assignment), .. } => Question::Assignment,
            Self { question: Some(project::Question::Reminder), .. } => Question::Reminder,
            Self { question: Some(project::Question::Review), .. } => Question::Review,
            Self { tokens: Some(_), .. } => Question::Reminder,
            Self { plan: Some(_), .. } => Question::Review,
            _ => *plugin.inspection().questions.iter().min().unwrap_or(&Question::Assignment),
        }
    }
}

/// What was answered, and what it took.
struct Tried {
    case: Case,
    /// What it was asked about, in words.
    origin: String,
    /// None if there is no answer at all.
    answer: Option<Answer>,
    /// What has no answer, and why.
    faults: Vec<String>,
    traces: Vec<Trace>,
    log: Vec<Line>,
    usage: Usage,
}

/// Asks and shows.
pub(super) async fn run(
    common: &Common,
    about: &About,
    from: &From,
    subject: Subject,
    plugin: Plugin,
) -> Outcome {
    super::answers(&subject, &plugin, about.question(&plugin))?;
    let tried = match about.question(&plugin) {
        Question::Reminder => remind(common, about, from, &subject, plugin).await?,
        _ => review(common, about, from, &subject, plugin).await?,
    };
    match common.json {
        true => print_json("tried", &tried.as_json(&subject)),
        false => print(&tried.words(&subject)),
    }
    Ok(if tried.faults.is_empty() { Exit::Success } else { Exit::Failure })
}

async fn remind(
    common: &Common,
    about: &About,
    from: &From,
    subject: &Subject,
    plugin: Plugin,
) -> Outcome<Tried> {
    let (asked, origin) = match &about.tokens {
        Some(file) => {
            let asked: Result<Vec<_>, String> = read(file, cases::tokens)?.iter().map(asker::token).collect();
            (asked.map_err(|why| unreadable(file, &why))?, file.display().to_string())
        }
        None => (imported(common, from).await?, "the store".to_owned()),
    };
    let tokens: Vec<cases::Token> = asked.iter().map(asker::as_typed).collect();
    let now = from.moment();
    let context = reminder::Context {
        now,
        utc_offset: subject.timezone.to_offset(now),
        channels: subject.setup.channels.clone(),
        tables: subject.tables.clone(),
    };
    let channels = context.channels.clone();
    let answer = super::in_the_background(move || Ok(plugin.answer_reminder(&context, &asked))).await?;
    let mut faults = Vec::new();
    let lists = answer.answer.into_iter().zip(&tokens).map(|(answer, token)| match answer {
        Ok(list) => list.into_iter().map(|it| asker::reminder(it, &channels)).collect(),
        Err(why) => {
            faults.push(format!("{}: {why}", token.name));
            Vec::new()
        }
    });
    let answered = Answer::Reminders(lists.collect());
    let things = if tokens.len() == 1 { "token" } else { "tokens" };
    Ok(Tried {
        origin: format!("{} {things} ({origin})", tokens.len()),
        case: case(subject, cases::Question::Reminder(tokens)),
        answer: Some(answered),
        faults,
        traces: answer.traces,
        log: answer.log,
        usage: answer.usage,
    })
}

/// The tokens that were imported, as a run would tell of them.
async fn imported(common: &Common, from: &From) -> Outcome<Vec<reminder::Subject>> {
    let hint = "`--tokens FILE` takes them from a file:\n\nversion = 1\n\n[[tokens]]\nname = \"main\"\ndevices = 1200\n\
        facts = [{ kind = \"token\", ends = 2027-01-31 }]";
    if !common.config.exists() {
        let message = "there are no tokens: without a configuration there is no store";
        return Err(Problem::usage(message).hint(hint));
    }
    let app = App::open(&common.config, Policies::Unused).await?;
    let tokens = app.tokens(from.token().map_or(&[], std::slice::from_ref))?;
    let known = lifecycle::about(&app.engine, &tokens, None).await?;
    if known.is_empty() {
        let names = domain::document::list_of(tokens.iter().map(TokenName::as_str));
        let message = format!("there are no tokens: none was imported for {names}");
        return Err(Problem::usage(message).hint(format!("`deputy token import` does; {hint}")));
    }
    Ok(known.into_iter().map(|it| it.subject).collect())
}

/// A plan, and what a review is told of where it comes from.
struct Found {
    plan: review::Plan,
    origin: String,
    token: TokenName,
    workflow: WorkflowName,
    now: Timestamp,
}

async fn review(
    common: &Common,
    about: &About,
    from: &From,
    subject: &Subject,
    plugin: Plugin,
) -> Outcome<Tried> {
    let found = match &about.plan {
        Some(file) => {
            let plan = asker::plan(&read(file, cases::plan)?).map_err(|why| unreadable(file, &why))?;
            let first = || subject.setup.tokens.first().cloned();
            let name = || "main".parse().expect("that is a name");
            Found {
                plan,
                origin: format!("the plan of {}", file.display()),
                token: from.token().cloned().or_else(first).unwrap_or_else(name),
                workflow: "auto-assign".parse().expect("that is a name"),
                now: from.moment(),
            }
        }
        None => last(common, from).await?,
    };
    let Found { plan, origin, token, workflow, now } = found;
    let utc_offset = subject.timezone.to_offset(now);
    let context = review::Context { now, utc_offset, token, workflow, tables: subject.tables.clone() };
    let answer = super::in_the_background(move || Ok(plugin.answer_review(&context, &plan))).await?;
    let (answered, faults) = match answer.answer {
        Ok(opinion) => (Some(Answer::Opinion(asker::opinion(opinion))), Vec::new()),
        Err(why) => (None, vec![why.to_string()]),
    };
    Ok(Tried {
        case: case(subject, cases::Question::Review(cases::Plan::default())),
        origin,
        answer: answered,
        faults,
        traces: answer.traces,
        log: answer.log,
        usage: answer.usage,
    })
}

/// So many of the last runs are looked through for a plan.
const RUNS: u32 = 200;

/// The plan of the last run that made one.
async fn last(common: &Common, from: &From) -> Outcome<Found> {
    let hint = "`--plan FILE` takes a plan from a file; `deputy plan` makes one and changes nothing";
    if !common.config.exists() {
        return Err(Problem::usage("there is no plan: without a configuration there are no runs").hint(hint));
    }
    let app = App::open(&common.config, Policies::Unused).await?;
    let store = &app.engine.store;
    for run in store.runs(None, RUNS).await? {
        let planned = run.steps.iter().rev().find_map(|step| {
            let token = step.token.as_ref().filter(|it| from.token().is_none_or(|wanted| *it == wanted))?;
            Some((token, totals(step.outcome.as_ref()?)?))
        });
        let Some((token, totals)) = planned else { continue };
        let profiles = Profiles {
            wanted: std::collections::BTreeMap::default(),
            defined: store.defined_profiles(token).await?,
        };
        let plan = store.plan_of_run(&run.id, token, totals, profiles).await?;
        return Ok(Found {
            plan,
            origin: of_run(&run.id, token),
            token: token.clone(),
            workflow: run.workflow.clone(),
            now: run.started_at,
        });
    }
    Err(Problem::usage("there is no plan: none of the last runs made one").hint(hint))
}

fn of_run(run: &RunId, token: &TokenName) -> String {
    format!("the plan of run {run} for {token}")
}

/// The numbers of a plan that the rails let pass.
fn totals(outcome: &Came) -> Option<&Totals> {
    match outcome {
        Came::Planned(planned) if planned.same_as.is_none() => Some(&planned.totals),
        Came::Waits(waits) if waits.planned.same_as.is_none() => Some(&waits.planned.totals),
        Came::Objected { totals, .. } => Some(totals),
        _ => None,
    }
}

fn read<T>(file: &Path, parse: fn(&str) -> Result<T, cases::Error>) -> Outcome<T> {
    let text = std::fs::read_to_string(file).map_err(|error| Problem::file("read", file, &error))?;
    parse(&text).map_err(|error| unreadable(file, error.to_string().trim_end()))
}

fn unreadable(file: &Path, why: &str) -> Problem {
    Problem::usage(format!("{} cannot be read: {why}", file.display()))
}

/// The question as a case file would put it, whose words the answer is in.
fn case(subject: &Subject, question: cases::Question) -> Case {
    Case {
        name: String::new(),
        settings: subject.settings.value.clone(),
        setup: cases::Setup::default(),
        now: 0,
        utc_offset: 0,
        token: String::new(),
        workflow: String::new(),
        tables: std::collections::BTreeMap::default(),
        question,
        texts: true,
        expect: String::new(),
    }
}

impl Tried {
    fn answered(&self) -> String {
        self.answer.as_ref().map_or_else(String::new, |answer| answer.in_words(&self.case))
    }

    fn words(&self, subject: &Subject) -> String {
        let mut text = self.answered();
        if text.is_empty() && self.faults.is_empty() {
            text = "nobody hears of anything\n".to_owned();
        }
        let calls = if self.usage.calls == 1 { "call" } else { "calls" };
        text += &format!(
            "\n{} of {}\n{} fuel, in {} {calls}",
            subject.shown,
            self.origin,
            grouped(self.usage.fuel),
            grouped(self.usage.calls)
        );
        for fault in &self.faults {
            text += &format!("\nfault: {fault}");
        }
        text + &from_within(&self.traces, &self.log)
    }

    fn as_json(&self, subject: &Subject) -> Value {
        let traces = self.traces.iter().map(ToString::to_string);
        json!({
            "plugin": subject.shown, "about": self.origin, "answer": self.answered(),
            "faults": self.faults, "traces": traces.collect::<Vec<_>>(), "log": log_as_json(&self.log),
            "fuel": self.usage.fuel, "calls": self.usage.calls, "micros": self.usage.time.as_micros() as u64,
        })
    }
}

/// What a policy's author wants to see of its inside: where it failed, and what it logged.
pub(super) fn from_within(traces: &[Trace], log: &[Line]) -> String {
    let mut text = String::new();
    for trace in traces.iter().filter(|trace| !trace.frames.is_empty()) {
        text += &format!("\ntrace: {}", trace.fault);
        for frame in &trace.frames {
            text += &format!("\n         {frame}");
        }
    }
    for line in log {
        text += &format!("\nlog: {:?}: {}", line.level, line.text);
    }
    text
}

/// The log as data.
pub(super) fn log_as_json(log: &[Line]) -> Vec<Value> {
    log.iter().map(|line| json!({ "level": format!("{:?}", line.level), "text": line.text })).collect()
}
