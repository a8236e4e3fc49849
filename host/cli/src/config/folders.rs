//! The folders beside `deputy.toml`, a file for each thing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use domain::document::Source;
use domain::id::WorkflowName;
use domain::workflow::{Defaults, Workflow};

use super::Files;
use crate::exit::{Outcome, Problem};

/// The workflows, each with its file; what is wrong with them goes to `wrong`.
pub(super) fn read_workflows(
    folder: &Path,
    defaults: &Defaults,
    wrong: &mut Vec<String>,
) -> Outcome<Files<WorkflowName, Workflow>> {
    let mut workflows: Files<WorkflowName, Workflow> = BTreeMap::new();
    for file in toml_files(&folder.join("workflows"))? {
        let text = read(&file)?;
        let path = file.display().to_string();
        match Workflow::parse(Source { path: &path, text: &text }, defaults) {
            Err(mistakes) => wrong.push(mistakes.to_string()),
            Ok(workflow) => match workflows.get(&workflow.name) {
                Some((_, other)) => {
                    wrong.push(format!("error: {path} and {other} are both called `{}`", workflow.name));
                }
                None => drop(workflows.insert(workflow.name.clone(), (workflow, path))),
            },
        }
    }
    Ok(workflows)
}

/// The TOML files of a folder, by name; none if there is no folder.
pub(super) fn toml_files(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Problem::file("read", folder, &error)),
    };
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut files: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|it| it == "toml")).collect();
    files.sort();
    Ok(files)
}

/// A file's text.
pub(super) fn read(path: &Path) -> Outcome<String> {
    std::fs::read_to_string(path).map_err(|error| Problem::file("read", path, &error))
}
