//! A comparison: a table for people, JSON for machines.

use std::io::Write as _;

use anyhow::Context as _;
use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};

use crate::measure::Usage;

/// What a benchmark found.
pub(crate) struct Comparison {
    benchmark: &'static str,
    latency_ms: u64,
    runs: u32,
    /// The account's largest page.
    pub(crate) page_limit: u32,
    /// What was measured.
    pub(crate) rows: Vec<Row>,
    /// What it was to be. An aim that is not met is no error: machines differ.
    pub(crate) aims: Vec<Aim>,
}

/// One part at one size.
pub(crate) struct Row {
    /// The size.
    pub(crate) devices: u64,
    /// The part, or a step of it.
    pub(crate) part: String,
    /// Answers of Apple's; not counted for steps.
    pub(crate) answers: Option<u64>,
    /// What it used.
    pub(crate) usage: Usage,
    /// Where every device went through it.
    pub(crate) devices_per_second: Option<f64>,
    /// Its time beside that of the baseline.
    pub(crate) ratio: f64,
}

/// At most so much of something.
pub(crate) struct Aim {
    /// At which size; 0 if it is not about devices.
    pub(crate) devices: u64,
    /// Of what.
    pub(crate) what: &'static str,
    /// How much it was.
    pub(crate) measured: f64,
    /// How much it may be.
    pub(crate) limit: f64,
}

impl Comparison {
    /// Nothing found yet.
    pub(crate) fn new(benchmark: &'static str, latency_ms: u64, runs: u32) -> Self {
        Self { benchmark, latency_ms, runs, page_limit: 0, rows: Vec::new(), aims: Vec::new() }
    }

    /// Prints it to standard output.
    pub(crate) fn print(&self, as_json: bool) -> anyhow::Result<()> {
        let text = if as_json { format!("{:#}", self.json()) } else { self.tables() };
        writeln!(std::io::stdout(), "{text}").context("cannot print the comparison")
    }

    fn tables(&self) -> String {
        let measured = table(
            ["devices", "part", "answers", "seconds", "devices/s", "cpu s", "peak MiB", "ratio"],
            self.rows.iter().map(|row| {
                [
                    count(row.devices),
                    row.part.clone(),
                    row.answers.map_or_else(dash, count),
                    format!("{:.3}", row.usage.seconds),
                    row.devices_per_second.map_or_else(dash, |speed| count(speed as u64)),
                    row.usage.cpu_seconds.map_or_else(dash, |time| format!("{time:.2}")),
                    row.usage.peak_mib.map_or_else(dash, |peak| format!("{peak:.1}")),
                    format!("{:.2}", row.ratio),
                ]
            }),
        );
        let aims = aims(&self.aims);
        let Self { benchmark, page_limit, latency_ms, runs, .. } = self;
        format!(
            "{benchmark}: pages of {}, {latency_ms} ms per answer, median of {runs}, {} processors\n\n{measured}\n\n{aims}",
            count((*page_limit).into()),
            processors(),
        )
    }

    fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            json!({
                "devices": row.devices,
                "part": row.part,
                "answers": row.answers,
                "seconds": row.usage.seconds,
                "devices_per_second": row.devices_per_second,
                "cpu_seconds": row.usage.cpu_seconds,
                "peak_mib": row.usage.peak_mib,
                "ratio": row.ratio,
            })
        });
        json!({
            "version": 1,
            "benchmark": self.benchmark,
            "page_limit": self.page_limit,
            "latency_ms": self.latency_ms,
            "runs": self.runs,
            "processors": processors(),
            "rows": rows.collect::<Value>(),
            "aims": self.aims.iter().map(Aim::json).collect::<Vec<_>>(),
        })
    }
}

impl Aim {
    fn is_met(&self) -> bool {
        self.measured <= self.limit
    }

    /// As it stands in the JSON of every benchmark.
    pub(crate) fn json(&self) -> Value {
        json!({
            "devices": self.devices,
            "aim": self.what,
            "at_most": self.limit,
            "measured": self.measured,
            "met": self.is_met(),
        })
    }
}

/// Aims as a table; those that are not about devices have a dash for their number.
pub(crate) fn aims(aims: &[Aim]) -> String {
    let rows = aims.iter().map(|aim| {
        [
            if aim.devices == 0 { dash() } else { count(aim.devices) },
            aim.what.to_owned(),
            aim.limit.to_string(),
            format!("{:.2}", aim.measured),
            if aim.is_met() { "yes" } else { "no" }.to_owned(),
        ]
    });
    table(["devices", "aim", "at most", "measured", "met"], rows)
}

/// A count with commas between thousands.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group).unwrap_or_default()).collect();
    groups.join(",")
}

/// Words to the left, numbers to the right.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(headings.map(str::to_uppercase));
    table.add_rows(rows);
    for (heading, column) in headings.iter().zip(table.column_iter_mut()) {
        if !matches!(*heading, "part" | "aim" | "met") {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

pub(crate) fn dash() -> String {
    "-".to_owned()
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
