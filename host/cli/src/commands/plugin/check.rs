//! `deputy plugin check`: everything that would be refused when a policy is loaded, all at once and in words.
//!
//! The component itself is the judge of its settings, here as in a run. The JSON Schema that it may
//! publish is for editors; where the two disagree, one of them is wrong, and the author is told.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use domain::id::Digest;
use domain::policy::Question;
use domain::verdict::{Context, Lasting};
use jiff::Timestamp;
use sandbox::{Description, Inspection, Plugin, Sandbox};
use serde_json::{Value, json};

use super::schema;
use super::subject::{self, Subject, Told};
use crate::Common;
use crate::config::Config;
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{grouped, print, print_json};

/// What `deputy plugin check` takes.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The component file, or the name of a plugin in deputy.toml
    #[arg(value_name = "FILE|NAME")]
    plugin: PathBuf,
    #[command(flatten)]
    told: Told,
}

const EXAMPLES: &str = "\
Examples:
  deputy plugin check policy.wasm
  deputy plugin check policy.wasm --settings lab.toml --profile lab,standard
  deputy plugin check site-policy       with its settings, limits and digest in deputy.toml

Ends with 0 if the policy could be run, with 2 if something keeps it from that. A warning does not.";

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Well,
    Doubtful,
    Wrong,
    /// Neither: it is so.
    Known,
    /// Could not be found out, for something else that is wrong.
    Unknown,
}

impl How {
    fn as_str(self) -> &'static str {
        match self {
            Self::Well => "ok",
            Self::Doubtful => "warning",
            Self::Wrong => "error",
            Self::Known => "info",
            Self::Unknown => "-",
        }
    }
}

/// One thing that was looked at.
struct Finding {
    what: &'static str,
    how: How,
    text: String,
    hint: Option<String>,
}

/// What was found so far.
#[derive(Default)]
struct Findings {
    list: Vec<Finding>,
}

impl Findings {
    fn add(&mut self, what: &'static str, how: How, text: impl ToString) -> &mut Finding {
        self.list.push(Finding { what, how, text: text.to_string(), hint: None });
        self.list.last_mut().expect("it was just added")
    }

    fn count(&self, how: How) -> usize {
        self.list.iter().filter(|finding| finding.how == how).count()
    }
}

impl Finding {
    fn hint(&mut self, hint: impl ToString) {
        self.hint = Some(hint.to_string());
    }
}

/// Carries the command out.
pub(crate) async fn run(common: &Common, arguments: Arguments) -> Outcome {
    let config = subject::config(common)?;
    let subject = Subject::find(common, config.as_ref(), &arguments.plugin, &arguments.told)?;
    let json = common.json;
    super::in_the_background(move || {
        // Compiled anew and once, whatever there is: how long that takes is part of the answer.
        let failed = |error: &dyn std::fmt::Display| Problem::new(Exit::Failure, error);
        let folder = tempfile::tempdir().map_err(|error| failed(&format!("no temporary folder: {error}")))?;
        let sandbox = crate::app::sandbox(Some(folder.path().to_owned())).map_err(|error| failed(&error))?;
        let found = check(&subject, config.as_ref(), &sandbox);
        tell(json, &subject, &found);
        Ok(if found.count(How::Wrong) > 0 { Exit::Usage } else { Exit::Success })
    })
    .await
}

fn check(subject: &Subject, config: Option<&Config>, sandbox: &Sandbox) -> Findings {
    let mut found = Findings::default();
    pinned(subject, config, &mut found);
    let began = Instant::now();
    let inspection = match sandbox.inspect(&subject.bytes, &subject.bounds.limits) {
        Ok(inspection) => inspection,
        Err(error) => {
            let hint = subject.bounds.hint().filter(|_| subject::is_too_much(&error));
            let finding = found.add("component", How::Wrong, error);
            if let Some(hint) = hint {
                finding.hint(hint);
            }
            for what in ["contract", "answers", "imports", "settings", "reads"] {
                found.add(what, How::Unknown, "not looked at");
            }
            return found;
        }
    };
    let compiled = format!("{} bytes, compiled in {:.2?}", grouped(inspection.size as u64), began.elapsed());
    found.add("component", How::Well, compiled);
    for (what, limit) in subject.bounds.rows() {
        // What is used of these, a call shows; here is what there is.
        found.add(what, How::Known, limit);
    }
    contract(&inspection, &mut found);
    imports(&inspection, &mut found);
    let schema = described(&inspection, &mut found);
    match inspection.check() {
        Ok(()) => loaded(subject, sandbox, schema, &mut found),
        Err(_) => {
            found.add("settings", How::Unknown, "not asked");
            found.add("reads", How::Unknown, "not asked");
        }
    }
    found
}

