//! `deputy profile show`: one profile in words, as Apple is sent it, and every definition of it.

use std::collections::BTreeMap;

use domain::apple_profile::compare::plain;
use domain::apple_profile::words::words;
use domain::id::ProfileName;
use serde_json::{Value, json};

use super::{known, object};
use crate::Common;
use crate::app::App;
use crate::exit::{Exit, Outcome};
use crate::output::{print, print_json, print_table, time};

/// A device's statuses, in the order it goes through them.
const STATUSES: [&str; 4] = ["empty", "assigned", "pushed", "removed"];

/// Carries the command out.
pub(super) async fn run(common: &Common, app: &App, name: &ProfileName) -> Outcome {
    let (profile, definition) = known(app, name)?;
    let (mut rows, mut data) = (Vec::new(), Vec::new());
    for token in app.config.tokens.keys() {
        let counts = app.engine.store.devices_by_status(token).await?;
        for defined in app.engine.store.definitions(token, name).await? {
            let current = defined.digest == definition.digest;
            let on: BTreeMap<&str, u64> = counts.get(&defined.id).cloned().unwrap_or_default();
            let number = |status: &str| on.get(status).copied().unwrap_or_default();
            rows.push([
                token.to_string(),
                defined.id.to_string(),
                if current { "current" } else { "older" }.to_owned(),
                time(defined.at),
                number(STATUSES[0]).to_string(),
                number(STATUSES[1]).to_string(),
                number(STATUSES[2]).to_string(),
                number(STATUSES[3]).to_string(),
            ]);
            let devices: BTreeMap<&str, u64> =
                STATUSES.iter().map(|status| (*status, number(status))).collect();
            data.push(json!({
                "token": token, "id": defined.id, "current": current, "digest": defined.digest,
                "defined_at": defined.at, "devices": devices, "recorded": defined.body,
            }));
        }
    }
    let words = words(object(&definition.body));
    if common.json {
        print_json(
            "profile",
            &json!({
                "name": name, "title": profile.title, "description": profile.description,
                "digest": definition.digest, "words": words, "fields": definition.body, "definitions": data,
            }),
        );
        return Ok(Exit::Success);
    }
    print(&format!("{name}: \"{}\"", profile.title));
    for line in profile.description.lines().map(str::to_owned).chain(words) {
        print(&format!("  {line}"));
    }
    print("");
    let fields = object(&definition.body).iter().map(|(field, value)| [field.clone(), shown(value)]);
    print_table(["field", "sent as"], fields.collect(), "");
    print("");
    let headings = ["token", "apple's id", "content", "defined", "empty", "assigned", "pushed", "removed"];
    let nothing = format!(
        "not defined at Apple yet; `deputy profile push {name}` does it, and so does the first run that needs it"
    );
    print_table(headings, rows, &nothing);
    Ok(Exit::Success)
}

/// A value on one line; the words of a list without quotes.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => plain(other),
    }
}
