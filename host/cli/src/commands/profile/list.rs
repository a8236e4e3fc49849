//! `deputy profile list`: every profile, and how many devices are on it.

use serde_json::json;

use crate::Common;
use crate::app::App;
use crate::exit::{Exit, Outcome};
use crate::output::{print_json, print_table};

/// Carries the command out.
pub(super) async fn run(common: &Common, app: &App) -> Outcome {
    let (mut rows, mut data) = (Vec::new(), Vec::new());
    for (name, (profile, definition)) in &app.config.profiles {
        let (mut devices, mut outdated, mut at_apple) = (0, 0, 0);
        for token in app.config.tokens.keys() {
            let defined = app.engine.store.defined_profiles(token).await?;
            at_apple +=
                u64::from(defined.values().any(|(it, digest)| it == name && *digest == definition.digest));
            for (id, count) in app.engine.store.devices_by_profile(token).await? {
                match id.and_then(|id| defined.get(&id)) {
                    Some((it, digest)) if it == name && *digest == definition.digest => devices += count,
                    Some((it, _)) if it == name => outdated += count,
                    _ => {}
                }
            }
        }
        let tokens = app.config.tokens.len();
        rows.push([
            name.to_string(),
            profile.title.clone(),
            format!("{at_apple} of {tokens}"),
            devices.to_string(),
            outdated.to_string(),
        ]);
        data.push(json!({
            "name": name, "title": profile.title, "description": profile.description,
            "digest": definition.digest, "defined_for_tokens": at_apple,
            "devices": devices, "devices_on_an_older_content": outdated,
        }));
    }
    if common.json {
        print_json("profiles", &data.into());
    } else {
        let headings = ["profile", "name at Apple", "defined for tokens", "devices", "on an older one"];
        print_table(headings, rows, "no profiles; put one into profiles/");
    }
    Ok(Exit::Success)
}
