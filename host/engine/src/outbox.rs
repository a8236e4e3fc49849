//! Messages, from when they are put in until they arrive.
//!
//! Whatever tells people something puts it into the store, in the transaction that causes it if there is
//! one, and is done: no run waits for a channel. From there each channel delivers on its own, one message
//! after the other and in order, under a lock, so that the daemon and a command typed beside it do not
//! deliver the same. A process that ends between a delivery and the note of it leads to a second delivery
//! with the same id; nothing else does.
//!
//! A channel that cannot be reached is tried again after a minute, then after longer, up to an hour. What
//! waits longer than [`TOO_OLD`] is set aside: nobody is helped by it any more, and a person can still
//! have it sent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::id::ChannelName;
use domain::message::Message;
use jiff::Timestamp;
use rand::RngExt as _;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::channel::{Channel, Next, Undelivered};
use crate::engine::Engine;
use crate::failure::Error;
use crate::keep::Keep;
use crate::stop::{Stop, Stopper};
use crate::store::{ChannelState, Delivery, LONGEST_PAUSE, Outgoing, Reason};

/// What waits longer is set aside.
pub const TOO_OLD: Duration = Duration::from_secs(14 * DAY);
const DAY: u64 = 86_400;

/// Other processes put messages in as well, and clocks jump: so often the daemon looks.
const LOOK: Duration = Duration::from_secs(15);
/// Another process has the channel: so long until the next look.
const BUSY: Duration = Duration::from_millis(500);
/// The store does not answer as it should, or a delivery broke off: so long until the next try.
const BROKEN: Duration = Duration::from_secs(60);
/// Between two times that what is over is forgotten.
const TIDY: Duration = Duration::from_secs(3600);
/// How long a delivery that is going on has when the daemon ends.
const GRACE: Duration = Duration::from_secs(5);
/// What a person can do about a message that was set aside for its age.
const RETRY: &str = "`deputy outbox retry` has it sent all the same";

impl Engine {
    /// A message and where it goes by these channels: what [`crate::store::Store::enqueue`] takes, and
    /// whatever else of the store writes something together with it.
    pub fn outgoing(&self, message: Message, channels: &[ChannelName]) -> Outgoing {
        let addresses = channels.iter().filter_map(|name| {
            let channel = self.settings.channels.get(name)?;
            Some(channel.addresses(name, &message))
        });
        let addresses = addresses.flatten().collect();
        Outgoing { message, addresses }
    }

    /// Tells whoever delivers in this process that something was put in.
    pub fn ring_outbox(&self) {
        self.outbox_bell().notify_one();
    }

    /// Tries once to deliver all that waits, also what is to wait longer, each channel on its own and all
    /// of them for at most so long. How it goes then with the channels that still have something waiting,
    /// or have set something aside now.
    pub async fn deliver_now(&self, most: Duration) -> Result<Vec<ChannelState>, Error> {
        let before: BTreeMap<_, _> = self
            .store
            .channel_states()
            .await?
            .into_iter()
            .map(|state| (state.name, state.set_aside))
            .collect();
        let stopper = Stopper::default();
        let deadline = Instant::now() + most;
        let mut going = JoinSet::new();
        for (name, _) in self.store.channels_due(self.now()).await? {
            let (engine, stop) = (self.clone(), stopper.listener());
            going.spawn(async move {
                // The daemon may be at it: then it is about to be done.
                while !serve(&engine, &name, Manner::Once { until: deadline }, &stop).await? {
                    tokio::time::sleep(BUSY).await;
                }
                Ok::<_, Error>(())
            });
        }
        let all = async {
            while let Some(ended) = going.join_next().await {
                // A panic is told on standard error; the message waits.
                ended.unwrap_or(Ok(()))?;
            }
            Ok::<_, Error>(())
        };
        // Whoever comes to the deadline notes that; only one that waits for another process is cut off.
        let deadline = deadline + BUSY;
        tokio::time::timeout_at(deadline, all).await.unwrap_or(Ok(()))?;
        going.shutdown().await;
        let mut states = self.store.channel_states().await?;
        states.retain(|state| {
            state.waiting > 0 || state.set_aside > before.get(&state.name).copied().unwrap_or(0)
        });
        Ok(states)
    }

    /// Forgets what was over long ago.
    async fn tidy_outbox(&self) -> Result<(), Error> {
        let keep = self.settings.keep;
        let before = |age: Duration| Keep::before(self.now(), age);
        Ok(self.store.forget_deliveries(before(keep.outbox), before(keep.set_aside)).await?)
    }
}

