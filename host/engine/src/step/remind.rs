//! Tells people of what ends with a token or went wrong with it, as a reminder policy says.
//!
//! A reminder is on record from the moment it is in the outbox, in one transaction. From there it arrives
//! by itself, however long the channel is down. A policy that fails must not be why nobody hears of a
//! token's end: for its tokens the shipped one is asked, and people are told of the failure as of any
//! other trouble.

use std::sync::Arc;

use domain::id::{ChannelName, PluginName, RunId, TokenName};
use domain::message::{Ending, Message};
use domain::policy::{Answered, Policy, Question};
use domain::reminder::{Context, Due, Fact, Known, Reminder, Subject, Told, due, smallest_told};
use domain::run::Reminded;
use jiff::Timestamp;
use serde_json::json;

use crate::engine::Engine;
use crate::failure::Error;
use crate::lifecycle::{self, About, POLICY, policy_fails};
use crate::runner;
use crate::settings::Unusable;
use crate::stop::Stop;
use crate::store::{Telling, Work};

/// The most tokens a policy is asked about at once: part of the contract.
const BATCH: usize = 1_000;

/// What is looked at, and who is told.
pub(crate) struct Reminding<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) run: &'a RunId,
    /// When the run began.
    pub(crate) now: Timestamp,
    pub(crate) about: &'a runner::About,
    pub(crate) tokens: &'a [TokenName],
    /// Who is asked; without one, the shipped policy.
    pub(crate) policy: Option<&'a PluginName>,
    pub(crate) channels: &'a [ChannelName],
    /// Look at the web servers that profiles point to.
    pub(crate) look_at_servers: bool,
    /// Tell nobody.
    pub(crate) dry: bool,
}

type Answers = Vec<Result<Vec<Reminder>, String>>;

