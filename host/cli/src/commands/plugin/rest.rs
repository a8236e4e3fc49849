//! `deputy plugin rest`: whether a plugin is left alone because it keeps failing, and an end to that.

use domain::id::PluginName;
use serde_json::json;

use crate::Common;
use crate::app::{App, Policies, unknown};
use crate::exit::{Exit, Outcome};
use crate::output::{print, print_json, time};

/// What `deputy plugin rest` takes.
#[derive(clap::Args)]
#[command(
    after_help = "A plugin that fails on everything in three batches in a row is left alone for a quarter of an hour, and for \
twice as long each time that trying it again fails, at most a day. Another component, other settings, limits or grants, or a table that it looks into and that was changed, wake it, too."
)]
pub(crate) struct Arguments {
    /// The plugin
    plugin: PluginName,
    /// Wake it: the next run asks it again
    #[arg(long)]
    end: bool,
}

/// Carries the command out.
pub(crate) async fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let app = App::open(&common.config, Policies::Unused).await?;
    let name = &arguments.plugin;
    if !app.config.plugins.contains_key(name) {
        let names: Vec<&str> = app.config.plugins.keys().map(PluginName::as_str).collect();
        return Err(unknown("plugin", name.as_str(), &names));
    }
    let health = app.engine.plugin_health(name).await?;
    let until = health.rests_at(app.engine.now());
    let woken = arguments.end && app.engine.store.plugin_forgiven(name, None).await? && until.is_some();
    if common.json {
        let value = json!({
            "plugin": name, "rests_until": until, "failures": health.failures, "rests": health.rests,
            "why": health.why, "woken": woken,
        });
        print_json("rest", &value);
        return Ok(Exit::Success);
    }
    print(&match until {
        None => format!("{name} does not rest"),
        Some(_) if woken => format!("{name} is awake: the next run asks it again"),
        Some(until) => format!(
            "{name} rests until {}, for the time number {} in a row: {}\nhint: `deputy plugin rest {name} --end` wakes it",
            time(until),
            health.rests,
            health.why
        ),
    });
    Ok(Exit::Success)
}
