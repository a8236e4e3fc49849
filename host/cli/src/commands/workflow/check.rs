//! `deputy workflow check`: what the files say, held against each other, against what plugins can do, and against
//! the store: all mistakes at once.

use std::collections::BTreeSet;

use domain::document::{Findings, Mistakes, Severity, Source, list_of, nearest};
use domain::expected::Expected;
use domain::id::{PluginName, ProfileName, TableName};
use domain::policy::Question;
use domain::table::Table as _;
use domain::workflow::{SecretPlace, Uses, Workflow};
use engine::settings::Settings;
use engine::table::{CsvTable, Mistake, TableFile, Wrong};
use serde_json::{Value, json};

use crate::Common;
use crate::app::{self, App, Policies};
use crate::config::Config;
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{print, print_json};

/// Carries the command out.
pub(super) async fn run(common: &Common) -> Outcome {
    let (config, mut wrong) = Config::examine(&common.config)?;
    let Some(config) = config else {
        tell(common, &wrong, &[]);
        return Ok(Exit::Usage);
    };
    if !wrong.is_empty() {
        // Nothing is opened for files with mistakes; what they say of tables and plugins is looked at all the same.
        let is_right = !wrong.iter().any(|mistakes| mistakes.is_of(&config.path));
        let policies = if is_right { Policies::Checked } else { Policies::Unused };
        let settings = app::settings(&config, policies, None);
        let elsewhere = elsewhere(&config, &settings).await;
        wrong.extend(config.workflows.values().filter_map(|workflow| alone(&config, &settings, workflow)));
        tell(common, &wrong, &elsewhere);
        return Ok(Exit::Usage);
    }
    let app = App::of(config, Policies::Checked).await?;
    let (config, settings) = (&app.config, &app.engine.settings);
    let elsewhere = elsewhere(config, settings).await;
    let found = together(&app).await?;
    if !elsewhere.is_empty() || found.iter().any(Mistakes::has_errors) {
        tell(common, &found, &elsewhere);
        return Ok(Exit::Usage);
    }
    if !common.json && !found.is_empty() {
        tell(common, &found, &[]);
        eprintln!();
    }
    let (tokens, profiles) = (settings.tokens.len(), settings.profiles.len());
    let (workflows, plugins) = (settings.workflows.len(), config.plugins.len());
    let lists = settings.expected.len();
    let doubts: usize = config.doubts.values().map(|found| found.list().len()).sum();
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
        let counts = json!({
            "tokens": tokens, "profiles": profiles, "workflows": workflows, "plugins": plugins, "expected": lists,
            "warnings": mistakes_json(&found),
        });
        print_json("checked", &counts);
    } else {
        let lists = if lists == 0 { String::new() } else { format!(", lists of expected devices: {lists}") };
        print(&format!(
            "no mistakes; tokens: {tokens}, profiles: {profiles}, workflows: {workflows}, plugins: {plugins}{lists}"
        ));
    }
    Ok(Exit::Success)
}

/// Tells what is wrong: in the files, and in what they lead to.
fn tell(common: &Common, found: &[Mistakes], elsewhere: &[Elsewhere]) {
    if common.json {
        let mut list = mistakes_json(found);
        list.extend(elsewhere.iter().flat_map(Elsewhere::as_json));
        print_json("mistakes", &list.into());
        return;
    }
    if !found.is_empty() {
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        let between = if elsewhere.is_empty() { "" } else { "\n" };
        eprintln!("{}{between}", found.join("\n\n"));
    }
    elsewhere.iter().for_each(Elsewhere::print);
}

/// What is wrong with something that `deputy.toml` leads to.
enum Elsewhere {
    Table(Wrong),
    Other { what: String, hint: Option<String> },
}

impl Elsewhere {
    fn print(&self) {
        match self {
            Self::Table(mistakes) => Problem::usage(mistakes).print(),
            Self::Other { what, hint } => {
                Problem { hint: hint.clone(), ..Problem::usage(what) }.print();
            }
        }
    }