/// Delivers in the background until told to stop, with the settings of the day.
pub(crate) async fn deliver(mut engines: watch::Receiver<Engine>, stop: Stop) {
    let mut work = Work::default();
    let mut tidied: Option<Instant> = None;
    while !stop.is_set() {
        let engine = engines.borrow_and_update().clone();
        if tidied.is_none_or(|at| at.elapsed() > TIDY) {
            tidied = Some(Instant::now());
            noted("could not be tidied", engine.tidy_outbox().await);
        }
        let pause = work.begin(&engine, &stop).await;
        tokio::select! {
            () = stop.wait() => {}
            () = tokio::time::sleep(pause) => {}
            () = engine.outbox_bell().notified() => {}
            Ok(()) = engines.changed() => {}
            Some(ended) = work.going.join_next() => work.ended(ended),
        }
    }
    let all = async { while work.going.join_next().await.is_some() {} };
    // What hangs is left behind: it is sent again at the next start.
    let _ = tokio::time::timeout(GRACE, all).await;
}

/// The channels that deliver now, each in a task of its own.
#[derive(Default)]
struct Work {
    /// Each ends with how long its channel is to be left alone.
    going: JoinSet<(ChannelName, Duration)>,
    at_work: BTreeSet<ChannelName>,
    /// Left alone until then.
    rests: BTreeMap<ChannelName, Instant>,
}

impl Work {
    /// Begins with the channels that have something due; how long there is nothing more to do.
    async fn begin(&mut self, engine: &Engine, stop: &Stop) -> Duration {
        let mut pause = LOOK;
        let due = engine.store.channels_due(engine.now()).await.map_err(Error::from);
        for (name, at) in noted("cannot be read", due).unwrap_or_default() {
            if self.at_work.contains(&name) {
                continue;
            }
            let left = Duration::try_from(at.duration_since(engine.now())).unwrap_or(Duration::ZERO);
            let rest =
                self.rests.get(&name).map_or(Duration::ZERO, |until| until.duration_since(Instant::now()));
            let wait = left.max(rest);
            if !wait.is_zero() {
                pause = pause.min(wait);
                continue;
            }
            self.at_work.insert(name.clone());
            let (engine, stop) = (engine.clone(), stop.clone());
            self.going.spawn(async move {
                let served = serve(&engine, &name, Manner::WhenDue, &stop).await;
                let rest = match noted("could not be served", served) {
                    Some(true) => Duration::ZERO,
                    Some(false) => BUSY,
                    None => BROKEN,
                };
                (name, rest)
            });
        }
        pause
    }

    fn ended(&mut self, ended: Result<(ChannelName, Duration), tokio::task::JoinError>) {
        match ended {
            Ok((name, rest)) => {
                self.at_work.remove(&name);
                self.rests.insert(name, Instant::now() + rest);
            }
            Err(panicked) => {
                tracing::error!("a delivery broke off: {panicked}");
                // Which channel's it was, a panic does not say; the others hold their locks.
                let until = Instant::now() + BROKEN;
                self.rests.extend(std::mem::take(&mut self.at_work).into_iter().map(|name| (name, until)));
            }
        }
    }
}

fn noted<T>(what: &str, result: Result<T, Error>) -> Option<T> {
    result.map_err(|error| tracing::error!("the outbox {what}: {}", error.failure().error)).ok()
}

/// How a channel is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// What is due.
    WhenDue,
    /// Everything, once: a person waits for it, but not for ever.
    Once {
        /// For so long.
        until: Instant,
    },
}

impl Manner {
    fn is_over(self) -> bool {
        matches!(self, Self::Once { until } if Instant::now() >= until)
    }
}

/// Delivers what waits for a channel, until nothing does or the channel cannot be reached. False if
/// another process does that.
async fn serve(engine: &Engine, name: &ChannelName, manner: Manner, stop: &Stop) -> Result<bool, Error> {
    let Some(_held) = engine.hold_channel(name)? else { return Ok(false) };
    let mut after = 0;
    while !stop.is_set() && !manner.is_over() {
        let now = engine.now();
        let due = (manner == Manner::WhenDue).then_some(now);
        let Some(delivery) = engine.store.next_delivery(name, after, due).await? else { break };
        let channel = engine.settings.channels.get(name);
        if is_too_old(&delivery, now) {
            set_aside(engine, &delivery, aged(&delivery, channel.is_some())).await?;
            continue;
        }
        // Noted before it is sent: on a full disk it would else be sent again and again.
        if !engine.store.begin_delivery(&delivery).await? {
            continue;
        }
        let Some(channel) = channel else {
            // Until somebody configures it again, or it is too old.
            let why = format!("there is no channel `{name}` in deputy.toml");
            let advice = format!("write it again, or type `deputy outbox drop --channel {name}`");
            later(engine, &delivery, Reason { why, advice: Some(advice) }, None).await?;
            break;
        };
        match attempt(engine, channel, &delivery, manner).await? {
            Some(Next::Later(_)) => break,
            // Those behind it for other recipients go on.
            Some(Next::LaterToThisOne) if manner != Manner::WhenDue => after = delivery.number,
            _ => {}
        }
    }
    Ok(true)
}

