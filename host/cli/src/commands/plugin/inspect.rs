//! `deputy plugin inspect`: what a component is and asks for, before it is trusted with anything.

use std::path::PathBuf;

use sandbox::Sandbox;
use serde_json::json;

use crate::Common;
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{print, print_json};

/// What `deputy plugin inspect` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The component file
    file: PathBuf,
}

/// Carries the command out.
pub(crate) fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let file = &arguments.file;
    let bytes = std::fs::read(file).map_err(|error| Problem::file("read", file, &error))?;
    let refused = |error: sandbox::Error| Problem::usage(format!("{}: {error}", file.display()));
    let inspection = Sandbox::new(None).and_then(|sandbox| sandbox.inspect(&bytes)).map_err(refused)?;
    let verdict = inspection.check();
    let questions: Vec<&str> = inspection.questions.iter().map(|question| question.as_str()).collect();
    let description = inspection.description.as_ref().and_then(|described| described.as_ref().ok());
    if common.json {
        let imports = inspection.imports.iter();
        let imports: Vec<_> =
            imports.map(|import| json!({ "name": import.name, "granted": import.granted })).collect();
        let value = json!({
            "sha256": inspection.digest, "size": inspection.size, "contract": inspection.contract,
            "summary": description.map(|it| &it.summary), "version": description.map(|it| &it.version),
            "settings_schema": description.and_then(|it| it.settings_schema.as_ref()),
            "questions": questions, "imports": imports, "exports": inspection.exports,
            "problem": verdict.as_ref().err().map(ToString::to_string),
        });
        print_json("plugin", &value);
    } else {
        let list = |items: Vec<String>| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
        let granted = |granted| if granted { "" } else { " (not granted)" };
        let imports = inspection.imports.iter().map(|it| format!("{}{}", it.name, granted(it.granted)));
        let described =
            description.map(|it| format!("\n  is         {}\n  version    {}", it.summary, it.version));
        print(&format!(
            "{}{}\n  sha256     {}\n  size       {} bytes\n  contract   {}\n  answers    {}\n  imports    {}\n  exports    {}",
            file.display(),
            described.unwrap_or_default(),
            inspection.digest,
            inspection.size,
            inspection.contract.as_deref().unwrap_or("none"),
            list(questions.iter().map(|question| (*question).to_owned()).collect()),
            list(imports.collect()),
            list(inspection.exports.clone()),
        ));
    }
    verdict.map_err(refused)?;
    Ok(Exit::Success)
}
