//! Tells people what the run did, if it is worth telling.

use domain::id::{ChannelName, RunId};
use domain::report::{heading, is_worth_telling, steps};
use domain::run::{Outcome, Run, State};
use domain::token::Severity;
use domain::workflow::When;
use serde_json::json;
use std::collections::BTreeMap;

use crate::engine::Engine;
use crate::failure::Error;
use crate::notify::Message;

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
    let message = Message {
        kind: "run",
        severity: match run.state {
            State::Refused | State::NeedsPerson => Severity::Critical,
            state if state.is_bad() => Severity::Warning,
            _ => Severity::Info,
        },
        subject: heading(&run),
        text: steps(&run),
        data: json!(run),
    };
    let (mut sent, mut failed) = (Vec::new(), BTreeMap::new());
    for name in channels {
        let delivered = match engine.settings.channels.get(name) {
            Some(channel) => channel.deliver(&message).await,
            None => Err("no such channel in deputy.toml".to_owned()),
        };
        match delivered {
            Ok(()) => sent.push(name.clone()),
            Err(why) => drop(failed.insert(name.clone(), why)),
        }
    }
    Ok(Outcome::Notified { sent, failed })
}
