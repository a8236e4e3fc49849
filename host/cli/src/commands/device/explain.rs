//! `deputy device explain`: why a device has the profile it has, or had it then.
//!
//! All of a decision: what the policy saw, which policy that was, what it said and why, what was sent, what
//! Apple answered, what the device shows since, and what happens next. An earlier one is worked out from
//! what is kept; where that does not reach back, it says so.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use domain::device::Device;
use domain::history::{Past, PastChange, PastKind, fields, is_told};
use domain::id::{RunId, SerialNumber};
use domain::plan::Profiles;
use domain::run::Decided;
use domain::verdict::Decision;
use domain::waiting::Waited;
use engine::store::{ActionRecord, ActionState, Asking, StoredDevice, StoredVerdict};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{action_json, find, next, profile_words, verdict_json};
use crate::Common;
use crate::app::App;
use crate::commands::device::history::change_words;
use crate::commands::runs;
use crate::exit::{Exit, Outcome, Problem};
use crate::moment::Moment;
use crate::output::{maybe, print, print_json, time, width, wrapped};

/// What `deputy device explain` takes.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  deputy device explain C02ZQ1XAMD6T
  deputy device explain C02ZQ1XAMD6T --at 2026-02-01
  deputy device explain C02ZQ1XAMD6T --run 20260201-091500-k3f9wq --json

How far back it can look, `[keep]` in deputy.toml says.

With --json, for each token that has or had the device:
  device, on, profile   as it is now
  asked                 run, workflow, at, policy, digest, settings, tables, fields, ...
  saw                   the device as it was then; of that the policy saw asked.fields
  verdict, actions      what it said, what was sent and answered
  since                 what Apple showed after that
  next                  in words; next_at and next_run_of: when, and of what")]
pub(crate) struct Arguments {
    /// The device
    serial: SerialNumber,
    /// What was decided last by then: a time, a day, or how long ago, such as 2d
    #[arg(long, value_name = "TIME", conflicts_with = "run")]
    at: Option<Moment>,
    /// What that run decided; or `last`
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
}

/// Actions that are shown of a device.
const ACTIONS: u32 = 10;
/// Verdicts that are looked through for an earlier one.
const VERDICTS: u32 = 1_000;
/// Before what is said of each thing.
const INDENT: usize = 12;
/// Changes since a decision that are shown.
const CHANGES: usize = 5;

/// Carries the command out.
pub(super) async fn run(common: &Common, app: &App, arguments: &Arguments) -> Outcome {
    let which = match (&arguments.at, &arguments.run) {
        (Some(moment), _) => Which::At(moment.before(app.engine.now())),
        (None, Some(run)) => Which::Run(runs::find(app, run).await?.id),
        (None, None) => Which::Last,
    };
    let (mut data, mut told) = (Vec::new(), false);
    for stored in &find(app, &arguments.serial).await? {
        let Some(explanation) = Explanation::of(app, stored, &which).await? else { continue };
        told = true;
        if common.json {
            data.push(explanation.json(app).await?);
        } else {
            print(&explanation.words(app).await?);
        }
    }
    if let (Which::Run(run), false) = (&which, told) {
        let serial = &arguments.serial;
        let problem = Problem::usage(format!("run {run} asked no policy about {serial}"));
        return Err(problem.hint(format!(
            "`deputy runs show {run}` tells what it did; `deputy device history {serial}` has all decisions"
        )));
    }
    if common.json {
        print_json("device", &data.into());
    }
    Ok(Exit::Success)
}

/// Which decision is meant.
enum Which {
    /// The one that counts.
    Last,
    /// The last one by then.
    At(Timestamp),
    /// The one of this run.
    Run(RunId),
}

/// One device of one token, and one decision about it.
struct Explanation<'a> {
    stored: &'a StoredDevice,
    /// It is not about what counts now.
    is_past: bool,
    /// Who was asked, when, and with what. None if nobody was, or that is forgotten.
    asked: Option<Asking>,
    /// The device as the policy saw it.
    saw: Option<Past>,
    verdict: Option<StoredVerdict>,
    /// There was a decision that is not kept any more.
    is_forgotten: bool,
    /// Of what was done, the newest first: all of it, or what this decision led to.
    actions: Vec<ActionRecord>,
    /// What Apple showed after that, the oldest first.
    since: Vec<PastChange>,
}