    fn as_json(&self) -> Vec<Value> {
        let one = |file: Option<&str>, line: Option<u64>, message: &str, help: Option<&String>| {
            json!({
                "file": file, "line": line, "column": null, "severity": "error", "message": message, "help": help,
                "rule": null,
            })
        };
        match self {
            Self::Table(Wrong { path, mistakes, .. }) => {
                let mistakes = mistakes.iter();
                mistakes.map(|it| one(Some(path), it.line, &it.message, it.help.as_ref())).collect()
            }
            Self::Other { what, hint } => vec![one(None, None, what, hint.as_ref())],
        }
    }
}

/// What is wrong with tables, lists of protected devices and plugins.
async fn elsewhere(config: &Config, settings: &Settings) -> Vec<Elsewhere> {
    let mut wrong = Vec::new();
    for (name, file) in &settings.tables {
        let table = file.now();
        let rows = || rows(config, name, file, table.as_deref()?);
        wrong.extend(file.wrong().or_else(rows).map(Elsewhere::Table));
    }
    for rails in config.all_rails() {
        if let Err(error) = engine::rails::whole(rails.clone()).await {
            let Problem { chain, hint, .. } = error.into();
            wrong.push(Elsewhere::Other { what: chain.join(": "), hint });
        }
    }
    for unusable in settings.policies.values().filter_map(|policy| policy.as_ref().err()) {
        wrong.push(Elsewhere::Other { what: unusable.error.clone(), hint: unusable.hint.clone() });
    }
    wrong
}

