//! `deputy plugin test`: the cases that an author wrote, and what every policy must hold.
//!
//! `plugins/CASES.md` describes the files. A case that fails is shown as the lines that were expected beside
//! those that were found; `--update` writes what was found, for the author to read in the diff.

use std::path::{Path, PathBuf};

use cases::{Case, Difference, File, Question};
use domain::device::Device;
use domain::verdict::Context;
use sandbox::{Plugin, Sandbox};
use serde_json::{Value, json};

use super::asker::Asked;
use super::devices::From;
use super::fuel::{self, Recorded};
use super::subject::{self, Subject, Told};
use super::{odd, properties};
use crate::Common;
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{bar, print, print_json};

/// What `deputy plugin test` takes.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The component file, its folder, or the name of a plugin in deputy.toml
    #[arg(value_name = "FILE|DIR|NAME")]
    plugin: PathBuf,
    #[command(flatten)]
    told: Told,
    /// The folder of case files [default: `cases` beside the component, if it is there]
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
    /// Ask about these devices besides the odd ones: a file, as `deputy plugin try` takes it
    /// [default: 1,000 simulated ones]
    #[arg(long, value_name = "FILE")]
    devices: Option<PathBuf>,
    /// Only cases whose file or name has this text in it, and no properties
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Write what was found into the case files, and the fuel it took beside them
    #[arg(long)]
    update: bool,
}

const EXAMPLES: &str = "\
Examples:
  deputy plugin test policy.wasm
  deputy plugin test policy.wasm --filter library
  deputy plugin test policy.wasm --cases ../cases --update && git diff
  deputy plugin test site-policy --json

After the cases, the policy is asked about 1,000 ordinary devices and 300 odd ones (empty and very long
texts, every plane of Unicode, families and states that make no sense): twice, each device alone, in batches
of 7, in another order, and at later times at which, by its own word, its verdicts are the same. That is done with the settings of the command or of deputy.toml, or else with those
of the first cases about devices. Ends with 0 if all is well, with 1 if something failed.";

/// How many ordinary devices there are.
const ORDINARY: u64 = 1_000;
/// With the settings of so many cases the properties are tried.
const SETTINGS: usize = 3;

/// One thing that was tried.
struct Trial {
    /// The case file, or what the properties were tried with.
    group: String,
    name: String,
    /// Whether it is in a case file, with what is expected.
    is_case: bool,
    /// What is wrong; none if it is well.
    wrong: Option<String>,
    /// What was wrong has been written as what is expected.
    updated: bool,
}

/// Carries the command out.
pub(crate) async fn run(common: &Common, arguments: Arguments) -> Outcome {
    let config = subject::config(common)?;
    let subject = Subject::find(common, config.as_ref(), &arguments.plugin, &arguments.told)?;
    let mut devices = From::saved_or_simulated(arguments.devices.clone(), ORDINARY).open(common).await?;
    let json = common.json;
    super::in_the_background(move || {
        let sandbox = subject::sandbox(config.as_ref())?;
        let bar = bar(json, "testing", None);
        let (trials, untried) = (Vec::new(), None);
        let mut session = Session { arguments: &arguments, subject: &subject, sandbox, trials, untried };
        let found = session.cases()?;
        if arguments.filter.is_none() {
            let first = devices.next().ok_or_else(|| devices.none_found())??;
            let context = devices.context(&first.token, &subject.surroundings());
            session.properties(&found, &context, first.devices)?;
        }
        bar.finish_and_clear();
        Ok(tell(json, &session))
    })
    .await
}

struct Session<'a> {
    arguments: &'a Arguments,
    subject: &'a Subject,
    sandbox: Sandbox,
    trials: Vec<Trial>,
    /// Why the properties were not tried, if they could have been.
    untried: Option<String>,
}

