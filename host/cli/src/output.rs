//! How results look: tables for people, JSON for machines, progress while something takes long.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};
use engine::runner::{Observer, Progress};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde_json::{Value, json};

/// Prints a result as JSON, with the version of its shape.
pub(crate) fn print_json(name: &str, value: &Value) {
    print(&format!("{:#}", json!({ "version": 1, name: value })));
}

/// Prints to standard output. A reader that has gone away, such as `head`, is no error.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", text.trim_end());
}

/// Prints rows under headings; says so if there are none.
pub(crate) fn print_table<const N: usize>(headings: [&str; N], rows: Vec<[String; N]>, nothing: &str) {
    if rows.is_empty() {
        return print(nothing);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(headings.map(str::to_uppercase));
    // In a pipe a row is a line, however long.
    table.set_content_arrangement(if std::io::stdout().is_terminal() {
        ContentArrangement::Dynamic
    } else {
        ContentArrangement::Disabled
    });
    // Consoles that do not know their width say 0.
    if table.width() == Some(0) {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    table.add_rows(rows);
    let lines: Vec<String> =
        table.lines().map(|line| line.trim_end().trim_start_matches(' ').to_owned()).collect();
    print(&lines.join("\n"));
}

/// A time for people: to the minute, in UTC.
pub(crate) fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A time that may not have come.
pub(crate) fn maybe(when: Option<Timestamp>, otherwise: &str) -> String {
    when.map_or_else(|| otherwise.to_owned(), time)
}

/// Text that may be missing.
pub(crate) fn or_dash(text: Option<&str>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or("-").to_owned()
}

/// Bars on a terminal for steps that take more than a moment; nothing in a pipe or for JSON.
pub(crate) fn observer(json: bool) -> (Observer, MultiProgress) {
    let bars = MultiProgress::new();
    if json || !std::io::stderr().is_terminal() {
        return (engine::runner::nobody(), bars);
    }
    let shown: Arc<Mutex<BTreeMap<String, ProgressBar>>> = Arc::default();
    let group = bars.clone();
    let observer = move |progress: Progress| {
        let Progress { token, uses, done, total } = progress;
        let token = token.map_or(String::new(), |token| token.to_string());
        let mut shown = shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let bar = shown.entry(token.clone()).or_insert_with(|| {
            let bar = group.add(ProgressBar::new_spinner());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        let template = if total.is_some() {
            "{spinner} {msg} {wide_bar} {human_pos}/{human_len}"
        } else {
            "{spinner} {msg} {human_pos} devices"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(format!("{token} {uses}"));
        bar.set_length(total.unwrap_or(0));
        bar.set_position(done);
    };
    (Arc::new(observer), bars)
}

/// A bar on a terminal for work on devices that takes more than a moment; nothing in a pipe or for JSON.
pub(crate) fn bar(json: bool, doing: &str, total: Option<u64>) -> ProgressBar {
    if json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{spinner} {msg} {wide_bar} {human_pos}/{human_len}"),
        None => (ProgressBar::new_spinner(), "{spinner} {msg} {human_pos} devices"),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(doing.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// 5000000 as 5,000,000.
pub(crate) fn grouped(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}
