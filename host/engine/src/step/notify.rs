//! Tells people what the run did, if it is worth telling: to each channel what it does not know yet.

use std::collections::BTreeMap;

use domain::announce::{News, Told, news};
use domain::id::{ChannelName, RunId, TokenName};
use domain::message::Message;
use domain::report::{heading, steps};
use domain::run::{Outcome, Run, State};
use domain::token::Severity;
use domain::workflow::When;
use serde_json::json;

use crate::engine::Engine;
use crate::failure::Error;
use crate::store::{Saying, Topic};

pub(crate) async fn notify(
    engine: &Engine,
    run: &RunId,
    when: When,
    channels: &[ChannelName],
) -> Result<Outcome, Error> {
    let Some(run) = engine.store.run(run).await? else {
        return Ok(Outcome::NotNeeded { why: "the run is not on record".to_owned() });
    };
    // Told as it will end: the only step to come is this one.
    let done = run.steps.iter().filter(|step| step.outcome.is_some()).cloned().collect();
    let run = Run { state: run.worst(), steps: done, ..run };
    let said = engine.store.said(Topic::Run, run.workflow.as_str()).await?;
    let told = |channel: &ChannelName| -> Told {
        let said = said.iter().filter(|((it, _), _)| it == channel);
        said.map(|((_, token), (kind, _))| (token.clone(), kind.clone())).collect()
    };
    // Most often all channels know the same and get the same message.
    let mut messages: Vec<(News, Vec<ChannelName>)> = Vec::new();
    for channel in channels {
        let news = news(&run, when, &told(channel));
        match messages.iter_mut().find(|(other, _)| *other == news) {
            Some((_, channels)) => channels.push(channel.clone()),
            None => messages.push((news, vec![channel.clone()])),
        }
    }
    messages.retain(|(news, _)| news.is_any());
    if messages.is_empty() {
        let is_news = news(&run, when, &Told::new()).is_any();
        return Ok(match (is_news, channels.is_empty()) {
            (true, true) => Outcome::Notified { sent: Vec::new(), failed: BTreeMap::new() },
            (true, false) => Outcome::NotNeeded { why: "told before, and still so".to_owned() },
            (false, _) => Outcome::NotNeeded { why: "nothing to tell".to_owned() },
        });
    }
    let (mut sent, mut failed) = (Vec::new(), BTreeMap::new());
    let (mut all, mut sayings) = (Vec::new(), Vec::new());
    for (news, channels) in messages {
        let outgoing = engine.outgoing(message(engine, &run, &news), &channels);
        for channel in channels {
            if outgoing.addresses.iter().any(|address| address.channel == channel) {
                sayings.extend(sayings_of(&news, &channel));
                sent.push(channel);
            } else if !engine.settings.channels.contains_key(&channel) {
                failed.insert(channel, "no such channel in deputy.toml".to_owned());
            }
        }
        all.push(outgoing);
    }
    sent.sort();
    engine.store.say(Topic::Run, run.workflow.as_str(), all, sayings, engine.now()).await?;
    engine.ring_outbox();
    Ok(Outcome::Notified { sent, failed })
}

/// The run in words. A run may be about many tokens; those whom one of them concerns are not told of the
/// others, so it has no contacts.
fn message(engine: &Engine, run: &Run, news: &News) -> Message {
    let severity = match run.state {
        State::Refused | State::NeedsPerson => Severity::Critical,
        state if state.is_bad() => Severity::Warning,
        _ => Severity::Info,
    };
    let (mut subject, mut text) = (heading(run), steps(run));
    if !news.over.is_empty() {
        let names: Vec<&str> =
            news.over.iter().map(|token| token.as_ref().map_or("the run", TokenName::as_str)).collect();
        text += &format!("works again: {}\n", names.join(", "));
        if !run.state.is_bad() {
            subject += "; works again";
        }
    }
    Message { data: json!(run), ..engine.new_message("run", severity, subject, text) }
}

/// What a channel knows once it has the message.
fn sayings_of(news: &News, channel: &ChannelName) -> Vec<Saying> {
    let saying =
        |token: &Option<TokenName>, kind| Saying { channel: channel.clone(), token: token.clone(), kind };
    let begun = news.begun.iter().map(|(token, kind)| saying(token, Some(kind.clone())));
    begun.chain(news.over.iter().map(|token| saying(token, None))).collect()
}