impl Session<'_> {
    /// Tries every case, and returns them with their files.
    fn cases(&mut self) -> Outcome<Vec<(String, Case)>> {
        let Some(folder) = self.folder()? else { return Ok(Vec::new()) };
        let mut recorded = Recorded::read(&folder)?;
        let mut all = Vec::new();
        for path in files(&folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let text =
                std::fs::read_to_string(&path).map_err(|error| Problem::file("read", &path, &error))?;
            let file = File::parse(&text).map_err(|error| {
                let shown = path.display();
                Problem::usage(format!("{shown} is no case file: {}", error.to_string().trim_end()))
            })?;
            let mut found = Vec::new();
            for (index, case) in file.cases.into_iter().enumerate() {
                let wanted = self.arguments.filter.as_ref();
                if wanted.is_some_and(|wanted| !name.contains(wanted) && !case.name.contains(wanted)) {
                    continue;
                }
                let words = self.try_case(&name, &case, &mut recorded)?;
                found.extend(words.map(|words| (index, words)));
                all.push((name.clone(), case));
            }
            if self.arguments.update && !found.is_empty() {
                std::fs::write(&path, cases::update(&text, &found))
                    .map_err(|error| Problem::file("write", &path, &error))?;
            }
        }
        if self.arguments.update && !all.is_empty() {
            recorded.write(&folder)?;
        }
        if all.is_empty() && self.arguments.filter.is_some() {
            return Err(Problem::usage(format!("no case in {} fits the filter", folder.display())));
        }
        Ok(all)
    }

    /// Where the cases are, if there are any.
    fn folder(&self) -> Outcome<Option<PathBuf>> {
        match &self.arguments.cases {
            Some(folder) if !folder.is_dir() => {
                Err(Problem::usage(format!("there is no folder {}", folder.display())))
            }
            Some(folder) => Ok(Some(folder.clone())),
            None => {
                let beside = self.subject.file.parent().unwrap_or(Path::new("")).join("cases");
                match beside.is_dir() {
                    true => Ok(Some(beside)),
                    false if self.arguments.update || self.arguments.filter.is_some() => {
                        Err(Problem::usage(format!("there are no cases: no folder {}", beside.display()))
                            .hint("`--cases DIR` says where they are"))
                    }
                    false => Ok(None),
                }
            }
        }
    }

    /// Tries one case; returns what is to be written into its file.
    fn try_case(&mut self, file: &str, case: &Case, recorded: &mut Recorded) -> Outcome<Option<String>> {
        let bad = |why: String| Problem::usage(format!("{file}, case \"{}\": {why}", case.name));
        let asked = Asked::new(self.subject, case).map_err(bad)?;
        let (answer, usage) = match asked.load(&self.sandbox) {
            Ok(plugin) => asked.ask(&plugin, case).map_err(bad)?,
            Err(answer) => (answer, Default::default()),
        };
        let words = answer.in_words(case);
        let difference = Difference::between(&case.expect, &words);
        let exceeded = recorded.exceeded(file, &case.name, usage.fuel);
        if self.arguments.update && usage.fuel > 0 {
            recorded.record(file, &case.name, usage.fuel);
        }
        let written = difference.is_some().then_some(words);
        let wrong: Vec<String> =
            difference.map(|it| it.to_string().trim_end().to_owned()).into_iter().chain(exceeded).collect();
        let wrong = (!wrong.is_empty()).then(|| wrong.join("\n"));
        let updated = self.arguments.update && wrong.is_some();
        let (group, name) = (file.to_owned(), case.name.clone());
        self.trials.push(Trial { group, name, is_case: true, wrong, updated });
        Ok(written)
    }

    /// Tries what every policy must hold.
    fn properties(&mut self, all: &[(String, Case)], context: &Context, devices: Vec<Device>) -> Outcome<()> {
        let told = self.arguments.told.settings.is_some() || self.subject.is_configured || all.is_empty();
        if told {
            let plugin = self.subject.load(&self.sandbox)?;
            if plugin.inspection().questions.contains(&domain::policy::Question::Assignment) {
                self.properties_with("what every policy must hold", &plugin, context, devices);
            }
            return Ok(());
        }
        let (mut seen, mut tried) = (Vec::new(), false);
        for (file, case) in all.iter().filter(|(_, case)| matches!(case.question, Question::Assignment(_))) {
            let same = (&case.settings, &case.setup, &case.tables);
            if seen.contains(&same) || seen.len() == SETTINGS {
                continue;
            }
            seen.push(same);
            let bad = |why: String| Problem::usage(format!("{file}, case \"{}\": {why}", case.name));
            let asked = Asked::new(self.subject, case).map_err(bad)?;
            let Ok(plugin) = asked.load(&self.sandbox) else { continue };
            let group = format!("what every policy must hold, as set in \"{}\" of {file}", case.name);
            self.properties_with(&group, &plugin, &asked.context, devices.clone());
            tried = true;
        }
        if !tried && !seen.is_empty() {
            let why = "what every policy must hold was not tried: it accepts the settings of no case";
            self.untried = Some(format!("{why}; `--settings FILE --profile NAME` gives it others"));
        }
        Ok(())
    }

    fn properties_with(&mut self, group: &str, plugin: &Plugin, context: &Context, devices: Vec<Device>) {
        let mut add = |name: &str, wrong: Option<String>| {
            let (group, name) = (group.to_owned(), name.to_owned());
            self.trials.push(Trial { group, name, is_case: false, wrong, updated: false });
        };
        for property in properties::check(plugin, context, devices, odd::devices()) {
            add(property.name, property.broken.map(|broken| broken.to_string()));
        }
        if let Err(why) = plugin.answer_lasting(context).answer {
            add("it can say for how long its verdicts last", Some(why.to_string()));
        }
    }
}

