//! Lists of devices that are expected: what has come of them, what is late, and telling that once.

use std::collections::BTreeMap;

use domain::expected::Expected;
use domain::id::{ChannelName, ProfileId, SerialNumber, TableName, TokenName};
use domain::token::Severity;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::engine::Engine;
use crate::failure::Error;
use crate::settings::Unusable;
use crate::store::{Saying, Topic};

/// What is configured of a list. What is in it is a table of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedList {
    /// The token whose devices it is about; any, if absent.
    pub token: Option<TokenName>,
    /// Who is told of devices that are late; everybody, if absent.
    pub channels: Option<Vec<ChannelName>>,
}

/// One device of a list, and what came of it.
#[derive(Clone, Debug)]
pub struct Standing {
    /// What the list says.
    pub expected: Expected,
    /// That it is here.
    pub here: Option<Here>,
    /// By how many days it is late.
    pub late_by: Option<i32>,
}

/// A device that is here.
#[derive(Clone, Debug)]
pub struct Here {
    /// Of which token.
    pub token: TokenName,
    /// When it was listed first, if that is known.
    pub since: Option<Timestamp>,
    /// The profile it is on.
    pub on: Option<ProfileId>,
}

/// So many late devices are named in a message.
const NAMED: usize = 20;

/// The devices of a list in the order of its rows, and what came of each; and what is wrong with rows. Reads the
/// file if it has changed.
pub async fn standings(
    engine: &Engine,
    name: &TableName,
    list: &ExpectedList,
) -> Result<(Vec<Standing>, Vec<String>), Error> {
    let file = engine.settings.tables.get(name).cloned();
    let read = tokio::task::spawn_blocking(move || {
        let Some(file) = file else { return Err(None) };
        let table = file.now().ok_or_else(|| file.wrong().map(|wrong| wrong.to_string()))?;
        let rows = table.first(usize::MAX).map_err(|unreadable| Some(unreadable.to_string()))?;
        Ok((domain::table::Table::columns(&*table).to_vec(), rows))
    });
    let read = read.await.unwrap_or_else(|panicked| Err(Some(panicked.to_string())));
    let (columns, rows) = read.map_err(|wrong| {
        let wrong = wrong.map_or(String::new(), |wrong| format!("\n{wrong}"));
        Error::Policy(Unusable { error: format!("the list `{name}` cannot be read{wrong}"), hint: None })
    })?;
    let (mut all, mut mistakes) = (Vec::new(), Vec::new());
    for row in rows {
        match Expected::read(&columns, &row) {
            Ok(expected) => all.push(expected),
            Err(wrong) => mistakes.push(wrong),
        }
    }
    let serials = all.iter().map(|expected| expected.serial_number.clone()).collect();
    let mut here = engine.store.which_are_here(serials, list.token.clone()).await?;
    let today = today(engine.now());
    let standing = |expected: Expected| {
        let here = here.remove(&expected.serial_number);
        let late_by = if here.is_some() { None } else { expected.late_by(today) };
        Standing { expected, here, late_by }
    };
    Ok((all.into_iter().map(standing).collect(), mistakes))
}

/// The day it is, in UTC: a list says days, and no place.
fn today(now: Timestamp) -> Date {
    now.to_zoned(TimeZone::UTC).date()
}

/// Tells people which devices of a list are late, and which of those have come: of each device once.
pub(crate) async fn watch(engine: &Engine, name: &TableName) -> Result<(), Error> {
    let Some(list) = engine.settings.expected.get(name) else { return Ok(()) };
    let (standings, _) = standings(engine, name, list).await?;
    let late: BTreeMap<SerialNumber, i32> = standings
        .iter()
        .filter_map(|standing| Some((standing.expected.serial_number.clone(), standing.late_by?)))
        .collect();
    let said = engine.store.late_said(name).await?;
    let all = || engine.settings.channels.keys().cloned().collect::<Vec<_>>();
    for channel in list.channels.clone().unwrap_or_else(all) {
        let known = said.get(&channel).cloned().unwrap_or_default();
        let new: Vec<(&SerialNumber, &i32)> =
            late.iter().filter(|(serial, _)| !known.contains(*serial)).collect();
        let over: Vec<&SerialNumber> = known.iter().filter(|serial| !late.contains_key(*serial)).collect();
        let come: Vec<&SerialNumber> = over
            .iter()
            .copied()
            .filter(|serial| {
                standings.iter().any(|it| it.expected.serial_number == **serial && it.here.is_some())
            })
            .collect();
        let mut text = String::new();
        for (serial, days) in new.iter().take(NAMED) {
            text += &format!("{serial} is late by {days} day{}\n", if **days == 1 { "" } else { "s" });
        }
        if new.len() > NAMED {
            text += &format!("and {} more\n", new.len() - NAMED);
        }
        if !come.is_empty() {
            let named: Vec<&str> = come.iter().take(NAMED).map(|serial| serial.as_str()).collect();
            let more = come.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            text += &format!("come since: {}{more}\n", named.join(", "));
        }
        let sayings = |kind: Option<&str>, serial: &SerialNumber| {
            let saying = Saying { channel: channel.clone(), token: None, kind: kind.map(str::to_owned) };
            (format!("{name}/{serial}"), saying)
        };
        let mut notes: Vec<(String, Saying)> = over.iter().map(|serial| sayings(None, serial)).collect();
        let mut message = None;
        if !text.is_empty() {
            let short = name.as_str().trim_start_matches("expected.");
            let (severity, subject) = match (new.len(), come.len()) {
                (0, come) => (Severity::Info, format!("{come} late of the expected devices `{short}` came")),
                (late, _) => {
                    (Severity::Warning, format!("{late} of the expected devices `{short}` did not come"))
                }
            };
            let mut written = engine.new_message("expected", severity, subject, text);
            let late: Vec<&SerialNumber> = new.iter().map(|(serial, _)| *serial).collect();
            written.data = json!({ "list": short, "late": late, "come": come });
            let outgoing = engine.outgoing(written, std::slice::from_ref(&channel));
            if outgoing.addresses.is_empty() {
                continue;
            }
            message = Some(outgoing);
            notes.extend(new.iter().map(|(serial, _)| sayings(Some("late"), serial)));
        }
        if !notes.is_empty() {
            engine.store.say_each(Topic::Late, message, notes, engine.now()).await?;
            engine.ring_outbox();
        }
    }
    Ok(())
}
