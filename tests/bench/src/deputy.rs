//! Deputy as it works for an operator: its engine over a store in a file, with one token.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, bail};
use domain::document::Source;
use domain::id::TokenName;
use domain::policy::Policy;
use domain::run::{Outcome, State};
use domain::workflow::{Defaults, Workflow};
use engine::apple::Network;
use engine::clock::SystemClock;
use engine::engine::Engine;
use engine::lifecycle;
use engine::runner::{self, Observer, Progress, RunOptions};
use engine::secrets::Key;
use engine::settings::{Settings, TokenSettings};
use engine::stop::Stopper;
use engine::store::Store;
use jiff::tz::TimeZone;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use crate::apple::Apple;
use crate::policy;

/// The only token.
const TOKEN: &str = "bench";
/// Seals secrets of an organisation that does not exist.
const KEY: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What a token lets its holder do, for those who do without Deputy.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Access {
    /// Where Apple is.
    pub(crate) apple_url: String,
    /// The token's secrets: a JSON object.
    pub(crate) credentials: String,
    /// The account's largest page.
    pub(crate) page_limit: u32,
}

/// An engine over the store in this file, which is made if it is not there; with this policy, if any.
pub(crate) async fn engine(
    store: &Path,
    apple_url: &str,
    policy: Option<Arc<dyn Policy>>,
) -> anyhow::Result<Engine> {
    let key = Key::from_text(KEY, "the benchmark")?;
    let store = Store::open(store, key).await?;
    let apple_url = apple_url.parse().context("the address of the simulator is none")?;
    let token = TokenSettings { apple_url, contacts: Vec::new(), network: Network::default() };
    let mut settings = Settings { tokens: [(TOKEN.parse()?, token)].into(), ..Settings::default() };
    if let Some(policy) = policy {
        settings.profiles = policy::profiles()?;
        settings.policies = [(policy::name()?, Ok(policy))].into();
    }
    Ok(Engine::new(store, settings, Arc::new(SystemClock))?)
}

/// Makes a store with a token and no devices: request, portal, import, as an operator does it.
pub(crate) async fn exchange(store: &Path, apple: &Apple) -> anyhow::Result<Access> {
    let engine = engine(store, apple.url(), None).await?;
    let name: TokenName = TOKEN.parse()?;
    let requested = lifecycle::request(&engine, &name).await?;
    let file = apple.token(requested.certificate_pem).await?;
    lifecycle::import(&engine, &name, lifecycle::Incoming::File(file)).await?;
    let credentials = engine.store.credentials(&name).await?.context("the token was not stored")?;
    let limit = engine.store.sync_state(&name).await?.limits.page;
    Ok(Access {
        apple_url: apple.url().to_owned(),
        credentials: String::from_utf8(credentials.expose_secret().to_vec())?,
        page_limit: limit.context("the account states no largest page")?,
    })
}

/// A step that was carried out.
pub(crate) struct Step {
    /// What it does.
    pub(crate) uses: &'static str,
    /// How long that took, by the clock.
    pub(crate) seconds: f64,
    /// What it came to.
    pub(crate) outcome: Outcome,
}

/// Carries out a workflow, given as in its file.
pub(crate) async fn run(engine: &Engine, workflow: &str) -> anyhow::Result<Vec<Step>> {
    let workflow = Workflow::parse(
        Source { path: "the benchmark", text: workflow },
        &Defaults::of_machine(TimeZone::UTC),
    )?;
    let begun: Arc<Mutex<Vec<(&'static str, Instant)>>> = Arc::default();
    let observed = begun.clone();
    let observer: Observer = Arc::new(move |progress: Progress| {
        let mut begun = observed.lock().unwrap_or_else(PoisonError::into_inner);
        if begun.last().is_none_or(|(uses, _)| *uses != progress.uses) {
            begun.push((progress.uses, Instant::now()));
        }
    });
    let options = RunOptions { observer, ..RunOptions::by_hand() };
    let stopper = Stopper::default();
    let run = runner::run(engine, &workflow, options, &stopper.listener()).await?;
    let run = run.context("the run did not begin")?;
    if run.state != State::Succeeded {
        bail!("the run did not succeed:\n{:#?}", run.steps);
    }
    let begun = begun.lock().unwrap_or_else(PoisonError::into_inner);
    let ended = begun.iter().skip(1).map(|(_, at)| *at).chain([Instant::now()]);
    let steps = run.steps.into_iter().zip(begun.iter().zip(ended)).map(|(step, ((uses, began), ended))| {
        let outcome = step.outcome.context("a step has no outcome")?;
        Ok(Step { uses, seconds: ended.duration_since(*began).as_secs_f64(), outcome })
    });
    steps.collect()
}
