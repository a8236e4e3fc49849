//! `[[freezes]]`: windows in which nothing is changed at Apple.

use std::time::Duration;

use domain::document::Findings;
use domain::duration::Span;
use domain::freeze::{Freeze, Window};
use domain::id::TokenName;
use domain::schedule::{Expression, Schedule};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Deserialize;

/// A window in which nothing is changed at Apple: once, with `from` and `until`, or again and again, with
/// `cron` and `lasts`. Syncing, deciding and planning go on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FreezeTable {
    /// Why, for reports and for whoever is refused.
    #[schemars(example = &"stocktaking")]
    reason: String,
    /// When it begins: a day such as `2026-12-20`, or a time such as `2026-12-20T18:00`.
    #[serde(default)]
    #[schemars(with = "serde_json::Value")]
    from: Option<toml::Value>,
    /// When it ends, such as `2027-01-05`, which means the beginning of that day.
    #[serde(default)]
    #[schemars(with = "serde_json::Value")]
    until: Option<toml::Value>,
    /// When it begins each time, as in a workflow's schedule.
    #[serde(default)]
    #[schemars(example = &"0 18 * * fri")]
    cron: Option<String>,
    /// How long it lasts each time, such as `62h`.
    #[serde(default)]
    lasts: Option<String>,
    /// Whose clocks count, such as `Europe/Paris`. Default: the machine's.
    #[serde(default)]
    timezone: Option<String>,
    /// The tokens it is for. Default: all.
    #[serde(default)]
    tokens: Option<Vec<String>>,
}

/// What the tables mean, where the tokens have these names.
pub(super) fn freezes(tables: &[FreezeTable], names: &[String], findings: &mut Findings<'_>) -> Vec<Freeze> {
    let one =
        |(index, table): (usize, &FreezeTable)| freeze(&format!("/freezes/{index}"), table, names, findings);
    tables.iter().enumerate().filter_map(one).collect()
}

fn freeze(at: &str, table: &FreezeTable, names: &[String], findings: &mut Findings<'_>) -> Option<Freeze> {
    if table.reason.trim().is_empty() {
        findings.at(&format!("{at}/reason"), "whoever is refused wants to know why", None);
    }
    let zone = match &table.timezone {
        None => TimeZone::try_system().unwrap_or(TimeZone::UTC),
        Some(name) => TimeZone::get(name).unwrap_or_else(|_| {
            let help = "an IANA name, such as `Europe/Paris` or `UTC`".to_owned();
            findings.at(&format!("{at}/timezone"), format!("no time zone is called `{name}`"), Some(help));
            TimeZone::UTC
        }),
    };
    for (index, token) in table.tokens.iter().flatten().enumerate() {
        let names = names.iter().map(String::as_str);
        super::known(&format!("{at}/tokens/{index}"), "token", token, names, findings);
    }
    let tokens: Option<Vec<TokenName>> =
        table.tokens.as_ref().map(|tokens| findings.parse_all(&format!("{at}/tokens"), tokens));
    let window = match (&table.from, &table.until, &table.cron, &table.lasts) {
        (Some(from), Some(until), None, None) => once(at, [from, until], &zone, findings)?,
        (None, None, Some(cron), Some(lasts)) => {
            let expression = Expression::typed(&format!("{at}/cron"), cron, findings);
            let lasts: Option<Span> = findings.parse(&format!("{at}/lasts"), lasts);
            let lasts = lasts?.0;
            if lasts == Duration::ZERO {
                findings.at(&format!("{at}/lasts"), "a window of no time is none", None);
            }
            Window::Recurring { begins: Schedule::new(expression?, zone), lasts }
        }
        _ => {
            let help =
                "write `from` and `until` for one window, or `cron` and `lasts` for one that comes back";
            findings.at(at, "it is not said when nothing is to be changed", Some(help.to_owned()));
            return None;
        }
    };
    Some(Freeze { window, reason: table.reason.trim().to_owned(), tokens })
}

fn once(at: &str, ends: [&toml::Value; 2], zone: &TimeZone, findings: &mut Findings<'_>) -> Option<Window> {
    let mut moment = |key: &str, value: &toml::Value| {
        let found = moment(value, zone);
        if found.is_none() {
            let help = "write a day such as `2026-12-20`, or a time such as `2026-12-20T18:00`".to_owned();
            findings.at(&format!("{at}/{key}"), "this is no time", Some(help));
        }
        found
    };
    let (from, until) = (moment("from", ends[0]), moment("until", ends[1]));
    let (from, until) = (from?, until?);
    if until <= from {
        findings.at(&format!("{at}/until"), "it ends before it begins", None);
    }
    Some(Window::Once { from, until })
}

/// A TOML date or time, with quotes or without.
fn moment(value: &toml::Value, zone: &TimeZone) -> Option<Timestamp> {
    let text = match value {
        toml::Value::String(text) => text.trim().to_owned(),
        toml::Value::Datetime(time) => time.to_string(),
        _ => return None,
    };
    let here = |time: DateTime| zone.to_ambiguous_timestamp(time).compatible().ok();
    if let Ok(day) = text.parse::<Date>()
        && text.len() == "2026-12-20".len()
    {
        return here(day.to_datetime(Time::midnight()));
    }
    text.parse().ok().or_else(|| here(text.parse::<DateTime>().ok()?))
}
