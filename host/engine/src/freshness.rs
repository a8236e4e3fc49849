//! What workflows promise of the devices of their tokens, and telling that a promise is broken or kept again.

use std::collections::BTreeSet;

use domain::duration::Span;
use domain::freshness::Freshness;
use domain::id::{ChannelName, TokenName};
use domain::token::Severity;
use domain::workflow::{Uses, Workflow};
use serde_json::json;

use crate::engine::Engine;
use crate::failure::Error;
use crate::keep::Keep;
use crate::runner::tokens_of;
use crate::store::{Saying, Topic};

/// How the tokens of a workflow stand to its promise; nothing if it makes none, or if it rests: whoever disabled
/// or paused it knows.
pub async fn freshness(engine: &Engine, workflow: &Workflow) -> Result<Vec<(TokenName, Freshness)>, Error> {
    let Some(within) = workflow.promises.fresh_within else { return Ok(Vec::new()) };
    let pauses = engine.store.pauses().await?;
    if !workflow.enabled || pauses.get(&workflow.name).is_some_and(|pause| pause.is_on(engine.now())) {
        return Ok(Vec::new());
    }
    let before = Keep::before(engine.now(), within);
    let mut found = Vec::new();
    for token in tokens_of(engine, workflow, None) {
        if let Some(freshness) = engine.store.freshness(&token, before).await? {
            found.push((token, freshness));
        }
    }
    Ok(found)
}

/// Tells people that a workflow's promise is broken, or is kept again: each channel once.
pub(crate) async fn watch(engine: &Engine, workflow: &Workflow) -> Result<(), Error> {
    let Some(within) = workflow.promises.fresh_within.map(Span) else { return Ok(()) };
    let name = workflow.name.as_str();
    let found = freshness(engine, workflow).await?;
    let said = engine.store.said(Topic::Fresh, name).await?;
    let (mut messages, mut sayings) = (Vec::new(), Vec::new());
    for channel in channels_of(engine, workflow) {
        let mut news = Vec::new();
        for (token, freshness) in &found {
            let before = said.get(&(channel.clone(), Some(token.clone()))).map(|(kind, _)| kind.as_str());
            if before != freshness.kind() {
                news.push((token, freshness));
            }
        }
        if news.is_empty() {
            continue;
        }
        let lines: Vec<String> =
            news.iter().map(|(token, freshness)| freshness.in_words(token, within)).collect();
        let broken = news.iter().any(|(_, freshness)| freshness.kind().is_some());
        let (severity, subject) = match (broken, lines.as_slice()) {
            (true, [line]) => (Severity::Warning, format!("{name}: {line}")),
            (true, _) => {
                (Severity::Warning, format!("{name}: devices are without their profiles for too long"))
            }
            (false, _) => {
                (Severity::Info, format!("{name}: every device has its profile within {within} again"))
            }
        };
        let hint =
            "`deputy device list --without-profile` shows them, `deputy device explain SERIAL` says why";
        let text =
            format!("{}\n{}", lines.join("\n"), if broken { format!("{hint}\n") } else { String::new() });
        let data = news.iter().map(|(token, freshness)| json!({ "token": token, "state": freshness }));
        let mut message = engine.new_message("freshness", severity, subject, text);
        message.data = json!({ "workflow": name, "fresh_within": within.to_string(), "tokens": data.collect::<Vec<_>>() });
        let outgoing = engine.outgoing(message, std::slice::from_ref(&channel));
        if outgoing.addresses.is_empty() {
            continue;
        }
        messages.push(outgoing);
        sayings.extend(news.iter().map(|(token, freshness)| Saying {
            channel: channel.clone(),
            token: Some((*token).clone()),
            kind: freshness.kind().map(str::to_owned),
        }));
    }
    if messages.is_empty() {
        return Ok(());
    }
    engine.store.say(Topic::Fresh, name, messages, sayings, engine.now()).await?;
    engine.ring_outbox();
    Ok(())
}

/// Whom a workflow tells things: the channels of its `notify` steps; all there are, if they name none.
pub(crate) fn channels_of(engine: &Engine, workflow: &Workflow) -> BTreeSet<ChannelName> {
    let named = workflow.steps.iter().filter_map(|step| match &step.uses {
        Uses::Notify { channels, .. } => channels.as_ref(),
        _ => None,
    });
    let named: BTreeSet<ChannelName> = named.flatten().cloned().collect();
    if named.is_empty() { engine.settings.channels.keys().cloned().collect() } else { named }
}
