//! The folders beside `deputy.toml`, a file for each thing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use domain::document::{Findings, Mistakes, Source};
use domain::id::WorkflowName;
use domain::workflow::{Defaults, Names, Workflow};

use super::hidden::without_secrets;
use crate::exit::{Outcome, Problem};

/// The file of each workflow, and its text.
pub(super) type Sources = BTreeMap<WorkflowName, (String, String)>;

/// The workflows, and where each was read; what is wrong with them goes to `wrong`.
pub(super) fn read_workflows(
    folder: &Path,
    defaults: &Defaults,
    names: Option<&Names>,
    wrong: &mut Vec<Mistakes>,
) -> Outcome<(BTreeMap<WorkflowName, Workflow>, Sources)> {
    let mut workflows: BTreeMap<WorkflowName, Workflow> = BTreeMap::new();
    let mut sources = Sources::new();
    for file in toml_files(&folder.join("workflows"))? {
        let path = file.display().to_string();
        let text = match read(&file)? {
            Ok(text) => text,
            Err(mistakes) => {
                wrong.push(mistakes);
                continue;
            }
        };
        let source = Source { path: &path, text: &text };
        let read = Workflow::read(source, defaults, names);
        // The address of a ping is a secret, and may have been typed where only its place belongs.
        let shown = without_secrets(&text);
        let source = Source { text: &shown, ..source };
        match read {
            Err(mistakes) => wrong.push(mistakes.shown_as(without_secrets)),
            Ok(workflow) => match sources.get(&workflow.name) {
                Some((other, _)) => {
                    let mut findings = Findings::new(source);
                    let help = "a workflow's name is what runs, reports and commands know it by".to_owned();
                    let message = format!("{other} has a workflow `{}` already", workflow.name);
                    findings.at("/name", message, Some(help));
                    wrong.push(findings.into_mistakes());
                }
                None => {
                    sources.insert(workflow.name.clone(), (path, shown));
                    workflows.insert(workflow.name.clone(), workflow);
                }
            },
        }
    }
    Ok((workflows, sources))
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

/// A file's text, or what keeps it from being one.
pub(super) fn read(path: &Path) -> Outcome<Result<String, Mistakes>> {
    let bytes = std::fs::read(path).map_err(|error| Problem::file("read", path, &error))?;
    Ok(domain::document::text(&path.display().to_string(), bytes))
}
