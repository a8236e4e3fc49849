//! The ping of a workflow: a call to an address that expects one after each good run, and raises the alarm when
//! none comes.
//!
//! It is made beside the outbox: a ping that is late says nothing, so it is not kept for later. It never fails
//! a run. That it does not get through is told like any trouble: once, and when it is over.

use domain::run::Run;
use domain::token::Severity;
use domain::workflow::{Ping, SecretPlace, Workflow};
use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderValue, USER_AGENT};
use secrecy::ExposeSecret as _;
use serde_json::json;
use url::Url;

use crate::apple::{Network, Trouble};
use crate::channel::{HookUrl, SecretSource};
use crate::engine::Engine;
use crate::failure::Error;
use crate::freshness::channels_of;
use crate::store::{Reason, Saying, Topic};

/// Pings after a run, if the workflow wants that, and tells people if it does not get through.
pub(crate) async fn after(engine: &Engine, workflow: &Workflow, run: &Run) -> Result<(), Error> {
    let Some(ping) = &workflow.promises.ping else { return Ok(()) };
    let is_good = !run.state.is_bad();
    if !is_good && !ping.failures {
        return Ok(());
    }
    let outcome = call(ping, is_good).await;
    match &outcome {
        Ok(()) => tracing::debug!(run = %run.id, "the ping of {} got through", workflow.name),
        Err(why) => tracing::warn!(run = %run.id, "the ping of {} did not get through: {why}", workflow.name),
    }
    told(engine, workflow, outcome.err()).await
}

/// Whether the address of a ping is where it is said to be, and can be called.
pub fn check(ping: &Ping) -> Result<(), Reason> {
    address(ping).map(drop)
}

fn address(ping: &Ping) -> Result<Url, Reason> {
    let source = match &ping.url_from {
        SecretPlace::File(path) => SecretSource::File(path.clone()),
        SecretPlace::Environment(variable) => SecretSource::Environment(variable.clone()),
        SecretPlace::Credential(name) => SecretSource::Credential(name.clone()),
    };
    let text = source.read()?;
    HookUrl::parse(text.expose_secret())
        .map_err(|why| Reason { why: format!("what {} holds is {why}", source.place()), advice: None })
}

/// The call itself. The address is a secret: whoever has it can say that all is well.
async fn call(ping: &Ping, is_good: bool) -> Result<(), String> {
    let mut url = address(ping).map_err(|reason| reason.why)?;
    if !is_good {
        add_fail(&mut url);
    }
    let host = url.host_str().unwrap_or_default().to_owned();
    let network = Network { read_timeout: ping.timeout, call_timeout: ping.timeout, ..Network::default() };
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("deputy/", env!("CARGO_PKG_VERSION"))));
    let http =
        network.http(headers).map_err(|error| format!("TLS could not be set up: {}", error.without_url()))?;
    let answer = http.get(url).send().await;
    let answer = answer.map_err(|error| Trouble::of(&error.without_url()).with(&host))?;
    let status = answer.status();
    if status.is_success() { Ok(()) } else { Err(format!("{host} answered {status}")) }
}

/// `/fail` behind the path, as the services that take such pings have it.
fn add_fail(url: &mut Url) {
    let path = format!("{}/fail", url.path().trim_end_matches('/'));
    url.set_path(&path);
}

/// Tells each channel once that pings do not get through, and once that they do again.
async fn told(engine: &Engine, workflow: &Workflow, trouble: Option<String>) -> Result<(), Error> {
    let name = workflow.name.as_str();
    let said = engine.store.said(Topic::Ping, name).await?;
    let knows = |channel: &_| said.contains_key(&(Clone::clone(channel), None));
    let channels: Vec<_> = channels_of(engine, workflow)
        .into_iter()
        .filter(|channel| knows(channel) != trouble.is_some())
        .collect();
    if channels.is_empty() {
        return Ok(());
    }
    let (severity, subject, text) = match &trouble {
        Some(why) => (
            Severity::Warning,
            format!("the ping of {name} does not get through"),
            format!("{why}\nWhoever waits for it may raise an alarm although the workflow runs.\n"),
        ),
        None => (Severity::Info, format!("the ping of {name} gets through again"), String::new()),
    };
    let now: Timestamp = engine.now();
    let mut message = engine.new_message("ping", severity, subject, text);
    message.data = json!({ "workflow": name, "trouble": trouble });
    let outgoing = engine.outgoing(message, &channels);
    let reached = |channel: &_| outgoing.addresses.iter().any(|address| address.channel == *channel);
    let kind = trouble.map(|_| "unreachable".to_owned());
    let sayings = channels.iter().filter(|channel| reached(channel));
    let sayings =
        sayings.map(|channel| Saying { channel: channel.clone(), token: None, kind: kind.clone() }).collect();
    engine.store.say(Topic::Ping, name, vec![outgoing], sayings, now).await?;
    engine.ring_outbox();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_run_pings_the_same_address_with_fail_behind_it() {
        for (typed, expected) in [
            ("https://hc.example.com/uuid", "https://hc.example.com/uuid/fail"),
            ("https://hc.example.com/uuid/?a=b", "https://hc.example.com/uuid/fail?a=b"),
        ] {
            let mut url: Url = typed.parse().unwrap();
            add_fail(&mut url);
            assert_eq!(url.as_str(), expected);
        }
    }
}
