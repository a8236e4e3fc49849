//! The folders beside `deputy.toml`: profiles and workflows, a file each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::document::Source;
use domain::id::{ProfileName, WorkflowName};
use domain::profile::{Definition, Profile};
use domain::workflow::Workflow;
use jiff::tz::TimeZone;
use openssl::x509::X509;

use super::Files;
use crate::exit::{Outcome, Problem};

/// The profiles, each under the name of its file; what is wrong with them goes to `wrong`.
pub(super) fn read_profiles(
    folder: &Path,
    wrong: &mut Vec<String>,
) -> Outcome<BTreeMap<ProfileName, (Profile, Definition)>> {
    let mut profiles = BTreeMap::new();
    for file in toml_files(&folder.join("profiles"))? {
        let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let name: ProfileName = match stem.parse() {
            Ok(name) => name,
            Err(error) => {
                wrong.push(format!("error: the file {} cannot be named so: {error}", file.display()));
                continue;
            }
        };
        let text = read(&file)?;
        let path = file.display().to_string();
        match Profile::parse(name.clone(), Source { path: &path, text: &text }) {
            Err(mistakes) => wrong.push(mistakes.to_string()),
            Ok(profile) => match certificates(&profile, &folder.join("profiles")) {
                Ok(certificates) => {
                    let definition = profile.definition(&certificates);
                    profiles.insert(name, (profile, definition));
                }
                Err(why) => wrong.push(format!("error: {path}: {why}")),
            },
        }
    }
    Ok(profiles)
}

/// The certificates of a profile as Base64 of their DER, from PEM or DER files.
fn certificates(profile: &Profile, folder: &Path) -> Result<Vec<String>, String> {
    let read = |file: &String| {
        let bytes =
            std::fs::read(folder.join(file)).map_err(|error| format!("cannot read {file}: {error}"))?;
        let certificate = X509::from_pem(&bytes).or_else(|_| X509::from_der(&bytes));
        let der = certificate.and_then(|certificate| certificate.to_der());
        der.map(|der| STANDARD.encode(der))
            .map_err(|_| format!("{file} is no certificate, neither PEM nor DER"))
    };
    profile.certificates.iter().map(read).collect()
}

/// The workflows, each with its file; what is wrong with them goes to `wrong`.
pub(super) fn read_workflows(
    folder: &Path,
    wrong: &mut Vec<String>,
) -> Outcome<Files<WorkflowName, Workflow>> {
    let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
    let mut workflows: Files<WorkflowName, Workflow> = BTreeMap::new();
    for file in toml_files(&folder.join("workflows"))? {
        let text = read(&file)?;
        let path = file.display().to_string();
        match Workflow::parse(Source { path: &path, text: &text }, &zone) {
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
fn toml_files(folder: &Path) -> Outcome<Vec<PathBuf>> {
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

fn read(path: &Path) -> Outcome<String> {
    std::fs::read_to_string(path).map_err(|error| Problem::file("read", path, &error))
}
