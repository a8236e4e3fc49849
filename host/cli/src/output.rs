//! How results look: tables for people, JSON for machines, progress while something takes long.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
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
    print(&if rows.is_empty() { nothing.to_owned() } else { table(headings, rows) });
}

/// Rows under headings, as lines.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: Vec<[String; N]>) -> String {
    // In a pipe a row is a line, however long. Consoles that do not know their width say 0.
    laid_out(headings, rows, width())
}

fn laid_out<const N: usize>(headings: [&str; N], rows: Vec<[String; N]>, width: Option<usize>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(headings.map(str::to_uppercase));
    table.set_content_arrangement(match width {
        Some(_) => ContentArrangement::Dynamic,
        None => ContentArrangement::Disabled,
    });
    if let Some(width) = width {
        table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
        let words = longest_words(&headings, &rows);
        // A blank on both sides of each column.
        if words.iter().map(|word| word + 2).sum::<usize>() > width {
            return records(&headings, &rows);
        }
        // What is copied from a terminal, such as the name of a run, is in one piece.
        table.set_constraints(words.map(|word| {
            ColumnConstraint::LowerBoundary(Width::Fixed(u16::try_from(word + 2).unwrap_or(u16::MAX)))
        }));
    }
    table.add_rows(rows);
    // One blank of each cell's padding goes; those that keep a cell's further lines in their column stay.
    let lines: Vec<String> =
        table.lines().map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned()).collect();
    lines.join("\n")
}

/// How wide the terminal is that results go to; none in a pipe, where a line is as long as it is.
pub(crate) fn width() -> Option<usize> {
    let width = Table::new().width().filter(|width| *width > 0 && std::io::stdout().is_terminal());
    width.map(usize::from)
}

/// A text in lines of at most so many characters, broken between words; a longer word has a line of its own.
pub(crate) fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// How long the longest word of each column is.
fn longest_words<const N: usize>(headings: &[&str; N], rows: &[[String; N]]) -> [usize; N] {
    let longest = |text: &str| text.split_whitespace().map(|word| word.chars().count()).max().unwrap_or(0);
    std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| longest(&row[column])).max().unwrap_or(0);
        cells.max(longest(headings[column]))
    })
}

/// A table that is wider than the terminal, in pieces: a line for each cell, under the first of its row.
fn records<const N: usize>(headings: &[&str; N], rows: &[[String; N]]) -> String {
    let name = headings.iter().skip(1).map(|heading| heading.len()).max().unwrap_or(0);
    let record = |row: &[String; N]| {
        let cells = headings.iter().zip(row).skip(1).filter(|(_, cell)| *cell != "-");
        let lines = cells.map(|(heading, cell)| format!("\n  {heading:<name$}  {cell}"));
        row[0].clone() + &lines.collect::<String>()
    };
    rows.iter().map(record).collect::<Vec<_>>().join("\n")
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

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_text_is_broken_between_words() {
        assert_eq!(wrapped("one two three-and-more four", 7), ["one two", "three-and-more", "four"]);
    }

    #[test]
    fn what_wraps_stays_in_its_column() {
        let rows = vec![["run-1", "a reason that needs more than one line"].map(str::to_owned)];
        expect![[r#"
            RUN    BECAUSE
            run-1  a reason that needs
                   more than one line
        "#]]
        .assert_eq(&(laid_out(["run", "because"], rows, Some(30)) + "\n"));
    }

    #[test]
    fn a_table_that_is_wider_than_the_terminal_is_told_in_pieces() {
        let rows = [
            ["run-1", "auto-assign", "-"].map(str::to_owned),
            ["run-2", "sync", "a long reason"].map(str::to_owned),
        ];
        let headings = ["run", "workflow", "because"];
        assert_eq!(longest_words(&headings, &rows), [5, 11, 7]);
        expect![[r#"
            run-1
              workflow  auto-assign
            run-2
              workflow  sync
              because   a long reason
        "#]]
        .assert_eq(&(records(&headings, &rows) + "\n"));
    }
}
