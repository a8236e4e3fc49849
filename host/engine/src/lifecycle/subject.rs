//! Everything about a token that can end or go wrong, as a reminder policy is told of it.
//!
//! Times are cut to milliseconds, as the store keeps them: what was told is recognised by them.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::id::{ChannelName, ProfileName, TokenName};
use domain::profile::Definition;
use domain::reminder::{
    Fact, FactName, Instance, Known, Subject, Told, Trouble, about_refusal, smallest_told,
};
use domain::token_facts::{TokenFacts, Why};
use domain::workflow::Uses;
use jiff::Timestamp;
use openssl::x509::X509;
use serde_json::Value;

use super::facts::all_facts;
use super::web::server_of;
use crate::apple::token_file;
use crate::engine::Engine;
use crate::store::{self, StoredToken};

/// A token, what is known of it, and what channels were told.
#[derive(Clone, Debug)]
pub struct About {
    /// What a policy is told.
    pub subject: Subject,
    /// The facts, in the same order, with what people said of them.
    pub known: Vec<Known>,
    /// What the channels in question were told of each.
    pub told: Vec<Vec<Told>>,
}

/// What is known of these tokens, if they were imported, and what was told by these channels (without any
/// given: by all).
pub async fn about(
    engine: &Engine,
    tokens: &[TokenName],
    channels: Option<&[ChannelName]>,
) -> Result<Vec<About>, store::Error> {
    let stored = engine.store.tokens().await?;
    let seen = engine.store.web_certificates().await?;
    let mut found = Vec::new();
    for facts in all_facts(engine).await? {
        let name = &facts.token.name;
        let Some(stored) = stored.iter().find(|it| it.token.name == *name && tokens.contains(name)) else {
            continue;
        };
        let mut all = of_token(&facts);
        for (profile, definition) in profiles(engine, name).await? {
            all.extend(certificates(&profile, definition));
            let server = |url: &Value| server_of(url.as_str()?);
            let urls = ["url", "configuration_web_url"].map(|key| &definition.body[key]);
            for server in urls.into_iter().filter_map(server) {
                let ends = seen.get(&server).and_then(|(ends, _)| *ends);
                all.push(fact("mdm-certificate", &server, ends));
            }
        }
        found.push(put_together(engine, &facts, stored, all, channels).await?);
    }
    Ok(found)
}

/// What the web servers are called that profiles of these tokens point to.
pub(crate) async fn servers(engine: &Engine, tokens: &[TokenName]) -> Result<BTreeSet<String>, store::Error> {
    let known = about(engine, tokens, None).await?.into_iter().flat_map(|it| it.subject.facts);
    Ok(known.filter(|fact| fact.kind == "mdm-certificate").map(|fact| fact.name).collect())
}

/// The token itself and what Apple said of it.
fn of_token(facts: &TokenFacts) -> Vec<Fact> {
    let TokenFacts { token, certificate, standing, .. } = facts;
    let mut all = vec![fact("token", "", Some(token.expires_at))];
    all.extend(certificate.iter().map(|it| fact("certificate", "", Some(it.not_after))));
    all.extend(["terms", "account", "server", "session"].map(|kind| fact(kind, "", None)));
    // That it has ended its own end says; twice would be once too often.
    let refusal = standing.refusal.as_ref();
    let refusal = refusal.filter(|it| it.why != Why::Expired || token.expires_at > it.seen_at);
    if let Some(refusal) = refusal {
        let (kind, trouble) = about_refusal(token, refusal);
        for fact in all.iter_mut().filter(|fact| fact.kind == kind) {
            fact.trouble = Some(trouble.clone());
        }
    }
    all
}

/// The profiles that devices of a token are on or may get: those Apple was told of for it, and, where a
/// workflow decides for it, all there are.
async fn profiles<'a>(
    engine: &'a Engine,
    token: &TokenName,
) -> Result<Vec<(ProfileName, &'a Definition)>, store::Error> {
    let decides = engine.settings.workflows.values().any(|workflow| {
        workflow.tokens.as_ref().is_none_or(|tokens| tokens.contains(token))
            && workflow.steps.iter().any(|step| matches!(step.uses, Uses::Decide { .. }))
    });
    let defined = engine.store.defined_profiles(token).await?;
    let defined: BTreeSet<ProfileName> = defined.into_values().map(|(name, _)| name).collect();
    let all = engine.settings.profiles.iter().filter(|(name, _)| decides || defined.contains(*name));
    Ok(all.map(|(name, definition)| (name.clone(), definition)).collect())
}

/// The certificates that a profile carries.
fn certificates(profile: &ProfileName, definition: &Definition) -> Vec<Fact> {
    let lists = ["anchor_certs", "supervising_host_certs"].map(|key| definition.body[key].as_array());
    let all = lists.into_iter().flatten().flatten().filter_map(Value::as_str).filter_map(|text| {
        let certificate = X509::from_der(&STANDARD.decode(text).ok()?).ok()?;
        let (subject, ends) = token_file::name_and_end(&certificate)?;
        Some(fact("profile-certificate", &format!("{profile}: {subject}"), Some(ends)))
    });
    all.collect()
}

/// The kind of the fact that a reminder policy fails.
pub(crate) const POLICY: &str = "reminder-policy";

