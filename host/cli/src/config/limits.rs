//! `[plugins.NAME.limits]`: what a plugin may use, as it is typed and as it is meant.

use std::time::Duration;

use domain::document::Findings;
use domain::duration::Span;
use sandbox::Limits;
use schemars::JsonSchema;
use serde::Deserialize;

/// What a plugin may use. What is not said is as in the preset.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsTable {
    /// What the other keys are measured from. `interpreter` is for components of JavaScript and Python, which
    /// carry an interpreter. Default: `compiled`.
    #[serde(default)]
    preset: Preset,
    /// Memory for one call, such as `64MiB`, at most `512MiB`. Default: `64MiB`; interpreter: `256MiB`.
    #[serde(default)]
    memory: Option<String>,
    /// How long one call may take, such as `2s`: the net under the fuel. Default: `10s`; interpreter: `60s`.
    #[serde(default)]
    time: Option<String>,
    /// Instructions, roughly, for one call, however few devices. Default: 5,000,000; interpreter: 50,000,000.
    #[serde(default)]
    fuel_per_call: Option<u64>,
    /// The same for each device besides. Default: 200,000; interpreter: 5,000,000.
    #[serde(default)]
    fuel_per_device: Option<u64>,
    /// Elements of all tables together, at most 50,000. Default: 20,000; interpreter: 50,000.
    #[serde(default)]
    table_elements: Option<u64>,
    /// Core instances that the component is made of, at most 64. Default: 16; interpreter: 64.
    #[serde(default)]
    instances: Option<u64>,
    /// How much an answer or one line of the log may weigh, such as `4MiB`, at most `64MiB`. Default: `4MiB`.
    #[serde(default)]
    output: Option<String>,
    /// How much of what it logs in one call is kept, such as `8KiB`, at most `1MiB`. Default: `8KiB`.
    #[serde(default)]
    log: Option<String>,
    /// The largest component, at most `256MiB`. Default: `16MiB`; interpreter: `64MiB`.
    #[serde(default)]
    size: Option<String>,
    /// How long compiling it may take, at least `1s`. Default: `30s`; interpreter: `3m`.
    #[serde(default)]
    compile_time: Option<String>,
    /// How much memory compiling it may take, at most `64GiB`. Default: `1GiB`; interpreter: `3GiB`.
    #[serde(default)]
    compile_memory: Option<String>,
}

/// What the limits of a plugin are measured from.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Preset {
    /// A policy compiled to WebAssembly: Rust, C.
    #[default]
    Compiled,
    /// A policy with the interpreter of its language: JavaScript, Python.
    Interpreter,
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// More instructions than a machine carries out in the longest time that anybody waits.
const FUEL: u64 = 1_000_000_000_000;

/// The longest time a call or a compilation may be given.
const LONGEST: Duration = Duration::from_secs(3_600);

/// What a table of limits means; `at` is where it stands.
pub(super) fn limits(at: &str, table: &LimitsTable, findings: &mut Findings<'_>) -> Limits {
    let mut limits = match table.preset {
        Preset::Compiled => Limits::default(),
        Preset::Interpreter => Limits::interpreter(),
    };
    let mut typed = Typed { at, findings };
    typed.bytes("memory", &table.memory, 512 * MIB, &mut limits.memory_bytes);
    typed.bytes("output", &table.output, 64 * MIB, &mut limits.output_bytes);
    typed.bytes("log", &table.log, MIB, &mut limits.log_bytes);
    typed.bytes("size", &table.size, 256 * MIB, &mut limits.component_bytes);
    typed.bytes("compile_memory", &table.compile_memory, 64 * GIB, &mut limits.compile_bytes);
    typed.time("time", &table.time, Duration::from_millis(1), &mut limits.time);
    typed.time("compile_time", &table.compile_time, Duration::from_secs(1), &mut limits.compile_time);
    typed.count("fuel_per_call", table.fuel_per_call, FUEL, &mut limits.fuel_per_call);
    typed.count("fuel_per_device", table.fuel_per_device, FUEL, &mut limits.fuel_per_device);
    typed.count("table_elements", table.table_elements, 50_000, &mut limits.table_elements);
    typed.count("instances", table.instances, 64, &mut limits.instances);
    limits
}

/// The keys of one table, and where what is wrong with them is told.
struct Typed<'a, 'b> {
    at: &'a str,
    findings: &'a mut Findings<'b>,
}

impl Typed<'_, '_> {
    fn bytes<N: TryFrom<u64>>(&mut self, key: &str, typed: &Option<String>, most: u64, limit: &mut N) {
        let Some(text) = typed else { return };
        let found = bytes(text).filter(|bytes| (1..=most).contains(bytes));
        match found.and_then(|bytes| N::try_from(bytes).ok()) {
            Some(bytes) => *limit = bytes,
            None => {
                let message = format!("`{text}` is not an amount of memory up to {}", shown(most));
                let help =
                    format!("write a number and KiB, MiB or GiB, such as `{}`", shown(most.min(64 * MIB)));
                self.wrong(key, message, &help);
            }
        }
    }

    fn time(&mut self, key: &str, typed: &Option<String>, least: Duration, limit: &mut Duration) {
        let Some(text) = typed else { return };
        let Some(span) = self.findings.parse::<Span>(&format!("{}/{key}", self.at), text) else { return };
        match (least..=LONGEST).contains(&span.0) {
            true => *limit = span.0,
            false => self.wrong(key, format!("`{text}` is not between {least:?} and 1h"), "write `30s`"),
        }
    }

    fn count<N: TryFrom<u64>>(&mut self, key: &str, typed: Option<u64>, most: u64, limit: &mut N) {
        let Some(count) = typed else { return };
        match N::try_from(count).ok().filter(|_| (1..=most).contains(&count)) {
            Some(count) => *limit = count,
            None => self.wrong(
                key,
                format!("{count} is not between 1 and {most}"),
                "without this key, the preset's number holds",
            ),
        }
    }

    fn wrong(&mut self, key: &str, message: String, help: &str) {
        self.findings.at(&format!("{}/{key}", self.at), message, Some(help.to_owned()));
    }
}

/// `64MiB` in bytes.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let unit = match unit.trim() {
        "KiB" => KIB,
        "MiB" => MIB,
        "GiB" => GIB,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// Bytes as they are typed.
pub(crate) fn shown(bytes: u64) -> String {
    match bytes {
        bytes if bytes >= GIB && bytes.is_multiple_of(GIB) => format!("{}GiB", bytes / GIB),
        bytes if bytes >= MIB && bytes.is_multiple_of(MIB) => format!("{}MiB", bytes / MIB),
        bytes => format!("{}KiB", bytes / KIB),
    }
}
