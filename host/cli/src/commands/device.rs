//! `deputy device`: what we hold of devices, and why each has the profile it has.

mod disown;
mod history;

use std::fmt::Write as _;

use domain::id::{ProfileId, SerialNumber, TokenName};
use domain::pause::Refusal;
use domain::verdict::Decision;
use domain::workflow::Uses;
use engine::store::{ActionRecord, ActionState, DeviceFilter, StoredDevice};
use serde_json::{Value, json};

use crate::Common;
use crate::app::{App, Policies};
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{maybe, or_dash, print, print_json, print_table, time};

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
    /// Tell why a device has the profile it has: what Apple says, what the policy said, what was done
    Explain {
        /// The device
        serial: SerialNumber,
    },
    /// Tell what happened to a device: what changed at Apple, from what to what, and what Deputy did
    ///
    /// Oldest first. With --json the newest comes first, for each token that has or had the device:
    /// `changes` with kind (added, changed, gone, returned), seen_at, run, at (by Apple's clock) and fields
    /// (field, from, to); `actions` with run, profile, from, reason, state, sent and answered_at.
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
        Command::Explain { serial } => explain(common, &app, &serial).await,
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
    for StoredDevice { token, known } in &devices {
        let profile = profile_words(app, token, known.on()).await?;
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

async fn explain(common: &Common, app: &App, serial: &SerialNumber) -> Outcome {
    let mut data = Vec::new();
    for stored in &find(app, serial).await? {
        let (words, value) = explanation(app, stored).await?;
        if common.json {
            data.push(value);
        } else {
            print(&words);
        }
    }
    if common.json {
        print_json("device", &data.into());
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

/// One device of one token, in words and as data.
async fn explanation(app: &App, stored: &StoredDevice) -> Outcome<(String, Value)> {
    let StoredDevice { token, known } = stored;
    let (store, device) = (&app.engine.store, &known.device);
    let verdict = store.verdict(token, &device.serial_number).await?;
    let actions = store.actions_of(token, &device.serial_number, 10).await?;
    let on = profile_words(app, token, known.on()).await?;

    let mut words = format!("{} of token {token}\n", device.serial_number);
    let mut line = |what: &str, text: String| {
        let _ = writeln!(words, "  {what:<9} {text}");
    };
    let facts = [&device.model, &device.device_family, &device.os, &device.color];
    let facts: Vec<&str> =
        facts.into_iter().flatten().map(String::as_str).filter(|it| !it.is_empty()).collect();
    line("is", facts.join(", "));
    if let Some(tag) = &device.asset_tag {
        line("asset tag", tag.clone());
    }
    let since = maybe(device.device_assigned_date, "an unknown time");
    let by = device.device_assigned_by.as_deref().map_or(String::new(), |by| format!(" by {by}"));
    line("at Apple", format!("on this server since {since}{by}; profile {}", device.profile_status.as_str()));
    line("profile", if known.gone { "none: it has left this server".to_owned() } else { on.clone() });
    match &verdict {
        None => line("policy", "was not asked about it yet".to_owned()),
        Some(stored) => {
            let decision = match &stored.verdict.decision {
                _ if stored.verdict.fault => "failed on it".to_owned(),
                Decision::Assign { profile } => format!("says {profile}"),
                Decision::Hold { until: None } => "holds it".to_owned(),
                Decision::Hold { until: Some(until) } => format!("holds it until {}", time(*until)),
                Decision::Ignore => "ignores it".to_owned(),
            };
            line("policy", format!("{} {decision}: {}", stored.policy, stored.verdict.reason));
            let (digest, at) = (stored.digest.short(), time(stored.decided_at));
            line("", format!("since run {} of {at}, by the component {digest}…", stored.run));
        }
    }
    for (index, action) in actions.iter().enumerate() {
        let came = match action.state {
            ActionState::Planned => "not sent yet".to_owned(),
            ActionState::Sent => "sent; the answer was lost and is asked for at the next run".to_owned(),
            ActionState::Dropped if action.removal.is_some() => "not carried out".to_owned(),
            ActionState::Dropped => "not carried out; the next run looks again".to_owned(),
            state => format!("{}, {}", state.as_str(), maybe(action.answered_at, "no time")),
        };
        let what = match (&action.removal, &action.profile) {
            (None, Some(profile)) => format!("to {profile}"),
            _ => action.attempted(),
        };
        line(if index == 0 { "done" } else { "" }, format!("run {}: {what}: {came}", action.run));
    }
    let next = next_words(app, stored, verdict.as_ref().map(|it| &it.verdict.decision)).await?;
    line("next", next.clone());

    let value = json!({
        "token": token, "device": device, "gone": known.gone, "on": known.on(), "profile": on,
        "pause": known.pause, "next": next,
        "verdict": verdict.map(|it| json!({
            "decision": it.verdict.decision, "reason": &*it.verdict.reason, "fault": it.verdict.fault,
            "policy": it.policy, "digest": it.digest, "run": it.run, "decided_at": it.decided_at,
        })),
        "actions": actions.iter().map(action_json).collect::<Vec<_>>(),
    });
    Ok((words, value))
}

fn action_json(action: &ActionRecord) -> Value {
    json!({
        "run": action.run, "profile": action.profile, "removal": action.removal, "from": action.from, "reason": action.reason,
        "state": action.state, "sent": action.sent, "answered_at": action.answered_at,
    })
}

/// What happens to the device next, and when.
async fn next_words(app: &App, stored: &StoredDevice, decision: Option<&Decision>) -> Outcome<String> {
    let StoredDevice { token, known } = stored;
    if known.gone {
        return Ok("nothing, unless Apple lists it again".to_owned());
    }
    let now = app.engine.now();
    let workflows = app.engine.settings.workflows.values();
    let assigning = workflows
        .filter(|workflow| workflow.steps.iter().any(|step| matches!(step.uses, Uses::Apply { .. })));
    let pause = known.pause.filter(|pause| pause.is_on(now));
    let from = pause.map_or(now, |pause| pause.until);
    let due = assigning.filter_map(|workflow| Some((workflow.next_due(from)?, &workflow.name)));
    let when = match due.min() {
        Some((at, workflow)) => format!("at the next run of {workflow}, {}", time(at)),
        None => "at the next run by hand".to_owned(),
    };
    if let Some(pause) = pause {
        let why = match pause.why {
            Refusal::Failed => "Apple would not assign it and gave no reason",
            Refusal::Throttled => "Apple wants it left alone for so long",
            Refusal::NotAccessible => "Apple says it is not this server's, or until it is added again",
        };
        return Ok(format!("nothing before {}: {why}; then {when}", time(pause.until)));
    }
    let Some(Decision::Assign { profile }) = decision else {
        return Ok(format!("the policy is asked again {when}"));
    };
    let wanted = app.config.profiles.get(profile).map(|(_, definition)| &definition.digest);
    let defined = app.engine.store.defined_profiles(token).await?;
    let current = known.on().and_then(|on| defined.get(on));
    Ok(if current.is_some_and(|(name, digest)| name == profile && Some(digest) == wanted) {
        format!("nothing, it has the profile it should have; looked at again {when}")
    } else {
        format!("gets {profile} {when}")
    })
}

/// A profile by our name for it, if it is one of ours.
pub(super) async fn profile_words(app: &App, token: &TokenName, on: Option<&ProfileId>) -> Outcome<String> {
    let Some(id) = on else { return Ok("none".to_owned()) };
    let defined = app.engine.store.defined_profiles(token).await?;
    let Some((name, digest)) = defined.get(id) else { return Ok(format!("{id} (not defined by us)")) };
    let current = app.config.profiles.get(name).is_some_and(|(_, definition)| definition.digest == *digest);
    Ok(if current { name.to_string() } else { format!("{name} (older content)") })
}