impl<'a> Explanation<'a> {
    /// None if the run that is meant did not ask about devices of this token.
    async fn of(app: &App, stored: &'a StoredDevice, which: &Which) -> Outcome<Option<Self>> {
        let (store, token, serial) = (&app.engine.store, &stored.token, &stored.known.device.serial_number);
        let latest = store.verdict(token, serial).await?;
        let asked = match which {
            Which::Last => {
                let by = latest.as_ref().map(|verdict| &verdict.policy);
                store.last_asking(token, app.engine.now(), by).await?
            }
            Which::At(at) => store.last_asking(token, *at, None).await?,
            Which::Run(run) => match store.askings_of(token, run).await?.pop() {
                None => return Ok(None),
                asked => asked,
            },
        };
        let is_past = !matches!(which, Which::Last);
        let (mut verdict, mut is_forgotten) = (latest, false);
        if is_past {
            let by = match (which, &asked) {
                (Which::Run(_), Some(asked)) => asked.now,
                (Which::At(at), _) => *at,
                _ => Timestamp::MIN,
            };
            let verdicts = store.verdicts_of(token, serial, VERDICTS).await?;
            let was_asked = verdict.is_some();
            verdict = verdicts.into_iter().find(|verdict| verdict.decided_at <= by);
            // Older ones were there, or the device was not.
            is_forgotten = was_asked && verdict.is_none();
        }
        // Of several policies, the one that decided.
        let asked = match (asked, &verdict) {
            (Some(asked), Some(verdict)) if asked.decided.policy.as_ref() != Some(&verdict.policy) => {
                let all = store.askings_of(token, &asked.run).await?;
                all.into_iter().find(|asked| asked.decided.policy.as_ref() == Some(&verdict.policy))
            }
            (asked, _) => asked,
        };
        // The run that is kept may have asked before the one that said this.
        let asked = asked.filter(|asked| verdict.as_ref().is_none_or(|it| it.decided_at <= asked.now));
        let then = match (&asked, which) {
            (Some(asked), _) => Some((asked.at, Some(asked.run.clone()))),
            (None, Which::At(at)) => Some((*at, None)),
            (None, _) => None,
        };
        let saw = match then {
            Some((at, _)) if at < store.whole_since().await? => Some(Past::Forgotten),
            Some((at, own)) => store.device_as_of(token, serial, at, own).await?,
            None => None,
        };
        if is_past && matches!(saw, Some(Past::NotThere)) {
            (verdict, is_forgotten) = (None, false);
        }
        let mut actions = store.actions_of(token, serial, if is_past { VERDICTS } else { ACTIONS }).await?;
        if is_past {
            actions.retain(|action| asked.as_ref().is_some_and(|asked| asked.run == action.run));
        }
        let after = match (&asked, actions.first()) {
            (_, Some(action)) => action.answered_at.or(action.sent_at),
            (Some(asked), None) => Some(asked.at),
            (None, None) => None,
        };
        let mut since = Vec::new();
        if let Some(after) = after {
            since = store.device_history(token, serial, VERDICTS).await?;
            since.retain(|change| change.seen_at >= after && change.kind != PastKind::Done);
            since.reverse();
        }
        Ok(Some(Self { stored, is_past, asked, saw, verdict, is_forgotten, actions, since }))
    }

