//! `deputy token rename`: the store's part of it, and which lines of the operator's files are the rest.

use domain::id::TokenName;
use engine::store::Renamed;
use serde_json::json;

use crate::Common;
use crate::app::{App, unknown};
use crate::config::mentions::mentions;
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{print, print_json};

/// Carries the command out.
pub(super) async fn run(common: &Common, app: &App, old: &TokenName, new: &TokenName) -> Outcome {
    if old == new {
        return Err(Problem::usage(format!("`{old}` has that name already")));
    }
    // No run is to come to its end under a name that is gone, or begin under one that comes.
    let _locks = [held(app, old)?, held(app, new)?];
    match app.engine.store.rename_token(old, new).await? {
        Renamed::Done => {}
        Renamed::NotThere => {
            let stored = app.engine.store.tokens().await?;
            let names: Vec<&str> = stored.iter().map(|it| it.token.name.as_str()).collect();
            let problem = unknown("token", old.as_str(), &names);
            let configured = app.config.tokens.contains_key(old);
            return Err(match configured {
                true => Problem::usage(format!(
                    "nothing is kept of `{old}`; change its name in deputy.toml alone"
                )),
                false => problem,
            });
        }
        Renamed::Taken => {
            return Err(Problem::usage(format!(
                "something is kept under the name `{new}` already; nothing was changed"
            ))
            .hint(format!(
                "look at it with `deputy token show {new}`; choose another name, or forget that one"
            )));
        }
    }
    let lines = mentions(&common.config, old)?;
    if common.json {
        print_json("renamed", &json!({ "old": old, "new": new, "to_change": lines }));
        return Ok(Exit::Success);
    }
    print(&format!("Renamed `{old}` to `{new}`, with its keys, devices and history."));
    if lines.is_empty() {
        print("No line of deputy.toml or workflows/ names the old one.");
    } else {
        print("Now write the new name in these lines; until then runs say that the old one is not imported:");
        lines.iter().for_each(|it| print(&format!("  {}:{}: {}", it.file, it.line, it.text)));
    }
    print(
        "Then, if `deputy serve` is running, send it SIGHUP. Reports of past runs keep the name in their text.",
    );
    if !app.config.tokens.contains_key(new) && !app.config.tokens.contains_key(old) {
        print(&format!("deputy.toml has no `[tokens.{new}]` yet: without it no run works with the token."));
    }
    Ok(Exit::Success)
}

fn held(app: &App, name: &TokenName) -> Outcome<engine::lock::Held> {
    let held = app.engine.hold_token_now(name)?;
    held.ok_or_else(|| {
        Problem::new(Exit::Unavailable, format!("a run works with `{name}`; nothing was changed"))
            .hint("type it again when the run has ended")
    })
}
