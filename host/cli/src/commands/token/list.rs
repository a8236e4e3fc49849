//! `deputy token list`: every token, whose it is and how it stands.

use std::collections::BTreeSet;

use domain::id::TokenName;
use domain::token::from_now;
use domain::token_facts::TokenFacts;
use engine::lifecycle;
use serde_json::json;

use crate::Common;
use crate::app::App;
use crate::exit::{Exit, Outcome};
use crate::output::{maybe, print_json, print_table};

/// Carries the command out.
pub(super) async fn run(common: &Common, app: &App) -> Outcome {
    let now = app.engine.now();
    let stored = app.engine.store.tokens().await?;
    let facts = lifecycle::all_facts(&app.engine).await?;
    let facts_of = |name: &TokenName| facts.iter().find(|facts| facts.token.name == *name);
    let requested = lifecycle::requested(&app.engine).await?;
    if common.json {
        let tokens: Vec<_> = stored
            .iter()
            .map(|stored| {
                let facts = facts_of(&stored.token.name);
                json!({
                    "token": stored.token,
                    "configured": app.config.tokens.contains_key(&stored.token.name),
                    "synced_at": stored.synced_at,
                    "devices": stored.devices,
                    "with_profile": stored.with_profile,
                    "standing": facts.map(|facts| &facts.standing),
                    "open_requests": facts.map(|facts| facts.pending.len()),
                })
            })
            .collect();
        let requested: Vec<_> =
            requested.iter().map(|(name, at)| json!({ "name": name, "requested_at": at })).collect();
        print_json("tokens", &json!({ "imported": tokens, "requested": requested }));
        return Ok(Exit::Success);
    }
    // What is configured, and what is kept though it is not.
    let mut names: BTreeSet<&TokenName> = app.config.tokens.keys().collect();
    names.extend(stored.iter().map(|stored| &stored.token.name));
    names.extend(requested.iter().map(|(name, _)| name));
    let mut rows: Vec<[String; 7]> = Vec::new();
    for name in names {
        let nothing = || "-".to_owned();
        let configured = app.config.tokens.contains_key(name);
        let missing = if configured { "" } else { "not in deputy.toml" };
        rows.push(match stored.iter().find(|stored| stored.token.name == *name) {
            Some(stored) => [
                name.to_string(),
                stored.token.server_name.clone(),
                stored.token.org_name.clone(),
                stored.devices.to_string(),
                maybe(stored.synced_at, "never"),
                from_now(stored.token.expires_at, now),
                both(missing, &facts_of(name).map_or(String::new(), notes)),
            ],
            None => {
                let asked = requested.iter().any(|(token, _)| token == name);
                let state = if asked { "requested, not imported" } else { "not requested" };
                [
                    name.to_string(),
                    nothing(),
                    nothing(),
                    nothing(),
                    nothing(),
                    nothing(),
                    both(missing, state),
                ]
            }
        });
    }
    print_table(
        ["token", "server", "organisation", "devices", "synced", "expires", "notes"],
        rows,
        "no tokens; add a table `[tokens.NAME]` to deputy.toml",
    );
    Ok(Exit::Success)
}

fn notes(facts: &TokenFacts) -> String {
    let refused =
        facts.standing.refusal.as_ref().map_or("", |refusal| refusal.why.as_str()).replace('-', " ");
    let open = match facts.pending.len() {
        0 => String::new(),
        1 => "1 open request".to_owned(),
        number => format!("{number} open requests"),
    };
    both(&refused, &open)
}

fn both(one: &str, other: &str) -> String {
    let said: Vec<&str> = [one, other].into_iter().filter(|text| !text.is_empty()).collect();
    said.join(", ")
}