/// What is wrong, each with its place, as JSON.
fn mistakes_json(wrong: &[Mistakes]) -> Vec<Value> {
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

/// What no file is wrong in by itself.
async fn together(app: &App) -> Outcome<Vec<Mistakes>> {
    let (config, settings) = (&app.config, &app.engine.settings);
    let mut known: BTreeSet<ProfileName> = config.profiles.keys().cloned().collect();
    for token in config.tokens.keys() {
        // Devices can be on a profile whose file is gone.
        known.extend(app.engine.store.defined_profiles(token).await?.into_values().map(|(name, _)| name));
    }
    let mut found = Vec::new();
    let mut of_deputy_toml = Findings::new(Source { path: &config.path, text: &config.text });
    protected(&config.text, "/defaults", &known, &mut of_deputy_toml);
    unasked(config, &mut of_deputy_toml);
    found.push(of_deputy_toml.into_mistakes());
    for (name, workflow) in &config.workflows {
        let Some((path, text)) = config.sources.get(name) else { continue };
        let mut findings = Findings::new(Source { path, text });
        for nth in 0..workflow.steps.len() {
            protected(text, &format!("/steps/{nth}"), &known, &mut findings);
        }
        asked(settings, workflow, &mut findings);
        ping(workflow, &mut findings);
        found.push(findings.into_mistakes());
    }
    found.retain(|mistakes| !mistakes.list().is_empty());
    Ok(found)
}

/// What is wrong with a workflow whatever the other files and the store say.
fn alone(config: &Config, settings: &Settings, workflow: &Workflow) -> Option<Mistakes> {
    let (path, text) = config.sources.get(&workflow.name)?;
    let mut findings = Findings::new(Source { path, text });
    asked(settings, workflow, &mut findings);
    ping(workflow, &mut findings);
    Some(findings.into_mistakes()).filter(Mistakes::has_errors)
}

/// A name that no profile has or had protects nothing. Only a near one is surely mistyped: what is not here may
/// have been deleted before this store was made.
fn protected(text: &str, at: &str, known: &BTreeSet<ProfileName>, findings: &mut Findings<'_>) {
    let at = format!("{at}/rails/protect_profiles");
    let Ok(file) = text.parse::<toml::Table>() else { return };
    let file = serde_json::to_value(file).unwrap_or_default();
    let names = file.pointer(&at).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    for (nth, name) in names.enumerate().filter(|(_, name)| !known.iter().any(|it| it.as_str() == *name)) {
        let at = format!("{at}/{nth}");
        let message = format!("no profile is or was called `{name}`, so this protects nothing");
        match nearest(name, known.iter().map(ProfileName::as_str)) {
            Some(near) => findings.at(&at, message, Some(format!("did you mean `{near}`?"))),
            None => {
                let help = "write the name of a file in profiles/ without `.toml`, or take it out";
                findings.warn("protects-nothing", &at, message, Some(help.to_owned()));
            }
        }
    }
}

/// Plugins are asked what they answer.
fn asked(settings: &Settings, workflow: &Workflow, findings: &mut Findings<'_>) {
    for (nth, step) in workflow.steps.iter().enumerate() {
        let (key, plugin, question) = match &step.uses {
            Uses::Decide { policy, .. } => ("policy", policy, Question::Assignment),
            Uses::Plan { review: Some(review), .. } => ("review", review, Question::Review),
            Uses::Remind { policy: Some(policy), .. } => ("policy", policy, Question::Reminder),
            _ => continue,
        };
        let Some(Ok(policy)) = settings.policies.get(plugin) else { continue };
        if !policy.questions().contains(&question) {
            let answers = list_of(policy.questions().iter().map(|question| question.as_str()));
            let message = format!("`{plugin}` does not answer the question `{}`", question.as_str());
            let help = format!("it answers {answers}; name a plugin that answers this one");
            findings.at(&format!("/steps/{nth}/{key}"), message, Some(help));
        }
    }
}

/// The address of the ping is there. Variables and credentials may be the service's alone.
fn ping(workflow: &Workflow, findings: &mut Findings<'_>) {
    let Some(ping) = &workflow.promises.ping else { return };
    let Err(reason) = engine::ping::check(ping) else { return };
    match &ping.url_from {
        SecretPlace::File(_) => findings.at("/ping/url_from", reason.why, reason.advice),
        _ => findings.warn("ping", "/ping/url_from", reason.why, reason.advice),
    }
}

/// Lists that no workflow asks.
fn unasked(config: &Config, findings: &mut Findings<'_>) {
    let asked: BTreeSet<&PluginName> = config.workflows.values().flat_map(Workflow::policies).collect();
    for list in config.expected.keys().filter(|list| !asked.iter().any(|it| it.as_str() == list.as_str())) {
        let short = list.as_str().trim_start_matches("expected.");
        let message = "no workflow asks this list, so no device gets its profile from it";
        let help =
            format!("write `policy = \"{list}\"` into a step `decide`; what is late is told all the same");
        findings.warn("unasked", &format!("/expected/{short}"), message, Some(help));
    }
}

/// So many rows are told.
const MOST: usize = 20;

/// Rows of a list that cannot be kept to.
fn rows(config: &Config, name: &TableName, file: &TableFile, table: &CsvTable) -> Option<Wrong> {
    if !config.expected.contains_key(name) {
        return None;
    }
    let path = file.source().path.display().to_string();
    let rows = match table.numbered() {
        Ok(rows) => rows,
        Err(unreadable) => {
            let mistake = Mistake { line: None, message: unreadable.to_string(), help: None };
            return Some(Wrong { path, mistakes: vec![mistake], more: false });
        }
    };
    let profiles: Vec<&str> = config.profile_names.iter().map(ProfileName::as_str).collect();
    let wrong = |(line, row): (u64, Vec<String>)| {
        let (message, help) = match Expected::read(table.columns(), &row) {
            Err(wrong) => (wrong, None),
            Ok(Expected { profile: Some(profile), serial_number, .. })
                if !profiles.contains(&profile.as_str()) =>
            {
                let near = domain::document::suggestion(profile.as_str(), &profiles);
                (format!("{serial_number}: no profile is called `{profile}`"), near)
            }
            Ok(_) => return None,
        };
        Some(Mistake { line: Some(line), message, help })
    };
    let mut mistakes: Vec<Mistake> = rows.into_iter().filter_map(wrong).take(MOST + 1).collect();
    let more = mistakes.len() > MOST;
    mistakes.truncate(MOST);
    (!mistakes.is_empty()).then_some(Wrong { path, mistakes, more })
}
