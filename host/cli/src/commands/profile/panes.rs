//! `deputy profile panes`: what Setup Assistant shows, and where a profile can skip it.

use domain::profile::panes::{GROUPS, PANES, Pane, Platform};
use serde_json::{Value, json};

use crate::Common;
use crate::exit::{Exit, Outcome};
use crate::output::{print, print_json, print_table};

/// What `deputy profile panes` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only those of ios, macos, tvos or visionos
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
}

/// Carries the command out.
pub(super) fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let fits = |pane: &&Pane| arguments.platform.is_none_or(|platform| pane.on(platform).is_some());
    let panes: Vec<&Pane> = PANES.iter().filter(fits).collect();
    if common.json {
        print_json("panes", &panes.into_iter().map(in_json).collect());
        return Ok(Exit::Success);
    }
    match arguments.platform {
        None => {
            let cells = |pane: &&Pane| {
                let on = |platform| version(pane, platform);
                let [ios, macos, tvos, visionos] = Platform::ALL.map(on);
                [pane.key.to_owned(), ios, macos, tvos, visionos, words(pane)]
            };
            let rows = panes.iter().map(cells).collect();
            print_table(["pane", "ios", "macos", "tvos", "visionos", "no longer seen"], rows, "no panes");
        }
        Some(platform) => {
            let cells = |pane: &&Pane| [pane.key.to_owned(), version(pane, platform), words(pane)];
            let rows = panes.iter().map(cells).collect();
            print_table(["pane", platform.name(), "no longer seen"], rows, "no panes");
        }
    }
    let groups: Vec<String> =
        GROUPS.iter().map(|group| format!("  {}: {}", group.name, group.meaning)).collect();
    print(&format!(
        "\n* may come before the device has its profile, and is shown then\nGroups that `skip` may name:\n{}",
        groups.join("\n")
    ));
    Ok(Exit::Success)
}

/// A version and up, a range, or nothing.
fn version(pane: &Pane, platform: Platform) -> String {
    pane.on(platform).map_or_else(
        || "-".to_owned(),
        |support| {
            let until = support.until.map(|version| format!(" until {version}")).unwrap_or_default();
            format!("{}{until}{}", support.first, if support.may_show { "*" } else { "" })
        },
    )
}

fn words(pane: &Pane) -> String {
    let more: Vec<&str> = [pane.former, pane.note].into_iter().flatten().collect();
    let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join("; ")) };
    format!("{}{more}", pane.unseen)
}

fn in_json(pane: &Pane) -> Value {
    let groups: Vec<&str> = GROUPS
        .iter()
        .filter(|group| group.panes().any(|it| it.key == pane.key))
        .map(|group| group.name)
        .collect();
    let mut value = serde_json::to_value(pane).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.remove("privacy");
        object.insert("groups".to_owned(), json!(groups));
    }
    value
}
