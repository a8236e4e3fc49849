//! Policies in TypeScript: npm fetches the tools that the project's lock file names, and runs the
//! project's own script. What that does is written in `package.json`, where its author expects it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::process::{all, build as build_with, find, progress, run};
use crate::{Error, io};

/// The oldest Node.js that the tools work with.
const NODE: u64 = 20;

const INSTALL: &str = "install Node.js 20 or newer, which brings npm: `sudo apt install nodejs npm` (Debian, Ubuntu), \
     `sudo dnf install nodejs` (Fedora), `brew install node` (macOS)";

const A_MOMENT: Duration = Duration::from_secs(60);
const A_WHILE: Duration = Duration::from_secs(15 * 60);

/// Builds the package in `folder` and returns its component.
pub(crate) fn build(folder: &Path) -> Result<Vec<u8>, Error> {
    for program in ["node", "npm"] {
        find(program).ok_or(Error::Missing { program, install: INSTALL })?;
    }
    let version = run(Command::new("node").arg("--version"), A_MOMENT)?;
    if major(&version).is_none_or(|major| major < NODE) {
        return Err(Error::Command {
            command: "node --version".to_owned(),
            outcome: format!("says {}, and the tools need {NODE}: {INSTALL}", version.trim()),
        });
    }
    fetch(folder)?;
    let component = folder.join("build/component.wasm");
    // What an earlier build left is not the answer to this one.
    let _ = fs::remove_file(&component);
    progress("building with `npm run build`: types, bundle, component; about half a minute");
    // npm's own remarks would hide what the tools say, and their colours are for a terminal.
    let mut npm = npm(folder);
    npm.args(["run", "--silent", "build"]).env("NO_COLOR", "1").env_remove("FORCE_COLOR");
    build_with(&mut npm, A_WHILE, ("npm run build", folder), all)?;
    fs::read(&component).map_err(io("read", &component))
}

/// Has npm fetch the tools, if they are not there as the project's files have them.
fn fetch(folder: &Path) -> Result<(), Error> {
    // Written when everything is there, so that an interrupted installation is not believed.
    let stamp = folder.join("node_modules/.installed");
    if let (Ok(installed), Ok(wanted)) = (fs::read_to_string(&stamp), locked(folder))
        && installed == wanted
    {
        return Ok(());
    }
    // Exactly what is locked; without a lock, npm chooses and writes one.
    let command = if folder.join("package-lock.json").exists() { "ci" } else { "install" };
    progress(&format!(
        "fetching the tools of package.json into node_modules with `npm {command}`: about 200 MB, once"
    ));
    run(npm(folder).args([command, "--no-audit", "--no-fund"]), A_WHILE)?;
    fs::write(&stamp, locked(folder)?).map_err(io("write", &stamp))
}

/// What says which tools the project has.
fn locked(folder: &Path) -> Result<String, Error> {
    let files = ["package.json", "package-lock.json"].map(|name| folder.join(name));
    files.iter().map(|file| fs::read_to_string(file).map_err(io("read", file))).collect()
}

fn npm(folder: &Path) -> Command {
    let mut npm = Command::new("npm");
    npm.current_dir(folder);
    npm
}

/// The first number of `v20.11.1`.
fn major(version: &str) -> Option<u64> {
    version.trim().trim_start_matches('v').split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_of_a_version_is_what_counts() {
        assert_eq!(major("v20.11.1\n"), Some(20));
        assert_eq!(major("node"), None);
    }
}
