//! `deputy device`: what we hold of devices, and why each has the profile it has.

mod disown;
mod explain;
mod history;
mod next;

use std::collections::BTreeMap;

use domain::id::{ProfileId, SerialNumber, TokenName};
use domain::plan::Profiles;
use engine::store::{ActionRecord, DeviceFilter, StoredDevice, StoredVerdict};
use serde_json::{Value, json};

use crate::Common;
use crate::app::{App, Policies};
use crate::commands::runs;
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{or_dash, print_json, print_table};

/// What `deputy device` can do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Show devices and the profile each is on
    List {
        /// Only of this token
        #[arg(long, value_name = "NAME")]
        token: Option<TokenName>,
        /// Only those without a profile
        #[arg(long)]
        without_profile: bool,
        /// Also those that have left
        #[arg(long)]
        gone: bool,
        /// At most so many
        #[arg(long, default_value_t = 100, value_name = "N")]
        limit: u32,
    },
    /// Tell why a device has the profile it has: what the policy saw and said, what was sent, what Apple answered
    Explain(explain::Arguments),
    /// Tell what happened to a device: what changed at Apple, what policies said, and what Deputy did
    ///
    /// Oldest first. With --json the newest comes first, for each token that has or had the device:
    /// `changes` with kind (added, changed, gone, returned, shown, not-shown, done), seen_at, run, at (by Apple's
    /// clock), fields (field, from, to) and before; `verdicts` with decision, reason, fault, policy, digest, run
    /// and decided_at; `actions` with run, profile, from, reason, state, sent, sent_at and answered_at,
    /// and with waited (since, until, answer, end) where its run left it to a person.
    History {
        /// The device
        serial: SerialNumber,
        /// At most so many lines, the newest
        #[arg(long, default_value_t = 100, value_name = "N")]
        limit: u32,
    },
    /// Release devices from the organisation, for good; only by hand, confirmed each time
    Disown(disown::Arguments),
}

/// Carries the command out.
pub(crate) async fn run(common: &Common, command: Command) -> Outcome {
    let app = App::open(&common.config, Policies::Unused).await?;
    match command {
        Command::List { token, without_profile, gone, limit } => {
            let filter = DeviceFilter { token, without_profile, gone, after: None, limit };
            list(common, &app, filter).await
        }
        Command::Explain(arguments) => explain::run(common, &app, &arguments).await,
        Command::Disown(arguments) => disown::run(common, &app, &arguments).await,
        Command::History { serial, limit } => history::run(common, &app, &serial, limit).await,
    }
}

async fn list(common: &Common, app: &App, filter: DeviceFilter) -> Outcome {
    if let Some(token) = &filter.token {
        app.tokens(std::slice::from_ref(token))?;
    }
    let limit = filter.limit;
    let devices = app.engine.store.list_devices(filter).await?;
    let (mut rows, mut data) = (Vec::new(), Vec::new());
    let mut words = InWords::new(app);
    for StoredDevice { token, known } in &devices {
        let profile = words.profile(token, known.on()).await?;
        let device = &known.device;
        data.push(json!({ "token": token, "device": device, "gone": known.gone, "on": known.on(), "profile": profile }));
        rows.push([
            device.serial_number.to_string(),
            token.to_string(),
            or_dash(device.model.as_deref()),
            or_dash(device.asset_tag.as_deref()),
            if known.gone { "gone".to_owned() } else { profile },
        ]);
    }
    if common.json {
        print_json("devices", &data.into());
        return Ok(Exit::Success);
    }
    let full = rows.len() as u64 == u64::from(limit);
    print_table(
        ["serial", "token", "model", "asset tag", "profile"],
        rows,
        "no devices; `deputy sync` fetches them",
    );
    if full {
        eprintln!("there may be more: --limit N shows them");
    }
    Ok(Exit::Success)
}

/// The device in every token that has or had it.
async fn find(app: &App, serial: &SerialNumber) -> Outcome<Vec<StoredDevice>> {
    let found = app.engine.store.find_device(serial).await?;
    if found.is_empty() {
        return Err(Problem::usage(format!("no token has or had a device {serial}")).hint(
            "if it is new, `deputy sync` fetches it; if it is on another server, Apple's portal says so",
        ));
    }
    Ok(found)
}

async fn action_json(app: &App, token: &TokenName, action: &ActionRecord) -> Outcome<Value> {
    let waiting = app.engine.store.waiting(Some(&action.run)).await?;
    Ok(json!({
        "run": action.run, "profile": action.profile, "removal": action.removal, "from": action.from, "reason": action.reason,
        "state": action.state, "sent": action.sent, "sent_at": action.sent_at, "answered_at": action.answered_at,
        "waited": runs::waited(&waiting, token, action),
    }))
}

fn verdict_json(stored: &StoredVerdict) -> Value {
    json!({
        "decision": stored.verdict.decision, "reason": &*stored.verdict.reason, "fault": stored.verdict.fault,
        "policy": stored.policy, "digest": stored.digest, "run": stored.run, "decided_at": stored.decided_at,
    })
}

/// Profiles in words, read once for each token.
pub(super) struct InWords<'a> {
    app: &'a App,
    profiles: BTreeMap<TokenName, Profiles>,
}

impl<'a> InWords<'a> {
    /// None is read yet.
    pub(super) fn new(app: &'a App) -> Self {
        Self { app, profiles: BTreeMap::new() }
    }

    /// The profile a device of this token is on.
    pub(super) async fn profile(&mut self, token: &TokenName, on: Option<&ProfileId>) -> Outcome<String> {
        let Some(id) = on else { return Ok("none".to_owned()) };
        if !self.profiles.contains_key(token) {
            self.profiles.insert(token.clone(), self.app.engine.profiles(token).await?);
        }
        Ok(self.profiles.get(token).map_or_else(String::new, |profiles| profiles.in_words(id)))
    }

    /// What an action gives to a device of this token, or takes from it: for a column.
    pub(super) async fn target(&mut self, token: &TokenName, action: &ActionRecord) -> Outcome<String> {
        match (&action.sent, action.removal) {
            (Some(sent), None) => self.profile(token, Some(sent)).await,
            _ => Ok(action.target()),
        }
    }
}

/// The profile a device of this token is on, in words.
pub(super) async fn profile_words(app: &App, token: &TokenName, on: Option<&ProfileId>) -> Outcome<String> {
    InWords::new(app).profile(token, on).await
}
