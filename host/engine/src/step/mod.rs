//! The steps of a workflow, one file for each kind.

pub(crate) mod apply;
pub(crate) mod decide;
pub(crate) mod notify;
pub(crate) mod place;
pub(crate) mod plan;
pub(crate) mod remind;
pub(crate) mod remove;
pub(crate) mod review;
pub(crate) mod sync;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use domain::freeze::{Frozen, frozen};
use domain::id::{PluginName, RunId, TokenName};
use domain::table::Tables;
use domain::workflow::Retry;
use jiff::Timestamp;
use rand::RngExt as _;

use crate::apple::{self, Client, Next, backoff};
use crate::engine::Engine;
use crate::failure::Error;
use crate::runner::{About, Observer, Progress};
use crate::step::place::Place;
use crate::stop::Stop;
use crate::store::Seen;

/// An answer that takes longer than this is waited for without a place among the lanes.
const PATIENCE: Duration = Duration::from_secs(2);

/// So long an answer is still waited for when the run is to stop: most come sooner, and then nothing
/// has to be read back.
const GRACE: Duration = Duration::from_secs(2);

/// One token's way through a run: what its steps work with.
pub(crate) struct Lane<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) run: &'a RunId,
    /// When the run began: the only time a policy hears of.
    pub(crate) now: Timestamp,
    pub(crate) about: &'a About,
    pub(crate) token: TokenName,
    /// Which token of that name the client was made for.
    pub(crate) imported_at: Timestamp,
    pub(crate) client: Client,
    /// Said when the run is to end, or the step at work.
    pub(crate) stop: Stop,
    pub(crate) observer: &'a Observer,
    pub(crate) place: Place,
    /// Assignments that were in flight when an earlier run's process ended, settled since.
    pub(crate) read_back: u64,
}

impl Lane<'_> {
    /// Ends the step here if the run is to end early.
    pub(crate) fn go_on(&self) -> Result<(), Error> {
        if self.stop.is_set() { Err(Error::Stopped) } else { Ok(()) }
    }

    /// That nothing is changed at Apple now, if that is so and nobody has said that it is done all the same.
    pub(crate) fn frozen(&self) -> Option<Frozen> {
        let found = frozen(&self.engine.settings.freezes, &self.token, self.engine.now());
        found.filter(|_| !self.about.despite_freeze)
    }

    /// Ends the step here if nothing is changed at Apple now. To be asked before every call that does.
    pub(crate) fn may_change(&self) -> Result<(), Error> {
        self.frozen().map_or(Ok(()), |frozen| Err(Error::Frozen(frozen)))
    }

    /// The tables a plugin may look into, as they were when the run began.
    pub(crate) fn tables(&self, plugin: &PluginName) -> Arc<Tables> {
        Arc::new(self.engine.settings.granted(plugin, &self.about.tables))
    }

    /// Tells whoever watches how far a step is.
    pub(crate) fn progress(&self, uses: &'static str, done: u64, total: Option<u64>) {
        (self.observer)(Progress { token: Some(self.token.clone()), uses, done, total });
    }

    /// What is learned from Apple now belongs to this run.
    pub(crate) fn seen(&self) -> Seen {
        Seen { run: self.run.clone(), at: self.engine.now() }
    }

    /// Calls Apple, once. Fails if the run is to stop and the answer does not come soon: whether Apple
    /// has carried the call out is then unknown.
    pub(crate) async fn call<T>(&self, call: impl Future<Output = T>) -> Result<T, Error> {
        let stopped = async {
            self.stop.wait().await;
            tokio::time::sleep(GRACE).await;
        };
        let answer = async {
            tokio::select! {
                biased;
                answer = call => Ok(answer),
                () = stopped => Err(Error::NotAwaited(self.token.clone())),
            }
        };
        self.place.lend(PATIENCE, answer).await
    }

    /// Calls Apple, again while the error says that this may help and tries are left.
    pub(crate) async fn retrying<T, F>(&self, retry: Retry, call: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, apple::Error>>,
    {
        let mut tries = Tries::new(retry);
        loop {
            self.go_on()?;
            match self.call(call()).await? {
                Ok(answer) => return Ok(answer),
                Err(error) => self.wait_or_give_up(&mut tries, error).await?,
            }
        }
    }

    /// Waits before the next try, or returns the error if there is none.
    pub(crate) async fn wait_or_give_up(&self, tries: &mut Tries, error: apple::Error) -> Result<(), Error> {
        let Next::Retry { after } = error.next() else { return Err(error.into()) };
        let patient = after.is_none_or(|after| after <= backoff::LONGEST);
        let Some(pause) = tries.next_pause(after).filter(|_| patient) else { return Err(error.into()) };
        let token = &self.token;
        tracing::info!(%token, run = %self.run, "{error}; trying again in {}", domain::token::in_words(pause));
        if self.place.lend(Duration::ZERO, self.stop.sleep(pause)).await {
            Ok(())
        } else {
            Err(Error::Stopped)
        }
    }
}

/// The tries that are left.
pub(crate) struct Tries {
    retry: Retry,
    failed: u32,
}

impl Tries {
    pub(crate) fn new(retry: Retry) -> Self {
        Self { retry, failed: 0 }
    }

    /// How long to wait after another failure, given what Apple asked for; none if that was the last try.
    fn next_pause(&mut self, asked: Option<Duration>) -> Option<Duration> {
        self.failed += 1;
        let again = self.failed < self.retry.attempts;
        again.then(|| backoff::pause(self.retry.backoff, self.failed, asked, rand::rng().random()))
    }
}