/// A configured plugin runs only if it is the file that the operator trusts.
fn pinned(subject: &Subject, config: Option<&Config>, found: &mut Findings) {
    let Some(plugin) =
        config.filter(|_| subject.is_configured).and_then(|config| config.plugins.get(&subject.name))
    else {
        return;
    };
    let digest = Digest::of(&subject.bytes);
    let pin =
        format!("`deputy plugin trust {}` shows what it is and writes sha256 = \"{digest}\"", subject.name);
    match &plugin.sha256 {
        Some(pinned) if *pinned == digest => {
            found.add("pinned", How::Well, digest);
        }
        Some(_) => found
            .add("pinned", How::Wrong, "it is not the file it was pinned to")
            .hint(format!("if the change is meant: {pin}")),
        None => found
            .add("pinned", How::Wrong, "it is not pinned to a digest")
            .hint(format!("if the file is the one you mean: {pin}")),
    }
}

fn contract(inspection: &Inspection, found: &mut Findings) {
    match &inspection.contract {
        Some(contract) => found.add("contract", How::Well, format!("deputy:policy@{contract}")),
        None => found.add("contract", How::Wrong, "it keeps to no version of the contract"),
    };
    let questions: Vec<&str> = inspection.questions.iter().map(|question| question.as_str()).collect();
    if !questions.is_empty() {
        found.add("answers", How::Well, questions.join(", "));
        return;
    }
    let exports = match inspection.exports.as_slice() {
        [] => "nothing".to_owned(),
        exports => exports.join(", "),
    };
    let text = format!("none of the questions that this Deputy asks; it exports {exports}");
    found
        .add("answers", How::Wrong, text)
        .hint("export `plugin` of deputy:policy and one of `assignment`, `reminder` and `review`");
}

fn imports(inspection: &Inspection, found: &mut Findings) {
    let (granted, refused): (Vec<_>, Vec<_>) = inspection.imports.iter().partition(|import| import.granted);
    if refused.is_empty() {
        let names: Vec<&str> = granted.iter().map(|import| import.name.as_str()).collect();
        let text = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        found.add("imports", How::Well, text);
        return;
    }
    for import in refused {
        found
            .add("imports", How::Wrong, format!("{} is granted to no policy", import.name))
            .hint(without(&import.name));
    }
}

/// How a component is built that does not import this.
fn without(import: &str) -> &'static str {
    match import.split_once(':').map(|(package, _)| package) {
        Some("wasi") => {
            "the language's runtime wants it. Rust: build for wasm32-unknown-unknown and not for wasip2; \
             JavaScript: componentize with `disableFeatures` for clocks, random, stdio and http; Python: \
             `componentize-py --stub-wasi`; C: link without the libraries that do input and output"
        }
        Some("deputy") => {
            "it is of a version of the contract that this Deputy does not know: build against wit/v1.1"
        }
        _ => "a policy gets all it needs as arguments: take this import out of its world",
    }
}

/// What it says of itself; the schema of its settings, if it is one.
fn described(inspection: &Inspection, found: &mut Findings) -> Option<Value> {
    let description = match inspection.description.as_ref()? {
        Ok(description) => description,
        Err(fault) => {
            found.add("describes", How::Wrong, format!("it fails to say what it is: it {fault}"));
            return None;
        }
    };
    let Description { summary, version, settings_schema } = description;
    if summary.is_empty() || version.is_empty() {
        found
            .add("describes", How::Doubtful, "it has no summary or no version")
            .hint("`plugin.describe` tells operators what they are asked to trust");
    } else {
        found.add("describes", How::Well, format!("{summary} ({version})"));
    }
    let Some(schema) = settings_schema else {
        found
            .add("schema", How::Doubtful, "it publishes no schema of its settings")
            .hint("with one, editors complete and check the settings that operators write");
        return None;
    };
    match schema::problems(schema, &json!({})) {
        Ok(_) => found.add("schema", How::Well, "its settings have a JSON Schema"),
        Err(why) => {
            found.add(
                "schema",
                How::Doubtful,
                format!("the schema of its settings is no JSON Schema: {why}"),
            );
            return None;
        }
    };
    Some(schema.clone())
}

