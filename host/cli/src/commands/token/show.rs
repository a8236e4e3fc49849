//! `deputy token show`: everything known of one token, and what of it ends when.

use domain::id::TokenName;
use domain::token::from_now;
use domain::token_facts::{Certificate, TokenFacts};
use engine::lifecycle;
use engine::store::StoredToken;
use jiff::Timestamp;
use serde_json::json;

use super::request::open_requests;
use crate::Common;
use crate::app::{App, unknown};
use crate::exit::{Exit, Outcome};
use crate::output::{maybe, print, print_json, time};

pub(super) const SHAPE: &str = "\
With --json: { version: 1, token: {
  name, configured, open_requests,       what is asked for and not imported yet, newest first
  token, certificate, previous,          null where there is none
  standing: { worked_at, refusal },      refusal: null, or { why, since, seen_at }
  ends: [ { what, at } ],                token, certificate, pending-certificate; the soonest first
  devices, with_profile, synced_at
} }

why is one of: terms-not-signed, rejected, expired, creator-gone, server-inactive, session-refused,
other-server. It is what Apple said when it was last asked; `deputy token check` asks now.";

/// Carries the command out.
pub(super) async fn run(common: &Common, app: &App, name: &TokenName) -> Outcome {
    let facts = lifecycle::facts(&app.engine, name).await?;
    let open = lifecycle::pending_keys(&app.engine, name).await?;
    let configured = app.config.tokens.contains_key(name);
    if facts.is_none() && open.is_empty() && !configured {
        let names: Vec<&str> = app.config.tokens.keys().map(TokenName::as_str).collect();
        return Err(unknown("token", name.as_str(), &names));
    }
    let stored = app.engine.store.tokens().await?.into_iter().find(|it| it.token.name == *name);
    if common.json {
        let stored = stored.as_ref();
        let facts = facts.as_ref();
        let value = json!({
            "name": name, "configured": configured, "open_requests": open,
            "token": facts.map(|it| &it.token), "certificate": facts.map(|it| &it.certificate),
            "previous": facts.map(|it| &it.previous), "standing": facts.map(|it| &it.standing),
            "ends": facts.map(TokenFacts::ends),
            "devices": stored.map(|it| it.devices), "with_profile": stored.map(|it| it.with_profile),
            "synced_at": stored.and_then(|it| it.synced_at),
        });
        print_json("token", &value);
        return Ok(Exit::Success);
    }
    let mut lines = vec![name.to_string()];
    if !configured {
        lines.push(format!(
            "  not in deputy.toml: add a table `[tokens.{name}]`, or forget it: deputy token forget {name}"
        ));
    }
    match (&facts, &stored) {
        (Some(facts), Some(stored)) => lines.extend(imported(facts, stored, app.engine.now())),
        _ => lines.push("  never imported".to_owned()),
    }
    if !open.is_empty() {
        lines.push("open requests: a token for one of them can be imported".to_owned());
        lines.push(open_requests(&open));
    }
    print(&lines.join("\n"));
    Ok(Exit::Success)
}

fn imported(facts: &TokenFacts, stored: &StoredToken, now: Timestamp) -> Vec<String> {
    let TokenFacts { token, certificate, previous, standing, .. } = facts;
    let organisation = match &token.org_id {
        Some(id) => format!("{} ({id})", token.org_name),
        None => token.org_name.clone(),
    };
    let mut lines = vec![
        format!("  server        \"{}\" ({})", token.server_name, token.server_uuid),
        format!("  organisation  {organisation}"),
        format!("  made by       {}; the token ends when that account does", token.admin_id),
        format!("  imported      {}", time(token.imported_at)),
        format!("  devices       {}, {} with a profile", stored.devices, stored.with_profile),
        format!("  synced        {}", maybe(stored.synced_at, "never")),
        format!("  last worked   {}", maybe(standing.worked_at, "never")),
    ];
    if let Some(refusal) = &standing.refusal {
        lines.push(format!(
            "  refused       {}, since {}; last heard {}; what to do: deputy token check {}",
            refusal.why.in_words(),
            time(refusal.since),
            time(refusal.seen_at),
            token.name
        ));
    }
    lines.push(match certificate {
        Some(Certificate { common_name, serial_number, .. }) => {
            format!("  key           of the certificate \"{common_name}\", serial number {serial_number}")
        }
        None => "  key           none: the token was moved in without one".to_owned(),
    });
    lines.push("what ends".to_owned());
    for end in facts.ends() {
        let (what, consequence) = (end.what.in_words(), end.what.consequence());
        lines.push(format!("  {}  {what}, {}: {consequence}", time(end.at), from_now(end.at, now)));
    }
    if let Some(previous) = previous {
        lines.push(format!(
            "the token before, kept until this one has worked in a run or a check\n  {}  its end; made by {}, \
             imported {}, replaced {}; to go back: deputy token restore {}",
            time(previous.expires_at),
            previous.admin_id,
            time(previous.imported_at),
            time(previous.replaced_at),
            token.name
        ));
    }
    lines
}