    async fn words(&self, app: &App) -> Outcome<String> {
        let StoredDevice { token, known } = self.stored;
        let device = &known.device;
        let profiles = app.engine.profiles(token).await?;
        let mut words = format!("{} of token {token}\n", device.serial_number);
        let width = width().unwrap_or(usize::MAX);
        let mut line = |what: &str, text: String| {
            for (nth, piece) in wrapped(&text, width.saturating_sub(INDENT).max(20)).iter().enumerate() {
                let _ = writeln!(words, "  {:<9} {piece}", if nth == 0 { what } else { "" });
            }
        };
        if !self.is_past {
            let facts = [&device.model, &device.device_family, &device.os, &device.color];
            let facts: Vec<&str> =
                facts.into_iter().flatten().map(String::as_str).filter(|it| !it.is_empty()).collect();
            line("is", facts.join(", "));
            if let Some(tag) = &device.asset_tag {
                line("asset tag", tag.clone());
            }
            let since = maybe(device.device_assigned_date, "an unknown time");
            let by = device.device_assigned_by.as_deref().map_or(String::new(), |by| format!(" by {by}"));
            line(
                "at Apple",
                format!("on this server since {since}{by}; profile {}", device.profile_status.as_str()),
            );
            let on = known.on().map_or("none".to_owned(), |on| profiles.in_words(on));
            line("profile", if known.gone { "none: it has left this server".to_owned() } else { on });
        }
        match (&self.asked, &self.verdict) {
            (_, None) if matches!(self.saw, Some(Past::NotThere)) && self.is_past => {
                line("policy", "was not asked: the device was not on this server then".to_owned());
            }
            (_, None) if self.is_forgotten => {
                line("policy", "was not asked by then, or what it said is not kept any more".to_owned());
            }
            (_, None) => line("policy", "was not asked about it yet".to_owned()),
            (_, Some(stored)) => {
                line("policy", format!("{} {}: {}", stored.policy, said(stored), stored.verdict.reason));
                let (digest, at) = (stored.digest.short(), time(stored.decided_at));
                line("", format!("since run {} of {at}, by the component {digest}…", stored.run));
            }
        }
        if self.verdict.is_some() {
            line(
                "asked",
                match &self.asked {
                    Some(asked) => asked_words(asked, self.is_past),
                    None => "in a run that is not kept any more".to_owned(),
                },
            );
            for (what, text) in self.saw_words(&profiles) {
                line(what, text);
            }
        }
        for (index, action) in self.actions.iter().enumerate() {
            let waiting = app.engine.store.waiting(Some(&action.run)).await?;
            line(
                if index == 0 { "done" } else { "" },
                action_words(action, runs::waited(&waiting, token, action), &profiles),
            );
        }
        if self.is_past && self.actions.is_empty() && self.verdict.is_some() {
            line("done", "nothing".to_owned());
        }
        if !self.since.is_empty() {
            for (index, change) in self.since.iter().take(CHANGES).enumerate() {
                let what = change_words(change, &profiles).replace('\n', "\n      ");
                line(if index == 0 { "since" } else { "" }, format!("{}: {what}", time(change.seen_at)));
            }
            let more = self.since.len().saturating_sub(CHANGES);
            if more > 0 {
                line("", format!("and {more} more: deputy device history {}", device.serial_number));
            }
        }
        if !self.is_past {
            line("next", next::of(app, self.stored, self.verdict.as_ref()).await?.words);
        }
        Ok(words)
    }

    /// What the device was when the policy was asked, by Apple's names: what the policy saw of it, and what not.
    fn saw_words(&self, profiles: &Profiles) -> Vec<(&'static str, String)> {
        let known = match &self.saw {
            None => return Vec::new(),
            Some(Past::Here(known)) => known,
            Some(Past::Forgotten) => {
                return vec![("then was", "what is kept does not reach back so far".to_owned())];
            }
            Some(Past::NotThere) => {
                return vec![("then was", "nothing: it was not on this server then".to_owned())];
            }
        };
        let device = known.clone().present();
        let mut fields = fields(&device);
        fields.insert("serial_number".to_owned(), device.serial_number.to_string());
        if let Some(id) = &device.profile_uuid {
            fields.insert("profile_uuid".to_owned(), profiles.in_words(id));
        }
        fields.retain(|_, value| !value.is_empty());
        let list = |fields: BTreeMap<String, String>| {
            fields.iter().map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>().join(", ")
        };
        match self.asked.as_ref().and_then(|asked| asked.decided.fields.as_ref()) {
            // It may have been told less.
            None => vec![("then was", list(fields))],
            Some(told) => {
                let (seen, unseen): (BTreeMap<_, _>, _) =
                    fields.into_iter().partition(|(name, _)| is_told(&device, told, name));
                let lines = [("it saw", list(seen)), ("unseen", list(unseen))];
                lines.into_iter().filter(|(_, fields)| !fields.is_empty()).collect()
            }
        }
    }