/// One try, and what came of it on record; none if it arrived.
async fn attempt(
    engine: &Engine,
    channel: &Channel,
    delivery: &Delivery,
    manner: Manner,
) -> Result<Option<Next>, Error> {
    let (id, name) = (&delivery.message.id, &delivery.address.channel);
    let sending = channel.send(&delivery.message, &delivery.address.recipient);
    let sent = match manner {
        Manner::WhenDue => sending.await,
        Manner::Once { until } => tokio::time::timeout_at(until, sending).await.unwrap_or_else(|_| {
            let why = "no answer before the command was to end; it is sent again with the same id";
            Err(Undelivered::new(Next::Later(None), why, None))
        }),
    };
    let Err(Undelivered { reason, next }) = sent else {
        engine.store.delivered(delivery, engine.now()).await?;
        tracing::debug!(channel = %name, message_id = %id, "message {id} was delivered by {name}");
        return Ok(None);
    };
    match next {
        Next::Refused => set_aside(engine, delivery, reason).await?,
        Next::Later(asked) => later(engine, delivery, reason, asked).await?,
        Next::LaterToThisOne => {
            tracing::warn!(channel = %name, message_id = %id, "message {id} waits: {}", reason.why);
            let next_at = after(engine.now(), delivery.tries, None);
            engine.store.put_off(delivery, reason, next_at).await?;
        }
    }
    Ok(Some(next))
}

/// The channel cannot be reached.
async fn later(
    engine: &Engine,
    delivery: &Delivery,
    reason: Reason,
    asked: Option<Duration>,
) -> Result<(), Error> {
    let (name, now) = (&delivery.address.channel, engine.now());
    let states = engine.store.channel_states().await?;
    let failures = states.iter().find(|state| state.name == *name).map_or(0, |state| state.failures);
    // Once is enough for the log, until it works again.
    match failures {
        0 => tracing::warn!(channel = %name, "{name} cannot be reached: {}", reason.why),
        _ => tracing::debug!(channel = %name, "{name} still cannot be reached: {}", reason.why),
    }
    Ok(engine.store.channel_failed(delivery, reason, now, after(now, failures, asked)).await?)
}

async fn set_aside(engine: &Engine, delivery: &Delivery, reason: Reason) -> Result<(), Error> {
    let (id, name) = (&delivery.message.id, &delivery.address.channel);
    let advice = reason.advice.as_ref().map_or(String::new(), |advice| format!("; {advice}"));
    tracing::error!(channel = %name, message_id = %id, "message {id} was set aside by {name}: {}{advice}", reason.why);
    Ok(engine.store.set_aside(delivery, reason, engine.now()).await?)
}

/// Whether a message has waited for too long. One that a person has just asked for (its tries are counted
/// from there, and why it waited before is still on record) is sent all the same, once.
fn is_too_old(delivery: &Delivery, now: Timestamp) -> bool {
    let age = Duration::try_from(now.duration_since(delivery.message.created_at)).unwrap_or(Duration::ZERO);
    age > TOO_OLD && !(delivery.tries == 0 && delivery.trouble.is_some())
}

fn aged(delivery: &Delivery, configured: bool) -> Reason {
    let days = TOO_OLD.as_secs() / DAY;
    let why = match &delivery.trouble {
        _ if !configured => format!("for {days} days there was no such channel in deputy.toml"),
        Some(last) => format!("it waited for {days} days; {}", last.why),
        None => format!("it waited for {days} days"),
    };
    Reason { why, advice: Some(RETRY.to_owned()) }
}

/// When to try again after one more than so many failures, or when the other side asked for.
fn after(now: Timestamp, failures: u32, asked: Option<Duration>) -> Timestamp {
    let pause = pause(failures, rand::rng().random());
    // Whoever asks for more is not believed: nothing else would ever end that.
    let pause = asked.map_or(pause, |asked| asked.clamp(pause, LONGEST_PAUSE));
    now.checked_add(pause).unwrap_or(Timestamp::MAX)
}

/// A minute, then twice as long each time, up to an hour; of it, between half and all, as `random` says
/// (0 to 1), so that channels that failed together do not come back together.
fn pause(failures: u32, random: f64) -> Duration {
    const FIRST: Duration = Duration::from_secs(60);
    const LONGEST: Duration = Duration::from_secs(3600);
    let full = FIRST.saturating_mul(1 << failures.min(16)).min(LONGEST);
    full / 2 + (full / 2).mul_f64(random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn each_pause_is_twice_the_one_before_up_to_an_hour() {
        let line =
            |failures| format!("{failures}: {:?} to {:?}\n", pause(failures, 0.0), pause(failures, 1.0));
        expect![[r#"
            0: 30s to 60s
            1: 60s to 120s
            2: 120s to 240s
            6: 1800s to 3600s
            4294967295: 1800s to 3600s
        "#]]
        .assert_eq(&[0, 1, 2, 6, u32::MAX].map(line).concat());
    }
}
