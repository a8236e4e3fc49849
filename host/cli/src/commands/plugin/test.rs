//! `deputy plugin test`: what every policy must hold, found out by asking it in many ways.

use std::path::PathBuf;

use domain::device::Device;
use domain::id::TokenName;
use serde_json::json;

use super::devices::From;
use super::odd;
use super::properties::{self, Property};
use super::subject::{self, Subject, Told};
use crate::Common;
use crate::exit::{Exit, Outcome};
use crate::output::{bar, print, print_json};

/// What `deputy plugin test` takes.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The component file, or the name of a plugin in deputy.toml
    #[arg(value_name = "FILE|NAME")]
    plugin: PathBuf,
    #[command(flatten)]
    told: Told,
    /// Ask about these devices besides the odd ones: a file, as `deputy plugin try` takes it
    /// [default: 1,000 simulated ones]
    #[arg(long, value_name = "FILE")]
    devices: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  deputy plugin test policy.wasm
  deputy plugin test policy.wasm --settings lab.toml --profile lab,standard
  deputy plugin test site-policy --json

A policy is asked about 1,000 ordinary devices and 300 odd ones (empty and very long texts, every plane of
Unicode, families and states that make no sense): twice, each device alone, in batches of 7, and in another
order. Ends with 0 if it fails on none and always says the same, with 1 otherwise.";

/// How many ordinary devices there are.
const ORDINARY: u64 = 1_000;

/// Carries the command out.
pub(crate) async fn run(common: &Common, arguments: Arguments) -> Outcome {
    let config = subject::config(common)?;
    let subject = Subject::find(common, config.as_ref(), &arguments.plugin, &arguments.told)?;
    let plugin = subject.load(&subject::sandbox(config.as_ref())?)?;
    super::decides(&subject, &plugin)?;
    let mut devices = From::saved_or_simulated(arguments.devices, ORDINARY).open(common).await?;
    let json = common.json;
    super::in_the_background(move || {
        let bar = bar(json, "asking", None);
        let mut whose: Option<TokenName> = None;
        let mut ordinary: Vec<Device> = Vec::new();
        while ordinary.len() < ORDINARY as usize {
            let Some(batch) = devices.next() else { break };
            let batch = batch?;
            whose.get_or_insert(batch.token);
            ordinary.extend(batch.devices);
        }
        let token = whose.ok_or_else(|| devices.none_found())?;
        let context = devices.context(&token, &subject.setup.profiles);
        let found = properties::check(&plugin, &context, ordinary, odd::devices());
        bar.finish_and_clear();
        Ok(tell(json, &subject, &found))
    })
    .await
}

fn tell(json: bool, subject: &Subject, found: &[Property]) -> Exit {
    let failed = found.iter().filter(|property| property.broken.is_some()).count();
    if json {
        let list = found.iter().map(|property| {
            let broken = property.broken.as_ref().map(|broken| {
                let examples = broken.examples.iter();
                let examples =
                    examples.map(|(serial, what)| json!({ "serial_number": serial, "what": what }));
                json!({ "devices": broken.devices, "examples": examples.collect::<Vec<_>>() })
            });
            json!({ "name": property.name, "holds": broken.is_none(), "broken": broken })
        });
        let list: Vec<_> = list.collect();
        print_json("test", &json!({ "plugin": subject.shown, "failed": failed, "properties": list }));
    } else {
        let mut text = format!("{}\n", subject.shown);
        for Property { name, broken } in found {
            match broken {
                None => text += &format!("  ok    {name}\n"),
                Some(broken) => {
                    let broken = broken.to_string().replace('\n', "\n          ");
                    text += &format!("  FAIL  {name}\n        {broken}\n");
                }
            }
        }
        text += &match failed {
            0 => format!("all {} properties hold", found.len()),
            _ => format!("{failed} of {} properties do not hold", found.len()),
        };
        print(&text);
    }
    if failed == 0 { Exit::Success } else { Exit::Failure }
}
