//! `deputy profile import`: a profile that another tool keeps, as a file of ours.

use std::path::PathBuf;

use domain::apple_profile::record;
use domain::apple_profile::to_file::{Origin, to_file};
use serde_json::{Map, Value};

use super::written::{self, Target, read_bounded};
use crate::Common;
use crate::exit::{Outcome, Problem};

/// What `deputy profile import` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Apple's JSON, or a property list, XML or binary
    file: PathBuf,
    /// Where to write it: a file, or - for standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
    /// Put it in the place of a file that is there
    #[arg(long)]
    force: bool,
}

/// Carries the command out.
pub(super) fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let Arguments { file, out, force } = arguments;
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or("imported");
    let target = Target::new(out, *force, stem)?;
    let bytes = read_bounded(file)?;
    let profile = parsed(&bytes).map_err(|why| {
        Problem::usage(format!("{} holds no profile: {why}", file.display()))
            .hint("it should be the object that Apple is sent, as JSON or as a property list")
    })?;
    let from = format!("Imported from {}.", file.display());
    let made = to_file(&profile, Origin { from: &from, stem: target.stem() });
    written::write(common, &target, &made)
}

/// The object with Apple's fields, whatever it is written in.
fn parsed(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let value = if text.starts_with(b"{") || text.starts_with(b"[") {
        serde_json::from_slice(text).map_err(|error| error.to_string())?
    } else {
        domain::property_list::read(bytes).map_err(|error| error.to_string())?
    };
    // What a Mac keeps is a profile under other names.
    if let Ok(record) = record::read(&value) {
        return Ok(record.profile);
    }
    match value {
        Value::Object(profile) if profile.keys().any(|key| domain::apple_profile::kind(key).is_some()) => {
            Ok(profile)
        }
        _ => Err("it has none of Apple's fields".to_owned()),
    }
}