/// The case files of a folder, in order.
fn files(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|error| Problem::file("read", folder, &error))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .filter(|path| path.file_name().is_some_and(|name| name != fuel::FILE))
        .collect();
    files.sort();
    Ok(files)
}

fn tell(json: bool, Session { arguments, subject, trials, untried, .. }: &Session<'_>) -> Exit {
    let failed = trials.iter().filter(|trial| trial.wrong.is_some() && !trial.updated).count();
    let updated = trials.iter().filter(|trial| trial.updated).count();
    if json {
        let list: Vec<Value> = trials
            .iter()
            .map(|it| {
                let well = it.wrong.is_none();
                json!({ "group": it.group, "name": it.name, "well": well, "wrong": it.wrong, "updated": it.updated })
            })
            .collect();
        let value = json!({
            "plugin": subject.shown, "failed": failed, "updated": updated, "trials": list, "untried": untried,
        });
        print_json("test", &value);
    } else {
        let mut text = words(subject, trials, failed, updated);
        text += &untried.iter().map(|why| format!("\n{why}")).collect::<String>();
        if trials.iter().any(|trial| trial.is_case && trial.wrong.is_some() && !trial.updated) {
            let filter = arguments.filter.as_ref().map_or(String::new(), |it| format!(" --filter '{it}'"));
            text += &format!(
                "\n- was expected, + was found. Where that is right: `deputy plugin test {} --update{filter}`",
                subject.shown
            );
        }
        print(&text);
    }
    if failed == 0 { Exit::Success } else { Exit::Failure }
}

fn words(subject: &Subject, trials: &[Trial], failed: usize, updated: usize) -> String {
    let (mut text, mut group) = (format!("{}\n", subject.shown), "");
    for trial in trials {
        if trial.group != group {
            text += &format!("\n{}\n", trial.group);
            group = &trial.group;
        }
        let how = match trial {
            Trial { wrong: None, .. } => "ok",
            Trial { updated: true, .. } => "new",
            _ => "FAIL",
        };
        text += &format!("  {how:<5} {}\n", trial.name);
        if let Some(wrong) = &trial.wrong {
            text += &format!("          {}\n", wrong.replace('\n', "\n          "));
        }
    }
    let more =
        if updated > 0 { format!("; {updated} written anew, look at the diff") } else { String::new() };
    text + &match (trials.len(), failed) {
        (0, _) => "\nnothing to try: it has no cases and decides about no devices".to_owned(),
        (1, 0) => format!("\nit is well{more}"),
        (all, 0) => format!("\nall {all} are well{more}"),
        (all, failed) => format!("\n{failed} of {all} failed{more}"),
    }
}