/// That a reminder policy fails.
pub(crate) fn policy_fails(name: &str, why: String, since: Timestamp) -> Trouble {
    Trouble {
        code: "policy-failed".to_owned(),
        message: why,
        advice: format!(
            "Mend the plugin `{name}` or its settings: deputy plugin inspect {name}\n\
             Until then the policy that comes with Deputy says who is reminded."
        ),
        since,
    }
}

fn fact(kind: &str, name: &str, ends: Option<Timestamp>) -> Fact {
    let whole = |time: Timestamp| Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time);
    Fact {
        kind: kind.to_owned(),
        name: name.to_owned(),
        ends: ends.map(whole),
        trouble: None,
        told: None,
        acknowledged: false,
    }
}

async fn put_together(
    engine: &Engine,
    facts: &TokenFacts,
    stored: &StoredToken,
    mut all: Vec<Fact>,
    channels: Option<&[ChannelName]>,
) -> Result<About, store::Error> {
    let (token, now) = (&facts.token, engine.now());
    let mut told = engine.store.told(&token.name).await?;
    let muted = engine.store.muted(&token.name).await?;
    for list in told.values_mut() {
        list.retain(|it| channels.is_none_or(|channels| channels.contains(&it.channel)));
    }
    // What people were told of and is gone is well again.
    let gone = told.iter().filter(|(_, list)| !list.is_empty()).map(|(which, _)| which);
    let gone: Vec<FactName> =
        gone.filter(|which| all.iter().all(|it| it.which() != **which)).cloned().collect();
    all.extend(gone.into_iter().map(|it| {
        // Only a run finds out whether a policy works again.
        let since = told[&it].iter().find_map(|it| it.instance.trouble()).filter(|_| it.kind == POLICY);
        let why = format!("the policy `{}` failed when it was asked last", it.name);
        Fact {
            trouble: since.map(|since| policy_fails(&it.name, why, since)),
            ..fact(&it.kind, &it.name, None)
        }
    }));
    // Several profiles may point to the same server.
    let mut seen = BTreeSet::new();
    all.retain(|fact| seen.insert(fact.which()));

    // While Apple refuses the token for one reason, nobody knows of the others whether they are over.
    let refused = facts.standing.refusal.is_some();
    let everything = muted.get(&FactName::everything());
    let (mut known, mut lists) = (Vec::new(), Vec::new());
    for mut fact in all {
        let mut list = told.remove(&fact.which()).unwrap_or_default();
        let asks_apple = matches!(&*fact.kind, "token" | "terms" | "account" | "server" | "session");
        if refused && asks_apple && fact.trouble.is_none() {
            list.retain(|it| !matches!(it.instance, Instance::Trouble(_)));
        }
        fact.told = smallest_told(&list);
        let instance = fact.instance();
        let own = muted.get(&fact.which());
        let said: Vec<_> =
            [own, everything].into_iter().flatten().filter(|it| it.counts(instance, now)).collect();
        fact.acknowledged = said.iter().any(|it| it.acknowledged == Some(instance));
        let until = said.iter().filter_map(|it| it.snoozed_until).filter(|until| *until > now).max();
        let note = said.iter().map(|it| it.note.clone()).find(|note| !note.is_empty());
        known.push(Known { fact, snoozed_until: until, note });
        lists.push(list);
    }
    let settings = engine.settings.tokens.get(&token.name);
    let subject = Subject {
        name: token.name.clone(),
        server_name: token.server_name.clone(),
        org_name: token.org_name.clone(),
        admin_id: token.admin_id.clone(),
        contacts: settings.map(|it| it.contacts.clone()).unwrap_or_default(),
        devices: stored.devices,
        facts: known.iter().map(|it| it.fact.clone()).collect(),
    };
    Ok(About { subject, known, told: lists })
}

/// Acknowledges, snoozes, or takes both back: what is said of these facts from now on. What was said of
/// them before and is not about the same stays.
pub async fn mute(
    engine: &Engine,
    token: &TokenName,
    facts: &[Option<&Fact>],
    say: impl Fn(Option<&Fact>, &mut domain::reminder::Muted),
) -> Result<(), store::Error> {
    let before: BTreeMap<_, _> = engine.store.muted(token).await?;
    let one = |fact: &Option<&Fact>| {
        let which = fact.map_or_else(FactName::everything, Fact::which);
        let mut muted = before.get(&which).cloned().unwrap_or_default();
        muted.at = engine.now();
        say(*fact, &mut muted);
        (which, muted)
    };
    engine.store.mute(token, facts.iter().map(one).collect()).await
}

/// Ends the snoozes of the facts that are meant; without a name, all of the token, those of facts that are gone
/// included. What is acknowledged stays so. Until when the token as a whole is snoozed after that.
pub async fn unsnooze(
    engine: &Engine,
    token: &TokenName,
    which: Option<&FactName>,
) -> Result<Option<Timestamp>, store::Error> {
    let mut muted = engine.store.muted(token).await?;
    let meant = |fact: &FactName| which.is_none_or(|which| which.means(fact));
    for (_, muted) in muted.iter_mut().filter(|(fact, _)| meant(fact)) {
        muted.snoozed_until = None;
    }
    let now = engine.now();
    let whole = muted.get(&FactName::everything()).and_then(|it| it.snoozed_until).filter(|it| *it > now);
    engine.store.mute(token, muted.into_iter().collect()).await?;
    Ok(whole)
}