fn loaded(subject: &Subject, sandbox: &Sandbox, schema: Option<Value>, found: &mut Findings) {
    let by_schema = schema.and_then(|schema| schema::problems(&schema, &subject.settings.value).ok());
    let plugin = match sandbox.load(subject.spec()) {
        Ok(plugin) => plugin,
        Err(sandbox::Error::Settings { problems, .. }) => {
            found.add("settings", How::Wrong, subject.settings.mistakes(problems));
            if by_schema.is_some_and(|problems| problems.is_empty()) {
                found.add(
                    "schema",
                    How::Doubtful,
                    "its own schema accepts these settings, so editors will too",
                );
            }
            found.add("reads", How::Unknown, "not asked");
            return;
        }
        Err(error @ (sandbox::Error::UngrantedTables { .. } | sandbox::Error::NoColumn { .. })) => {
            found.add("settings", How::Well, "accepted");
            match error {
                sandbox::Error::UngrantedTables { missing, .. } if !subject.is_configured => {
                    let (looks, hint) = subject.without_tables(&missing);
                    found.add("tables", How::Wrong, looks).hint(hint);
                }
                error => {
                    found.add("tables", How::Wrong, error);
                }
            }
            found.add("reads", How::Unknown, "not asked");
            return;
        }
        Err(error) => {
            found.add("settings", How::Wrong, error);
            found.add("reads", How::Unknown, "not asked");
            return;
        }
    };
    let told = if subject.settings.value.as_object().is_none_or(serde_json::Map::is_empty) {
        "accepted, though there are none"
    } else {
        "accepted"
    };
    found.add("settings", How::Well, told);
    for problem in by_schema.into_iter().flatten() {
        let text = format!("its own schema refuses settings that it accepts: {problem}");
        found.add("schema", How::Doubtful, text);
    }
    for table in plugin.tables() {
        found.add("tables", How::Well, format!("{} ({})", table.table, table.columns.join(", ")));
    }
    if !plugin.inspection().questions.contains(&Question::Assignment) {
        if plugin.inspection().lasting {
            found
                .add("lasting", How::Doubtful, "it says for how long its verdicts last, and gives none")
                .hint("export `assignment` as well, or leave `lasting` out");
        }
        return;
    }
    let reads = plugin.reads();
    let text = if reads.is_empty() { "nothing but the profile status".to_owned() } else { reads.join(", ") };
    found.add("reads", How::Well, text);
    for field in reads.iter().filter(|field| **field == "device_assigned_by") {
        found.add("people", How::Doubtful, format!("`{field}` is somebody's mail address"));
    }
    lasting(subject, &plugin, found);
}

/// For how long its verdicts last: with it, a run need not ask about devices that have not changed.
fn lasting(subject: &Subject, plugin: &Plugin, found: &mut Findings) {
    if !plugin.inspection().lasting {
        let text =
            "it does not say for how long its verdicts last: it is asked about every device in every run";
        let hint = "version 1.1 of the contract has a question for that, `lasting`, which is asked besides";
        found.add("lasting", How::Known, text).hint(hint);
        return;
    }
    let (now, surroundings) = (Timestamp::now(), subject.surroundings());
    let context = Context {
        now,
        utc_offset: surroundings.timezone.to_offset(now),
        token: subject.setup.tokens.first().cloned().unwrap_or_else(|| "any".parse().expect("it is a name")),
        profiles: surroundings.profiles,
        defined: BTreeMap::new(),
        tables: surroundings.tables,
    };
    let text = match plugin.answer_lasting(&context).answer {
        Ok(Lasting::Always) => "its verdicts do not look at the time".to_owned(),
        Ok(Lasting::Until(end)) => {
            format!("its verdicts are the same until {}", end.strftime("%Y-%m-%d %H:%M:%S UTC"))
        }
        Ok(Lasting::NotSaid) => "with these settings, its verdicts may be others at any time".to_owned(),
        Err(why) => {
            let text = format!("asked for how long its verdicts last, {why}");
            found
                .add("lasting", How::Doubtful, text)
                .hint("it is asked about every device in every run instead");
            return;
        }
    };
    found.add("lasting", How::Well, text);
}

fn tell(json: bool, subject: &Subject, found: &Findings) {
    let (wrong, doubtful) = (found.count(How::Wrong), found.count(How::Doubtful));
    if json {
        let list = found
            .list
            .iter()
            .map(|it| json!({ "what": it.what, "is": it.how.as_str(), "text": it.text, "hint": it.hint }));
        print_json(
            "check",
            &json!({
                "plugin": subject.shown, "file": subject.file, "sha256": Digest::of(&subject.bytes),
                "usable": wrong == 0, "findings": list.collect::<Vec<_>>(),
            }),
        );
        return;
    }
    let mut text = format!("{}\n", subject.shown);
    for Finding { what, how, text: words, hint } in &found.list {
        let words = words.replace('\n', "\n                     ");
        text += &format!("  {:<8} {what:<10} {words}\n", how.as_str());
        if let Some(hint) = hint {
            text += &format!("                     hint: {hint}\n");
        }
    }
    let things = |count: usize, thing: &str| format!("{count} {thing}{}", if count == 1 { "" } else { "s" });
    text += &match (wrong, doubtful) {
        (0, 0) => "it can be run".to_owned(),
        (0, _) => format!("it can be run; {}", things(doubtful, "warning")),
        _ => format!("it cannot be run: {}", things(wrong, "error")),
    };
    print(&text);
}
