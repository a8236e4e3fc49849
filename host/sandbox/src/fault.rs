//! How a call of a plugin can fail.

use std::fmt;
use std::time::Duration;

use wasmtime::{Trap, WasmBacktrace};

use crate::limits::Refused;
use crate::{convert, lookup, wasi};

/// Why a call of a plugin came to nothing. Displayed, it continues "the plugin …".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It used up its fuel.
    Fuel {
        /// How much it had.
        limit: u64,
        /// For what.
        work: Work,
    },
    /// It took too long. Says as much about the machine as about the plugin.
    Deadline {
        /// How long it had.
        limit: Duration,
    },
    /// It trapped when it was refused more memory.
    Memory {
        /// How many bytes it may have.
        limit: usize,
    },
    /// It trapped when it was refused a larger table.
    Table {
        /// How many elements it may have, in all its tables.
        limit: usize,
    },
    /// It could not even begin: what it is made of is more than it may have, or does not fit together.
    Start {
        /// The engine's word for it.
        reason: String,
    },
    /// It asked for what there is not in the world of a policy, and could not be told so. What it called, in words.
    World {
        /// Displayed, it continues "the plugin …".
        reason: String,
    },
    /// It trapped: by itself, or because it did what no program may.
    Trap {
        /// The engine's word for it.
        reason: String,
    },
    /// It answered, but not what the contract asks for.
    Contract {
        /// What is wrong with the answer.
        reason: String,
    },
    /// A table it was granted is not there in this run, or not with the columns it had.
    TableGone {
        /// What is not there.
        reason: String,
    },
    /// A table it looked into could not be read. No fault of the plugin's, but it has no answer.
    TableUnreadable {
        /// Which table, and why.
        reason: String,
    },
    /// It refused settings that it had accepted when it was loaded.
    Settings {
        /// The first of its problems.
        reason: String,
    },
}

/// What a call was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// To get to know it: what it is, whether it accepts its settings, what it wants.
    Loading,
    /// To decide about so many devices.
    Devices(usize),
    /// To say for how long its verdicts last.
    Lasting,
    /// To remind of so many tokens.
    Tokens(usize),
    /// To review a plan.
    Plan,
}

impl Fault {
    /// Whether trying again with fewer devices can tell which of them it is. A deadline is missed by
    /// chance, and waiting for it again and again would take long.
    pub(crate) fn is_worth_a_search(&self) -> bool {
        !matches!(self, Self::Deadline { .. } | Self::Settings { .. } | Self::TableGone { .. })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fuel { limit, work } => {
                write!(f, "ran out of fuel ({}", grouped(*limit))?;
                match work {
                    Work::Loading | Work::Lasting => f.write_str(")"),
                    Work::Devices(1) => f.write_str(" for one device)"),
                    Work::Devices(devices) => write!(f, " for {} devices)", grouped(*devices as u64)),
                    Work::Tokens(1) => f.write_str(" for one token)"),
                    Work::Tokens(tokens) => write!(f, " for {} tokens)", grouped(*tokens as u64)),
                    Work::Plan => f.write_str(" for a plan)"),
                }
            }
            Self::Deadline { limit } => write!(f, "took longer than {limit:?}"),
            Self::Memory { limit } => write!(f, "wanted more than its {} MiB of memory", limit >> 20),
            Self::Table { limit } => {
                write!(f, "wanted more than its {} elements of tables", grouped(*limit as u64))
            }
            Self::Start { reason } => write!(f, "could not be started: {reason}"),
            Self::World { reason } => f.write_str(reason),
            Self::Trap { reason } => write!(f, "trapped: {reason}"),
            Self::Contract { reason } => write!(f, "broke the contract: {reason}"),
            Self::TableGone { reason } | Self::TableUnreadable { reason } => {
                write!(f, "could not look something up: {reason}")
            }
            Self::Settings { reason } => write!(f, "refused settings it had accepted: {reason}"),
        }
    }
}

/// What is known about a call that failed.
pub(crate) struct Failed<'a> {
    pub(crate) limits: &'a crate::Limits,
    pub(crate) fuel: u64,
    pub(crate) work: Work,
    pub(crate) refused: Option<Refused>,
    /// It had not been asked anything yet.
    pub(crate) starting: bool,
}

/// How a plugin failed and where it was then, for its author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// How it failed.
    pub fault: Fault,
    /// The functions it was in, innermost first, by the names that the component carries; none if it was not
    /// stopped but gave an answer that is none.
    pub frames: Vec<String>,
}

/// The longest name of a function that is shown, in bytes.
const NAME: usize = 120;

impl Trace {
    /// Where the guest was when this happened, if it was anywhere.
    pub(crate) fn of(fault: Fault, error: &wasmtime::Error) -> Self {
        let frames = error.downcast_ref::<WasmBacktrace>().map_or(&[][..], WasmBacktrace::frames);
        let frames = frames.iter().map(|frame| {
            let name = match frame.func_name() {
                Some(name) => convert::clean(&format!("{:#}", rustc_demangle::demangle(name)), NAME),
                None => format!("function {}", frame.func_index()),
            };
            frame.module_offset().map_or(name.clone(), |offset| format!("{name} at {offset:#x}"))
        });
        let frames = frames.collect();
        Self { fault, frames }
    }

    /// Whether there is nothing new in the other one: less fuel may have run out at the same place.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let ran_out = |trace: &Self| matches!(trace.fault, Fault::Fuel { .. });
        self.frames == other.frames && (self.fault == other.fault || ran_out(self) && ran_out(other))
    }
}

/// One line, for a log.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, in ", self.fault)?;
        for (at, same) in self.frames.chunk_by(|a, b| a == b).enumerate() {
            let arrow = if at == 0 { "" } else { " <- " };
            write!(f, "{arrow}{}", same[0])?;
            if same.len() > 1 {
                write!(f, " ({} times)", same.len())?;
            }
        }
        Ok(())
    }
}

/// Tells faults apart by the type of what happened, never by its words.
pub(crate) fn classify(error: &wasmtime::Error, failed: &Failed) -> Fault {
    if let Some(unreadable) = error.downcast_ref::<lookup::Unreadable>() {
        return Fault::TableUnreadable { reason: unreadable.to_string() };
    }
    if let Some(refused) = error.downcast_ref::<wasi::Refused>() {
        return Fault::World { reason: refused.to_string() };
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => Fault::Fuel { limit: failed.fuel, work: failed.work },
        Some(Trap::Interrupt) => Fault::Deadline { limit: failed.limits.time },
        _ if failed.refused == Some(Refused::Memory) => Fault::Memory { limit: failed.limits.memory_bytes },
        _ if failed.refused == Some(Refused::Table) => Fault::Table { limit: failed.limits.table_elements },
        Some(trap) => Fault::Trap { reason: trap.to_string().trim_start_matches("wasm trap: ").to_owned() },
        None => {
            let reason = convert::clean(&error.root_cause().to_string(), 256);
            // Only reading what the guest hands over can fail otherwise.
            if failed.starting { Fault::Start { reason } } else { Fault::Contract { reason } }
        }
    }
}

/// 5000000 as 5,000,000.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
