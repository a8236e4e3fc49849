//! `deputy plugin build`: from a project to a component, with the tools of its language.

use std::path::PathBuf;

use domain::id::Digest;
use serde_json::json;

use super::project;
use crate::Common;
use crate::exit::{Exit, Outcome, Problem};
use crate::out_file::OutFile;
use crate::output::{grouped, print, print_json};

/// What `deputy plugin build` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The project's folder, which has a plugin.toml
    #[arg(default_value = ".", value_name = "DIR")]
    folder: PathBuf,
    /// The component to write [default: NAME.wasm in the project's folder]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Carries the command out.
pub(crate) fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let folder = &arguments.folder;
    let project = project::read(folder)?;
    let name = &project.name;
    let out = arguments.out.clone().unwrap_or_else(|| project::inside(folder, &format!("{name}.wasm")));
    let bytes = plugin_build::build_project(folder, &project.language).map_err(|error| {
        let problem = Problem::from(error);
        // Whoever tests on would test what was before the mistake.
        let old = out.exists().then(|| format!("{} is still the one of an earlier build", out.display()));
        let hints: Vec<String> = problem.hint.iter().cloned().chain(old).collect();
        if hints.is_empty() { problem } else { problem.hint(hints.join("; ")) }
    })?;
    // What is not whole never has the name of a component.
    OutFile::open(&out)?.write(|file| file.write_all(&bytes))?;
    let digest = Digest::of(&bytes);
    if common.json {
        let value = json!({
            "name": name, "language": project.language_name.as_str(), "path": out,
            "sha256": digest.as_str(), "size": bytes.len(),
        });
        print_json("component", &value);
        return Ok(Exit::Success);
    }
    let limits = match project.language_name.is_interpreted() {
        true => "limits = { preset = \"interpreter\" }   # it brings its interpreter\n",
        false => "",
    };
    let (shown, size) = (out.display(), grouped(bytes.len() as u64));
    print(&format!(
        "{shown} is built: {size} bytes. Next, type\n  deputy plugin test {shown}\n\n\
         To use it, copy it to plugins/ beside deputy.toml, and write there:\n\n\
         [plugins.{name}]\npath = \"plugins/{name}.wasm\"\nsha256 = \"{digest}\"\n{limits}\n\
         its settings under [plugins.{name}.settings], and its name as `policy` in a step of a workflow.\n\
         Where an earlier one is trusted, leave its sha256: `deputy plugin trust {name}` shows what is\n\
         different, and writes the new one.",
    ));
    Ok(Exit::Success)
}

impl From<plugin_build::Error> for Problem {
    fn from(error: plugin_build::Error) -> Self {
        // Whoever builds can mend all of it: the tools, the source or the project.
        let exit = match error {
            plugin_build::Error::Io { .. } => Exit::Failure,
            _ => Exit::Usage,
        };
        let advice = error.advice().map(str::to_owned);
        let problem = Self::of(exit, &error);
        Self { hint: advice, ..problem }
    }
}
