//! Policies in Python: a virtual environment with the tools that `requirements.txt` names, and
//! `componentize-py`, which puts the interpreter and the policy into one component.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process::{build as build_with, find, progress, run};
use crate::{Error, io};

const INSTALL: &str = "install Python 3.10 or newer with `venv`: `sudo apt install python3 python3-venv` (Debian, Ubuntu), \
     `sudo dnf install python3` (Fedora), `brew install python` (macOS)";

const A_WHILE: Duration = Duration::from_secs(15 * 60);

/// Builds the module `component` in `folder/src` for `world` and returns its component.
pub(crate) fn build(folder: &Path, world: &str) -> Result<Vec<u8>, Error> {
    let environment = folder.join(".venv");
    provide(&environment, &folder.join("requirements.txt"))?;
    let output = folder.join("build");
    fs::create_dir_all(&output).map_err(io("create", &output))?;
    let component = output.join("component.wasm");
    progress("building with componentize-py: a few seconds");
    // Not its script in `bin`, which is no more when the project's folder has got another name.
    let mut command = Command::new(environment.join("bin/python"));
    command.args(["-c", "import sys, componentize_py; sys.exit(componentize_py.script())"]);
    // What else the environment holds can be imported by the policy.
    command.current_dir(folder).env("VIRTUAL_ENV", &environment);
    // Where in the tool it was found tells an author nothing.
    command.env("RUST_BACKTRACE", "0").env("RUST_LIB_BACKTRACE", "0");
    command.args(["-d", "wit", "-w", world, "componentize", "--stub-wasi", "-p", "src", "component"]);
    let tool = ("componentize-py", folder);
    build_with(command.arg("-o").arg(&component), A_WHILE, tool, of_the_policy)?;
    fs::read(&component).map_err(io("read", &component))
}

/// Of what `componentize-py` says, what the interpreter says of the policy, with the files called as their author
/// calls them; all of it, if that is not in it.
fn of_the_policy(said: &str) -> String {
    let Some((_, policys)) = said.split_once("AssertionError: Traceback") else { return said.to_owned() };
    let end = policys.find("\nCaused by:").unwrap_or(policys.len());
    format!("Traceback{}", policys[..end].trim_end()).replace("File \"/0/", "File \"src/")
}

/// Makes the virtual environment `folder` hold what `requirements` names, unless it does already.
pub(crate) fn provide(folder: &Path, requirements: &Path) -> Result<(), Error> {
    let wanted = fs::read_to_string(requirements).map_err(io("read", requirements))?;
    // Written when everything is there, so that an interrupted installation is not believed.
    let stamp = folder.join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let python = python()?;
    progress(&format!(
        "fetching the tools of {} into {} with pip, once",
        requirements.display(),
        folder.display()
    ));
    run(Command::new(python).args(["-m", "venv"]).arg(folder), A_WHILE).map_err(|error| match error {
        Error::Command { command, outcome } => {
            Error::Command { command, outcome: format!("{outcome}\n{INSTALL}") }
        }
        other => other,
    })?;
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(requirements);
    run(&mut pip, A_WHILE)?;
    fs::write(&stamp, wanted).map_err(io("write", &stamp))
}

/// The interpreter that environments are made with.
pub(crate) fn python() -> Result<PathBuf, Error> {
    let missing = Error::Missing { program: "python3", install: INSTALL };
    find("python3").or_else(|| find("python")).ok_or(missing)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn of_two_tracebacks_the_policys_is_told_with_the_authors_files() {
        let said = r#"Traceback (most recent call last):
  File "/home/ann/site/.venv/bin/componentize-py", line 8, in <module>
    sys.exit(script())
AssertionError: Traceback (most recent call last):
  File "/0/component.py", line 14, in <module>
    import policy
  File "/0/policy.py", line 42
    this is ( not code
SyntaxError: '(' was never closed


Caused by:
    SyntaxError: '(' was never closed (policy.py, line 42)

Stack backtrace:
   0: <anyhow::Error>::msg::<alloc::string::String>"#;
        expect![[r#"
            Traceback (most recent call last):
              File "src/component.py", line 14, in <module>
                import policy
              File "src/policy.py", line 42
                this is ( not code
            SyntaxError: '(' was never closed
        "#]]
        .assert_eq(&(of_the_policy(said) + "\n"));
    }

    #[test]
    fn what_is_no_traceback_is_told_as_it_is() {
        expect!["no such world"].assert_eq(&of_the_policy("no such world"));
    }
}
