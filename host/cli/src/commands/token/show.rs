//! `deputy token show`: everything known of one token, and what of it ends when.

use domain::id::TokenName;
use domain::reminder::Known;
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
  facts: [ { kind, name, ends, trouble,  all that reminders are about, of profiles and web servers too;
    told, acknowledged,                  told: the smallest threshold, in seconds before the end
    snoozed_until, note } ],             trouble: null, or { code, message, advice, since }
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
    let about = lifecycle::about(&app.engine, std::slice::from_ref(name), None).await?.pop();
    let known = about.map(|it| it.known).unwrap_or_default();
    if common.json {
        let stored = stored.as_ref();
        let facts = facts.as_ref();
        let value = json!({
            "name": name, "configured": configured, "open_requests": open,
            "token": facts.map(|it| &it.token), "certificate": facts.map(|it| &it.certificate),
            "previous": facts.map(|it| &it.previous), "standing": facts.map(|it| &it.standing),
            "ends": facts.map(TokenFacts::ends), "facts": known,
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
        (Some(facts), Some(stored)) => lines.extend(imported(facts, stored, &known, app.engine.now())),
        _ => lines.push("  never imported".to_owned()),
    }
    if !open.is_empty() {
        lines.push("open requests: a token for one of them can be imported".to_owned());
        lines.push(open_requests(&open));
    }
    print(&lines.join("\n"));
    Ok(Exit::Success)
}

fn imported(facts: &TokenFacts, stored: &StoredToken, known: &[Known], now: Timestamp) -> Vec<String> {
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
    for known in known {
        let which = known.fact.which();
        // The token and its own certificate stand above.
        if let Some(ends) = known.fact.ends.filter(|_| !which.name.is_empty()) {
            lines.push(format!("  {}  {which}, {}", time(ends), from_now(ends, now)));
        }
    }
    lines.extend(known.iter().filter_map(said).map(|said| format!("  {said}")));
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

/// What people said of a fact, if it still counts.
pub(crate) fn said(known: &Known) -> Option<String> {
    let which = known.fact.which();
    let note = known.note.as_ref().map_or(String::new(), |note| format!(" ({note})"));
    match known.snoozed_until {
        Some(until) => Some(format!("{which}: snoozed until {}{note}", time(until))),
        None if known.fact.acknowledged => Some(format!("{which}: acknowledged{note}")),
        None => None,
    }
}