    async fn json(&self, app: &App) -> Outcome<Value> {
        let StoredDevice { token, known } = self.stored;
        let saw: Option<Device> = match &self.saw {
            Some(Past::Here(known)) => Some(known.clone().present()),
            _ => None,
        };
        let mut actions = Vec::new();
        for action in &self.actions {
            actions.push(action_json(app, token, action).await?);
        }
        let mut value = json!({
            "token": token, "device": known.device, "gone": known.gone, "on": known.on(),
            "profile": profile_words(app, token, known.on()).await?,
            "pause": known.pause,
            "asked": self.asked.as_ref().map(asked_json),
            "saw": saw,
            "forgotten": self.is_forgotten || matches!(self.saw, Some(Past::Forgotten)),
            "verdict": self.verdict.as_ref().map(verdict_json),
            "actions": actions,
            "since": self.since,
        });
        if !self.is_past {
            let next = next::of(app, self.stored, self.verdict.as_ref()).await?;
            value["next"] = next.words.into();
            value["next_at"] = json!(next.at);
            value["next_run_of"] = json!(next.workflow);
        }
        Ok(value)
    }
}

/// What a policy said, in few words.
pub(super) fn said(stored: &StoredVerdict) -> String {
    match &stored.verdict.decision {
        _ if stored.verdict.fault => "failed on it".to_owned(),
        Decision::Assign { profile } => format!("says {profile}"),
        Decision::Hold { until: None } => "holds it".to_owned(),
        Decision::Hold { until: Some(until) } => format!("holds it until {}", time(*until)),
        Decision::Ignore => "ignores it".to_owned(),
    }
}

fn asked_words(asked: &Asking, is_past: bool) -> String {
    let Asking { run, workflow, at, dry, decided, .. } = asked;
    let Decided { digest, settings, tables, .. } = decided;
    let last = if is_past { "" } else { "last " };
    let dry = if *dry { " (a dry run)" } else { "" };
    let mut parts = Vec::new();
    parts.extend(digest.as_ref().map(|digest| format!("component {}…", digest.short())));
    parts.extend(settings.as_ref().map(|digest| format!("settings {}…", digest.short())));
    parts.extend(tables.iter().map(|(name, digest)| format!("table {name} {}…", digest.short())));
    format!("{last}in run {run} of {workflow}{dry}, {}: {}", time(*at), parts.join(", "))
}

fn asked_json(asked: &Asking) -> Value {
    let Asking { run, workflow, at, now, dry, decided } = asked;
    json!({
        "run": run, "workflow": workflow, "at": at, "now": now, "dry": dry, "policy": decided.policy,
        "digest": decided.digest, "settings": decided.settings, "profiles": decided.profiles,
        "tables": decided.tables, "utc_offset": decided.utc_offset, "fields": decided.fields,
    })
}

/// What was sent, when, and what Apple answered.
fn action_words(action: &ActionRecord, waited: Option<&Waited>, profiles: &Profiles) -> String {
    let sent = action.sent_at.map_or(String::new(), |at| format!("sent {}, ", time(at)));
    let came = match action.state {
        _ if let Some(waited) = waited => waited.of_an_action(),
        ActionState::Planned => "not sent yet".to_owned(),
        ActionState::Sent => format!("{sent}the answer was lost and is asked for at the next run"),
        ActionState::Dropped if action.removal.is_some() => "not carried out".to_owned(),
        ActionState::Dropped => "not carried out; the next run looks again".to_owned(),
        state => format!("{sent}{}, {}", state.as_str(), maybe(action.answered_at, "no time")),
    };
    let what = match (&action.removal, &action.sent, &action.profile) {
        (None, Some(sent), _) => format!("to {}", profiles.in_words(sent)),
        (None, None, Some(profile)) => format!("to {profile}"),
        _ => action.attempted(),
    };
    format!("run {}: {what}: {came}", action.run)
}
