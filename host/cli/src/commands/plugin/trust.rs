//! `deputy plugin trust`: what is different about a component, and then the new pin in `deputy.toml`.

mod difference;
mod pin;

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;

use domain::id::{Digest, PluginName};
use engine::copies::Copies;
use serde_json::json;

use crate::Common;
use crate::app::{App, Policies, unknown};
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{print, print_json};

use super::bounds::Bounds;
use super::list::keep;

/// What `deputy plugin trust` takes.
#[derive(clap::Args)]
#[command(
    after_help = "Shows what is different between the component that is trusted and the file as it is now: what it is, what it \
wants, whether it takes its settings, and which devices it would decide differently. Then it writes the file's SHA-256 \
into deputy.toml, once somebody has said so."
)]
pub(crate) struct Arguments {
    /// The plugin's name in deputy.toml, or its file
    plugin: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Carries the command out.
pub(crate) async fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let app = App::open(&common.config, Policies::Unused).await?;
    let name = find(&app, &arguments.plugin)?;
    let plugin = &app.config.plugins[&name];
    let bytes = std::fs::read(&plugin.path).map_err(|error| Problem::file("read", &plugin.path, &error))?;
    let found = Digest::of(&bytes);
    let copies = Copies::of_plugins(&app.config.store);
    if plugin.sha256.as_ref() == Some(&found) {
        keep(&copies, &bytes);
        if common.json {
            print_json(
                "trust",
                &json!({ "plugin": name, "sha256": found, "changed": false, "written": false }),
            );
        } else {
            print(&format!("{name} is trusted already: {found}"));
        }
        return Ok(Exit::Success);
    }
    let before = match &plugin.sha256 {
        None => None,
        Some(pinned) => copies
            .read(pinned)
            .map_err(|error| Problem::file("read", &copies.path(pinned), &error))?
            .map(|bytes| (pinned.clone(), bytes)),
    };
    let difference = difference::between(&app, &name, before, &bytes).await?;
    if !common.json {
        print(&difference.words());
    }
    let trusted = arguments.yes || (!common.json && ask(&name)?);
    if trusted {
        pin::write(Path::new(&app.config.path), &name, &found)?;
        keep(&copies, &bytes);
    }
    if common.json {
        let mut value = difference.json();
        value["changed"] = true.into();
        value["written"] = trusted.into();
        print_json("trust", &value);
    }
    if trusted {
        if !common.json {
            print(&format!(
                "\nwritten to {}: {name} is trusted; a daemon reads it on SIGHUP",
                app.config.path
            ));
        }
        return Ok(Exit::Success);
    }
    let problem = Problem::new(Exit::NeedsPerson, format!("{name} is not trusted; nothing was changed"));
    Err(problem.hint(format!("if the file is the one you mean: `deputy plugin trust {name} --yes`")))
}

/// The plugin of this name, or the one whose file this is.
pub(super) fn find(app: &App, typed: &str) -> Outcome<PluginName> {
    let plugins = &app.config.plugins;
    if let Some(name) = typed.parse().ok().filter(|name| plugins.contains_key(name)) {
        return Ok(name);
    }
    let file = Path::new(typed);
    let same = |path: &Path| match (path.canonicalize(), file.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => path == file,
    };
    if let Some((name, _)) = plugins.iter().find(|(_, plugin)| same(&plugin.path)) {
        return Ok(name.clone());
    }
    let names: Vec<&str> = plugins.keys().map(PluginName::as_str).collect();
    if !file.is_file() {
        return Err(unknown("plugin", typed, &names));
    }
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or("NAME");
    let size = file.metadata().map_or(0, |it| usize::try_from(it.len()).unwrap_or(usize::MAX));
    let limits = Bounds::of(None, None, size).to_write().map_or(String::new(), |line| format!("\n{line}"));
    let problem = Problem::usage(format!("no plugin in deputy.toml has the file {typed}"));
    Err(problem.hint(format!(
        "add these lines, then type the command again:\n\n[plugins.{stem}]\npath = \"{typed}\"{limits}"
    )))
}

/// Asks whoever sits there. A script cannot answer: it has a flag.
fn ask(name: &PluginName) -> Outcome<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    eprint!("\ntype {name} to trust it: ");
    let _ = std::io::stderr().flush();
    let mut typed = String::new();
    let read = std::io::stdin().lock().read_line(&mut typed);
    read.map_err(|error| Problem::new(Exit::Failure, format!("cannot read the answer: {error}")))?;
    Ok(typed.trim() == name.as_str())
}