impl Reminding<'_> {
    pub(crate) async fn remind(&self, stop: &Stop) -> Result<Reminded, Error> {
        let engine = self.engine;
        // Between looking and recording nobody else may look: a reminder is sent once.
        let _held = engine.hold_reminders(stop).await?;
        if self.look_at_servers {
            lifecycle::web::look(engine, self.tokens).await?;
        }
        // A token that was never imported is not among them; that it is missing is told elsewhere.
        let mut all = lifecycle::about(engine, self.tokens, Some(self.channels)).await?;
        let mut reminded = Reminded { tokens: all.len() as u64, ..Reminded::default() };
        for batch in all.chunks_mut(BATCH) {
            if stop.is_set() {
                return Err(Error::Stopped);
            }
            let answers = self.answers(batch, &mut reminded).await?;
            for (about, reminders) in batch.iter().zip(answers) {
                self.send(about, &reminders, &mut reminded).await?;
            }
        }
        engine.ring_outbox();
        Ok(reminded)
    }

    /// What is due, for each token; whatever fails on the way.
    async fn answers(
        &self,
        batch: &mut [About],
        reminded: &mut Reminded,
    ) -> Result<Vec<Vec<Reminder>>, Error> {
        let subjects = |batch: &[About]| batch.iter().map(|it| it.subject.clone()).collect::<Vec<_>>();
        // Whether a policy still fails is about to be seen.
        let acknowledged: Vec<Vec<String>> = batch.iter_mut().map(without_failures).collect();
        let Some(name) = self.policy else {
            let answers = self.ask(self.shipped()?, subjects(batch)).await?;
            return answers.into_iter().map(|it| it.map_err(failed)).collect();
        };
        let answers = match self.named(name) {
            Ok(policy) => self.ask(policy, subjects(batch)).await?,
            Err(unusable) => batch.iter().map(|_| Err(unusable.error.clone())).collect(),
        };
        let why = answers.iter().find_map(|it| it.as_ref().err().cloned());
        let Some(why) = why else { return Ok(answers.into_iter().flatten().collect()) };
        tracing::error!(run = %self.run, "{why}; the policy that comes with Deputy says who is reminded");
        reminded.faults.push(format!("{why}; the policy that comes with Deputy was asked instead"));
        // Once for all of them: it is one plugin that has to be mended.
        if let Some(first) = answers.iter().position(Result::is_err) {
            let known = acknowledged[first].iter().any(|acknowledged| acknowledged == name.as_str());
            self.tell_of_failure(&mut batch[first], name, why, known);
        }
        let failing: Vec<usize> = (0..batch.len()).filter(|index| answers[*index].is_err()).collect();
        let again = failing.iter().map(|index| batch[*index].subject.clone()).collect();
        let mut instead = self.ask(self.shipped()?, again).await?.into_iter();
        let answer = |answer: Result<_, String>| match answer {
            Ok(reminders) => Ok(reminders),
            Err(_) => instead.next().unwrap_or(Ok(Vec::new())).map_err(failed),
        };
        answers.into_iter().map(answer).collect()
    }

    async fn ask(&self, policy: Arc<dyn Policy>, subjects: Vec<Subject>) -> Result<Answers, Error> {
        let context = Context {
            now: self.now,
            utc_offset: self.about.utc_offset,
            channels: self.channels.to_vec(),
            tables: Arc::new(self.engine.settings.granted(policy.name(), &self.about.tables)),
        };
        let asked = policy.clone();
        let tokens = subjects.len();
        // A policy computes and never waits: not for a thread that serves others.
        let answered = tokio::task::spawn_blocking(move || asked.remind(&context, &subjects)).await;
        let (answers, usage): (Answers, _) = match answered {
            Ok(Answered { answer, usage }) => {
                (answer.into_iter().map(|it| it.map_err(|error| error.to_string())).collect(), usage)
            }
            Err(panicked) => {
                let why = format!("the policy `{}` ended unexpectedly: {panicked}", policy.name());
                ((0..tokens).map(|_| Err(why.clone())).collect(), domain::policy::Usage::default())
            }
        };
        if self.policy == Some(policy.name()) {
            let faults = answers.iter().filter(|it| it.is_err()).count() as u64;
            let work = Work { usage, faults, ..Work::default() };
            self.engine.store.plugin_worked(policy.name(), policy.digest(), work, self.now).await?;
        }
        Ok(answers)
    }

    fn named(&self, name: &PluginName) -> Result<Arc<dyn Policy>, Unusable> {
        match self.engine.settings.policies.get(name) {
            Some(Ok(policy)) if policy.questions().contains(&Question::Reminder) => Ok(policy.clone()),
            Some(Err(unusable)) => Err(unusable.clone()),
            Some(Ok(_)) => Err(Unusable {
                error: format!("the plugin `{name}` does not answer the question `{}`", Question::Reminder),
                hint: None,
            }),
            None => Err(Unusable { error: format!("no plugin is called `{name}`"), hint: None }),
        }
    }

    fn shipped(&self) -> Result<Arc<dyn Policy>, Error> {
        let missing = || Unusable { error: "the shipped reminder policy was not loaded".into(), hint: None };
        self.engine.settings.reminders.clone().unwrap_or_else(|| Err(missing())).map_err(Error::Policy)
    }

    /// Adds to what is known of a token that the policy fails: since when, what was told says.
    fn tell_of_failure(&self, about: &mut About, name: &PluginName, why: String, acknowledged: bool) {
        let is_it = |fact: &Fact| fact.kind == POLICY && fact.name == name.as_str();
        let at = about.subject.facts.iter().position(is_it);
        let told = at.map_or(Vec::new(), |at| about.told[at].clone());
        let since = told.iter().find_map(|it| it.instance.trouble());
        let whole = Timestamp::from_millisecond(self.now.as_millisecond()).unwrap_or(self.now);
        let fact = Fact {
            kind: POLICY.to_owned(),
            name: name.to_string(),
            ends: None,
            trouble: Some(policy_fails(name.as_str(), why, since.unwrap_or(whole))),
            told: smallest_told(&told),
            acknowledged,
        };
        match at {
            Some(at) => {
                about.known[at].fact = fact.clone();
                about.subject.facts[at] = fact;
            }
            None => {
                about.known.push(Known { fact: fact.clone(), snoozed_until: None, note: None });
                about.told.push(told);
                about.subject.facts.push(fact);
            }
        }
    }

    /// Sends what is due about a token and was not sent yet.
    async fn send(
        &self,
        about: &About,
        reminders: &[Reminder],
        reminded: &mut Reminded,
    ) -> Result<(), Error> {
        let token = &about.subject.name;
        for (index, (known, told)) in about.known.iter().zip(&about.told).enumerate() {
            let of_fact: Vec<Reminder> = reminders.iter().filter(|it| it.fact == index).cloned().collect();
            for due in due(&known.fact, &of_fact, told, known.snoozed_until.is_some()) {
                self.send_one(about, &known.fact, due, reminded).await?;
            }
        }
        tracing::trace!(%token, run = %self.run, "looked at what ends");
        Ok(())
    }

    async fn send_one(
        &self,
        about: &About,
        fact: &Fact,
        due: Due<'_>,
        reminded: &mut Reminded,
    ) -> Result<(), Error> {
        let Self { engine, run, dry, .. } = *self;
        let Due { reminder, channels, over } = due;
        let token = &about.subject.name;
        let names = |channels: &[ChannelName]| {
            channels.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        if dry {
            if !channels.is_empty() {
                reminded.sent.push(format!("{} (to {}; not sent)", reminder.subject, names(&channels)));
            }
            return Ok(());
        }
        let outgoing = engine.outgoing(self.message(about, fact, reminder), &channels);
        let (reached, missed): (Vec<_>, Vec<_>) = channels
            .into_iter()
            .partition(|channel| outgoing.addresses.iter().any(|it| it.channel == *channel));
        for channel in missed {
            let note = format!("{channel}: nobody to send it to: {}", reminder.subject);
            tracing::warn!(%token, %run, "a reminder was not sent by {note}");
            reminded.failed.push(note);
        }
        let threshold = reminder.threshold();
        let told = |channel: &ChannelName| {
            Some(Told { channel: channel.clone(), instance: fact.instance(), threshold: threshold? })
        };
        let told = reached.iter().filter_map(told).collect();
        let telling = Telling { token: token.clone(), fact: fact.which(), outgoing, told, over };
        engine.store.tell(telling, run, self.now).await?;
        if !reached.is_empty() {
            reminded.sent.push(format!("{} (to {})", reminder.subject, names(&reached)));
        }
        Ok(())
    }

    fn message(&self, about: &About, fact: &Fact, reminder: &Reminder) -> Message {
        let (token, which) = (&about.subject.name, fact.which());
        let key = match &*fact.kind {
            "token" => format!("token-{token}"),
            _ => format!("{token}-{which}").replace(|c: char| !c.is_ascii_alphanumeric(), "-"),
        };
        let title = match &*fact.kind {
            "token" => format!("The server token {token} expires"),
            _ => format!("{which} of the server token {token} ends"),
        };
        Message {
            ends: fact.ends.map(|at| Ending { at, key, title }),
            contacts: about.subject.contacts.clone(),
            data: json!({
                "token": token,
                "fact": { "kind": fact.kind, "name": fact.name, "ends_at": fact.ends, "trouble": fact.trouble },
                "expires_at": fact.ends,
                "threshold": reminder.threshold().map(|it| it.to_string()),
                "recovered": reminder.threshold().is_none(),
                "devices": about.subject.devices,
            }),
            ..self.engine.new_message(
                "reminder",
                reminder.severity,
                reminder.subject.clone(),
                reminder.text.clone(),
            )
        }
    }
}

/// Takes away that policies fail, and says of which of them somebody knows.
fn without_failures(about: &mut About) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for (known, fact) in about.known.iter_mut().zip(&mut about.subject.facts) {
        if fact.kind == POLICY {
            acknowledged.extend(fact.acknowledged.then(|| fact.name.clone()));
            *fact = Fact { trouble: None, acknowledged: false, ..fact.clone() };
            known.fact = fact.clone();
        }
    }
    acknowledged
}

fn failed(error: String) -> Error {
    Error::Policy(Unusable { error, hint: None })
}
