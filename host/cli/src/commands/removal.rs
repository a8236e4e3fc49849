//! What `deputy unassign` and `deputy device disown` share: show what would happen, have it confirmed,
//! do it as a run of its own, and tell of every device.

use std::collections::BTreeSet;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use domain::device::ProfileStatus;
use domain::id::{SerialNumber, TokenName};
use domain::rails::{Breach, Deed, Gauge, Limit, RailsOverride};
use domain::removal::{Removal, is_confirmed, to_be_typed};
use domain::report::report;
use domain::workflow::{Mode, Promises, Step, Uses, Workflow};
use engine::store::StoredDevice;
use serde_json::json;

use crate::Common;
use crate::app::App;
use crate::commands::freeze::{self, Freezing};
use crate::commands::given::refused;
use crate::commands::run::{Manner, execute};
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{or_dash, print, print_json, print_table};

/// What is to be taken away, and from what.
pub(crate) struct Wanted<'a> {
    pub what: Removal,
    pub token: &'a TokenName,
    pub serials: Vec<SerialNumber>,
    /// A flag has confirmed it.
    pub confirmed: bool,
    /// How else it can be confirmed.
    pub flag: String,
    /// Do it although nothing is to be changed now.
    pub freezing: Freezing,
    /// In place of the limit on removals.
    pub most: Option<Limit>,
}

/// Each once, in the order of the command line.
pub(crate) fn each_once(serials: &[SerialNumber]) -> Vec<SerialNumber> {
    let mut seen = BTreeSet::new();
    serials.iter().filter(|serial| seen.insert(*serial)).cloned().collect()
}

/// Shows, asks, does, and tells.
pub(crate) async fn remove(common: &Common, app: &App, wanted: Wanted<'_>) -> Outcome {
    let Wanted { what, token, serials, confirmed, flag, freezing, most } = wanted;
    let tokens = app.tokens(std::slice::from_ref(token))?;
    // Before anybody is asked to confirm it.
    freeze::refuse(app, &tokens, freezing)?;
    let devices = find_all(app, token, &serials).await?;
    if !common.json {
        show(app, token, what, &devices).await?;
    }
    let breaches = breaches(app, token, &devices, most).await?;
    if !breaches.is_empty() {
        return Err(refused(&breaches));
    }
    if !confirmed && !ask(common, &serials)? {
        let problem = Problem::new(Exit::NeedsPerson, "it was not confirmed, so nothing was changed");
        return Err(problem.hint(flag));
    }
    let step = Step::new(Uses::Remove { what, serials });
    let workflow = Workflow {
        // Not the name of a file in workflows/: their runs are told apart.
        name: format!("{}-by-hand", what.as_str()).parse().map_err(Problem::usage)?,
        description: String::new(),
        enabled: true,
        mode: Mode::Live,
        tokens: Some(vec![token.clone()]),
        timing: None,
        promises: Promises::default(),
        timeout: Duration::from_secs(24 * 3600),
        steps: vec![step],
    };
    let Some(run) = execute(common, app, &workflow, Manner { freezing, ..Manner::default() }).await? else {
        return Ok(Exit::Success);
    };
    let actions = app.engine.store.actions_of_run(&run.id, u32::MAX).await?;
    if common.json {
        let data = actions.iter().map(|(_, serial, action)| {
            json!({ "serial_number": serial, "state": action.state, "from": action.from, "note": action.reason })
        });
        let mut value = json!(run);
        value["actions"] = data.collect();
        print_json("run", &value);
        return Ok(run.state.into());
    }
    print(&report(&run));
    let rows = actions.iter().map(|(_, serial, action)| {
        [serial.to_string(), action.state.as_str().to_owned(), action.reason.clone()]
    });
    print_table(["serial", "came to", "note"], rows.collect(), "nothing was sent");
    Ok(run.state.into())
}

/// The devices as they are held; one that is not there stops it all.
async fn find_all(app: &App, token: &TokenName, serials: &[SerialNumber]) -> Outcome<Vec<StoredDevice>> {
    let (mut devices, mut missing) = (Vec::new(), Vec::new());
    for serial in serials {
        let found = app.engine.store.find_device(serial).await?;
        match found.into_iter().find(|it| it.token == *token && !it.known.gone) {
            Some(device) => devices.push(device),
            None => missing.push(serial.to_string()),
        }
    }
    if missing.is_empty() {
        return Ok(devices);
    }
    let missing = missing.join(", ");
    Err(Problem::usage(format!("the token {token} has no device {missing}; nothing was changed"))
        .hint(format!("if it is new, `deputy sync {token}` fetches it")))
}

/// The rails that it breaks: those of `[defaults.rails]`.
async fn breaches(
    app: &App,
    token: &TokenName,
    devices: &[StoredDevice],
    most: Option<Limit>,
) -> Outcome<Vec<Breach>> {
    let typed = RailsOverride { removals: most, ..RailsOverride::default() };
    let rails = engine::rails::whole(typed.over(&app.config.defaults.rails)).await?;
    let defined = app.engine.store.defined_profiles(token).await?;
    let mut gauge = Gauge::new(&rails);
    for StoredDevice { known, .. } in devices {
        let from = known.on().and_then(|on| defined.get(on)).map(|(name, _)| name);
        gauge.count(&known.device.serial_number, Deed::Remove(from));
    }
    Ok(gauge.breaches(app.engine.store.devices_of(token, None).await?))
}

async fn show(app: &App, token: &TokenName, what: Removal, devices: &[StoredDevice]) -> Outcome<()> {
    let mut rows = Vec::new();
    for StoredDevice { known, .. } in devices {
        let device = &known.device;
        rows.push([
            device.serial_number.to_string(),
            or_dash(device.model.as_deref()),
            or_dash(device.asset_tag.as_deref()),
            super::device::profile_words(app, token, known.on()).await?,
            if device.profile_status == ProfileStatus::Pushed { "yes" } else { "no" }.to_owned(),
        ]);
    }
    let number = match devices.len() {
        1 => "1 device".to_owned(),
        number => format!("{number} devices"),
    };
    print(&match what {
        Removal::Unassign => format!("takes the profile from {number} of {token}:"),
        Removal::Disown => format!("releases {number} of {token} from the organisation:"),
    });
    print_table(["serial", "model", "asset tag", "profile", "fetched"], rows, "");
    print(what.consequence());
    Ok(())
}

/// Asks whoever sits there. A script cannot answer: it has a flag.
fn ask(common: &Common, serials: &[SerialNumber]) -> Outcome<bool> {
    if common.json || !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    eprint!("type {} to go on: ", to_be_typed(serials));
    let _ = std::io::stderr().flush();
    let mut typed = String::new();
    let read = std::io::stdin().lock().read_line(&mut typed);
    read.map_err(|error| Problem::new(Exit::Failure, format!("cannot read the answer: {error}")))?;
    Ok(is_confirmed(serials, &typed))
}
