//! `deputy plugin inspect`: what a component is, asks for and may use, before it is trusted with anything.

use std::path::{Path, PathBuf};

use domain::id::PluginName;
use sandbox::{Description, Inspection, Limits};
use serde_json::{Value, json};

use crate::Common;
use crate::app::{sandbox, unknown};
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
}

/// Carries the command out.
pub(crate) fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let (file, limits) = find(common, &arguments.plugin)?;
    let bytes = std::fs::read(&file).map_err(|error| Problem::file("read", &file, &error))?;
    let refused = |error: sandbox::Error| Problem::usage(format!("{}: {error}", file.display()));
    let inspection = sandbox(None).and_then(|sandbox| sandbox.inspect(&bytes, &limits)).map_err(refused)?;
    let verdict = inspection.check();
    if common.json {
        let problem = verdict.as_ref().err().map(ToString::to_string);
        print_json("plugin", &as_json(&inspection, &limits, problem));
    } else {
        print(&as_text(&file, &inspection, &limits));
    }
    verdict.map_err(refused)?;
    Ok(Exit::Success)
}

/// A file, or what deputy.toml calls by this name.
fn find(common: &Common, plugin: &Path) -> Outcome<(PathBuf, Limits)> {
    let name: Option<PluginName> = plugin.to_str().and_then(|name| name.parse().ok());
    let Some(name) = name.filter(|_| !plugin.exists() && common.config.exists()) else {
        return Ok((plugin.to_owned(), Limits::default()));
    };
    let config = Config::read(&common.config)?;
    match config.plugins.get(&name) {
        Some(found) => Ok((found.path.clone(), found.limits.clone())),
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
        "questions": questions(inspection), "imports": imports, "exports": inspection.exports,
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

fn as_text(file: &Path, inspection: &Inspection, limits: &Limits) -> String {
    let list = |items: Vec<String>| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
    let granted = |granted| if granted { "" } else { " (not granted)" };
    let imports = inspection.imports.iter().map(|it| format!("{}{}", it.name, granted(it.granted)));
    let bytes = |bytes: usize| shown(bytes as u64);
    let described = description(inspection)
        .map(|it| [("is", it.summary.clone()), ("version", it.version.clone())])
        .into_iter()
        .flatten();
    let rows = [
        ("sha256", inspection.digest.to_string()),
        ("size", format!("{} bytes of {}", inspection.size, bytes(limits.component_bytes))),
        ("contract", inspection.contract.clone().unwrap_or("none".to_owned())),
        ("answers", list(questions(inspection).iter().map(|question| (*question).to_owned()).collect())),
        ("imports", list(imports.collect())),
        ("exports", list(inspection.exports.clone())),
        ("a call", format!("at most {} of memory and {:?}", bytes(limits.memory_bytes), limits.time)),
        ("fuel", format!("{} a call and {} a device", limits.fuel_per_call, limits.fuel_per_device)),
        ("made of", format!("{} instances, {} table elements", limits.instances, limits.table_elements)),
        ("says", format!("{} an answer, {} of log", bytes(limits.output_bytes), bytes(limits.log_bytes))),
        ("compiles", format!("in {} of memory and {:?}", shown(limits.compile_bytes), limits.compile_time)),
    ];
    let row = |(name, value): (&str, String)| format!("\n  {name:<10} {value}");
    file.display().to_string() + &described.chain(rows).map(row).collect::<String>()
}

fn description(inspection: &Inspection) -> Option<&Description> {
    inspection.description.as_ref()?.as_ref().ok()
}

fn questions(inspection: &Inspection) -> Vec<&'static str> {
    inspection.questions.iter().map(|question| question.as_str()).collect()
}
