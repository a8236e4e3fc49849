//! `deputy plugin inspect`: what a component is, asks for and may use, before it is trusted with anything.

use std::path::{Path, PathBuf};

use domain::id::PluginName;
use domain::policy::Question;
use sandbox::{Description, Inspection, Limits};
use serde_json::{Value, json};

use super::bounds::{Bounds, Preset};
use super::subject;
use crate::Common;
use crate::app::unknown;
use crate::config::Config;
use crate::config::limits::shown;
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{print, print_json};

/// What `deputy plugin inspect` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The component file, or the name of a plugin in deputy.toml
    #[arg(value_name = "FILE|NAME")]
    plugin: PathBuf,
    /// What it may use [default: what deputy.toml says; for a file, what goes with its size]
    #[arg(long)]
    preset: Option<Preset>,
}

/// Carries the command out.
pub(crate) fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let (file, bytes, bounds) = find(common, arguments)?;
    let refused = |error: sandbox::Error| Problem::usage(format!("{}: {error}", file.display()));
    let inspection = subject::sandbox(None)?.inspect(&bytes, &bounds.limits).map_err(refused)?;
    let verdict = inspection.check();
    if common.json {
        let problem = verdict.as_ref().err().map(ToString::to_string);
        print_json("plugin", &as_json(&inspection, &bounds.limits, problem));
    } else {
        print(&as_text(&file, &inspection, &bounds));
    }
    verdict.map_err(refused)?;
    Ok(Exit::Success)
}

/// A file, or what deputy.toml calls by this name.
fn find(common: &Common, arguments: &Arguments) -> Outcome<(PathBuf, Vec<u8>, Bounds)> {
    let Arguments { plugin, preset } = arguments;
    let read = |file: &Path| std::fs::read(file).map_err(|error| Problem::file("read", file, &error));
    let name: Option<PluginName> = plugin.to_str().and_then(|name| name.parse().ok());
    let Some(name) = name.filter(|_| !plugin.exists() && common.config.exists()) else {
        let bytes = read(plugin)?;
        let bounds = Bounds::of(*preset, None, bytes.len());
        return Ok((plugin.clone(), bytes, bounds));
    };
    let config = Config::read(&common.config)?;
    match config.plugins.get(&name) {
        Some(found) => {
            let bytes = read(&found.path)?;
            let bounds = Bounds::of(*preset, Some((&name, found)), bytes.len());
            Ok((found.path.clone(), bytes, bounds))
        }
        None => {
            let names: Vec<&str> = config.plugins.keys().map(PluginName::as_str).collect();
            Err(unknown("file or plugin", name.as_str(), &names))
        }
    }
}

fn as_json(inspection: &Inspection, limits: &Limits, problem: Option<String>) -> Value {
    let imports = inspection.imports.iter();
    let imports: Vec<_> =
        imports.map(|import| json!({ "name": import.name, "granted": import.granted })).collect();
    json!({
        "sha256": inspection.digest, "size": inspection.size, "contract": inspection.contract,
        "summary": description(inspection).map(|it| &it.summary),
        "version": description(inspection).map(|it| &it.version),
        "settings_schema": description(inspection).and_then(|it| it.settings_schema.as_ref()),
        "questions": questions(inspection), "lasting": inspection.lasting, "imports": imports, "exports": inspection.exports,
        "limits": {
            "memory": limits.memory_bytes, "time_ms": limits.time.as_millis() as u64,
            "fuel_per_call": limits.fuel_per_call, "fuel_per_device": limits.fuel_per_device,
            "table_elements": limits.table_elements, "instances": limits.instances,
            "output": limits.output_bytes, "log": limits.log_bytes, "size": limits.component_bytes,
            "compile_time_ms": limits.compile_time.as_millis() as u64, "compile_memory": limits.compile_bytes,
        },
        "problem": problem,
    })
}

fn as_text(file: &Path, inspection: &Inspection, bounds: &Bounds) -> String {
    let list = |items: Vec<String>| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
    let granted = |granted| if granted { "" } else { " (not granted)" };
    let imports = inspection.imports.iter().map(|it| format!("{}{}", it.name, granted(it.granted)));
    let described = description(inspection)
        .map(|it| [("is", it.summary.clone()), ("version", it.version.clone())])
        .into_iter()
        .flatten();
    let lasting = lasting(inspection).map(|words| ("lasting", words.to_owned()));
    let rows = [
        ("sha256", inspection.digest.to_string()),
        ("size", format!("{} bytes of {}", inspection.size, shown(bounds.limits.component_bytes as u64))),
        ("contract", inspection.contract.clone().unwrap_or("none".to_owned())),
        ("answers", list(questions(inspection).iter().map(|question| (*question).to_owned()).collect())),
    ];
    let links = [("imports", list(imports.collect())), ("exports", list(inspection.exports.clone()))];
    let row = |(name, value): (&str, String)| format!("\n  {name:<10} {value}");
    let rows = described.chain(rows).chain(lasting).chain(links).chain(bounds.rows());
    file.display().to_string() + &rows.map(row).collect::<String>()
}

/// Whether it says for how long its verdicts last; nothing for one that gives none.
pub(super) fn lasting(inspection: &Inspection) -> Option<&'static str> {
    match (inspection.lasting, inspection.questions.contains(&Question::Assignment)) {
        (true, true) => Some("it says for how long its verdicts last"),
        (true, false) => Some("it says for how long its verdicts last, and gives none"),
        (false, true) => Some("it does not say for how long its verdicts last"),
        (false, false) => None,
    }
}

fn description(inspection: &Inspection) -> Option<&Description> {
    inspection.description.as_ref()?.as_ref().ok()
}

fn questions(inspection: &Inspection) -> Vec<&'static str> {
    inspection.questions.iter().map(|question| question.as_str()).collect()
}
