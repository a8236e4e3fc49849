//! `deputy profile record`: what a Mac says it got, beside what it should have got.

use std::path::PathBuf;

use domain::apple_profile::compare::{Row, differ};
use domain::apple_profile::record::{self, Record};
use domain::id::{ProfileName, SerialNumber};
use domain::verdict::Decision;
use engine::profiles::apples_copy;
use engine::store::StoredDevice;
use serde_json::{Map, Value, json};

use super::written::read_bounded;
use super::{known, object};
use crate::Common;
use crate::app::App;
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{print, print_json, print_table};

/// What `deputy profile record` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A copy of /var/db/ConfigurationProfiles/Settings/.cloudConfigRecordFound, or what
    /// `profiles show -type enrollment` prints
    file: PathBuf,
    /// The device it comes from: compared with the profile its policy wants, or else that it is on
    #[arg(long, value_name = "SERIAL", conflicts_with = "profile")]
    device: Option<SerialNumber>,
    /// Compared with this profile [default: the one it differs least from]
    #[arg(long, value_name = "NAME")]
    profile: Option<ProfileName>,
}

/// What the device should have.
struct Expected {
    /// In words.
    what: String,
    body: Map<String, Value>,
}

/// Carries the command out.
pub(super) async fn run(common: &Common, app: &App, arguments: &Arguments) -> Outcome {
    let Arguments { file, device, profile } = arguments;
    let wrong = |why: String| {
        Problem::usage(format!("{}: {why}", file.display())).hint(
            "on the Mac, as root: cp /var/db/ConfigurationProfiles/Settings/.cloudConfigRecordFound record.plist",
        )
    };
    let list = domain::property_list::read(&read_bounded(file)?).map_err(|error| wrong(error.to_string()))?;
    let record = record::read(&list).map_err(|error| wrong(error.to_string()))?;
    let expected = match (device, profile) {
        (Some(serial), _) => of_device(app, serial).await?,
        (None, Some(name)) => of_file(app, name)?,
        (None, None) => nearest(app, &record)?,
    };
    let rows = record::against(&expected.body, &record);
    let different = differ(&rows);
    if common.json {
        let fields = rows.iter().map(|row| {
            json!({
                "field": row.field, "differs": row.differs, "expected": row.values[0], "record": row.values[1],
            })
        });
        print_json(
            "record",
            &json!({
                "compared_with": expected.what, "same": !different, "fields": fields.collect::<Vec<_>>(),
                "organisation": record.organisation, "unknown": record.unknown,
            }),
        );
    } else {
        tell(&expected, &record, &rows, different);
    }
    Ok(if different { Exit::Failure } else { Exit::Success })
}

fn tell(expected: &Expected, record: &Record, rows: &[Row], different: bool) {
    match different {
        false => print(&format!("the record says the same as {}", expected.what)),
        true => print(&format!("the record differs from {}", expected.what)),
    }
    let rows: Vec<[String; 3]> = rows
        .iter()
        .filter(|row| row.differs)
        .filter_map(|row| {
            let [should, has] = row.words().try_into().ok()?;
            Some([row.field.clone(), should, has])
        })
        .collect();
    if !rows.is_empty() {
        print_table(["field", "should have", "record has"], rows, "");
        print(
            "a device takes over a new profile when it is erased, or with `profiles renew -type enrollment`",
        );
    }
    for (name, text) in &record.organisation {
        print(&format!("  {name}: {}", domain::apple_profile::compare::plain(&text.clone().into())));
    }
    if !record.unknown.is_empty() {
        let names = record.unknown.iter().map(|name| name.escape_debug().to_string());
        print(&format!("not looked at: {}", names.collect::<Vec<_>>().join(", ")));
    }
}

fn of_file(app: &App, name: &ProfileName) -> Outcome<Expected> {
    let (_, definition) = known(app, name)?;
    Ok(Expected { what: format!("profile {name}"), body: object(&definition.body).clone() })
}

/// What the policy wants for the device; without a verdict, what it is on.
async fn of_device(app: &App, serial: &SerialNumber) -> Outcome<Expected> {
    let store = &app.engine.store;
    let found = store.find_device(serial).await?;
    let Some(StoredDevice { token, known: held }) = found.into_iter().find(|it| !it.known.gone) else {
        return Err(Problem::usage(format!("no token has a device {serial}"))
            .hint("`deputy sync` fetches it; `--profile NAME` compares without knowing the device"));
    };
    let verdict = store.verdict(&token, serial).await?;
    if let Some(Decision::Assign { profile }) = verdict.map(|it| it.verdict.decision)
        && app.config.profiles.contains_key(&profile)
    {
        return Ok(Expected {
            what: format!("profile {profile}, which its policy wants for {serial}"),
            ..of_file(app, &profile)?
        });
    }
    let Some(id) = held.on() else {
        return Err(Problem::usage(format!("{serial} has no profile, and its policy wants none"))
            .hint("`--profile NAME` says what to compare with"));
    };
    let defined = store.definition(&token, id).await?;
    let name = defined.as_ref().map_or_else(|| id.to_string(), |it| it.name.to_string());
    let body = match defined.and_then(|it| it.body) {
        Some(body) => object(&body).clone(),
        None => apples_copy(&app.engine, &token, id).await?.ok_or_else(|| {
            Problem::new(Exit::Failure, format!("Apple does not know the profile {id} that {serial} is on"))
        })?,
    };
    Ok(Expected { what: format!("profile {name}, which {serial} is on"), body })
}

/// The profile that the record differs least from.
fn nearest(app: &App, record: &Record) -> Outcome<Expected> {
    let differing = |name: &ProfileName| {
        let body = object(&app.config.profiles[name].1.body);
        record::against(body, record).iter().filter(|row| row.differs).count()
    };
    let name = app.config.profiles.keys().min_by_key(|name| differing(name));
    let name = name.ok_or_else(|| {
        Problem::usage("there is no profile to compare with").hint("put one into profiles/")
    })?;
    Ok(Expected { what: format!("profile {name}, the nearest there is"), ..of_file(app, name)? })
}
