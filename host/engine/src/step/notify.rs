//! Tells people what the run did, if it is worth telling.

use domain::id::{ChannelName, RunId};
use domain::message::Message;
use domain::report::{heading, is_worth_telling, steps};
use domain::run::{Outcome, Run, State};
use domain::token::Severity;
use domain::workflow::When;
use serde_json::json;
use std::collections::BTreeMap;

use crate::engine::Engine;
use crate::failure::Error;

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
    if !is_worth_telling(&run, when) {
        return Ok(Outcome::NotNeeded { why: "nothing to tell".to_owned() });
    }
    let severity = match run.state {
        State::Refused | State::NeedsPerson => Severity::Critical,
        state if state.is_bad() => Severity::Warning,
        _ => Severity::Info,
    };
    // A run may be about many tokens; those whom one of them concerns are not told of the others, so it
    // has no contacts.
    let message =
        Message { data: json!(run), ..engine.new_message("run", severity, heading(&run), steps(&run)) };
    let outgoing = engine.outgoing(message, channels);
    let (mut sent, mut failed) = (Vec::new(), BTreeMap::new());
    for name in channels {
        if outgoing.addresses.iter().any(|address| address.channel == *name) {
            sent.push(name.clone());
        } else if !engine.settings.channels.contains_key(name) {
            failed.insert(name.clone(), "no such channel in deputy.toml".to_owned());
        }
    }
    engine.store.enqueue(outgoing).await?;
    engine.ring_outbox();
    Ok(Outcome::Notified { sent, failed })
}
