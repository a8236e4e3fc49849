//! A policy's schema beside what the policy really accepts.

use std::fs;

use cases::File;
use deputy_policy::{Policy, configure, schema};
use serde_json::Value;

use crate::convert;

/// Compares the schema with the policy: the settings in the README and of every case that the policy
/// takes must fit it, and those in `wrong` must not, nor may the policy take them.
///
/// The README's settings are the TOML blocks with a table `plugins.NAME.settings`.
///
/// # Panics
///
/// If schema and policy disagree, or the README has no example.
#[track_caller]
pub fn check_schema<P: Policy>(readme: &str, folder: &str, wrong: &[&str]) {
    let schema = schema::<P>().expect("the policy publishes a schema");
    let schema: Value = serde_json::from_str(&schema).unwrap_or_else(|error| panic!("{error}:\n{schema}"));
    let schema = jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("{error}"));
    let setup = deputy_policy::Setup {
        profiles: ["standard", "lab-ipad", "kiosk", "executive-mac", "mac-2025", "mac-2026"]
            .map(str::to_owned)
            .to_vec(),
        channels: ["log", "it", "pager"].map(str::to_owned).to_vec(),
        tokens: ["emea", "amer"].map(str::to_owned).to_vec(),
    };

    let text = fs::read_to_string(readme).unwrap_or_else(|error| panic!("{readme}: {error}"));
    let examples: Vec<Value> = text.split("```toml\n").skip(1).filter_map(settings).collect();
    assert!(!examples.is_empty(), "{readme} has no example with settings");
    for example in examples {
        if let Err(problems) = configure::<P>(example.to_string(), &setup) {
            panic!("{readme}: {problems:#?}");
        }
        fits(&schema, &example);
    }
    for entry in fs::read_dir(folder).expect("the folder of cases can be read") {
        let text = fs::read_to_string(entry.expect("a file has a name").path()).expect("a case can be read");
        for case in File::parse(&text).unwrap_or_else(|error| panic!("{error}")).cases {
            if configure::<P>(case.settings.to_string(), &convert::setup(&case.setup)).is_ok() {
                fits(&schema, &case.settings);
            }
        }
    }
    for text in wrong {
        let settings: Value = toml::from_str(text).unwrap_or_else(|error| panic!("{error}"));
        assert!(!schema.is_valid(&settings), "the schema should not accept {settings}");
        let taken = configure::<P>(settings.to_string(), &setup).is_ok();
        assert!(!taken, "the policy should not take {settings}");
    }
}

/// The settings in a block of TOML that begins here, if it has any.
fn settings(text: &str) -> Option<Value> {
    let block = text.split("```").next().unwrap_or_default();
    let block: Value = toml::from_str(block).unwrap_or_else(|error| panic!("{error}:\n{block}"));
    let plugins = block.get("plugins")?.as_object()?;
    plugins.values().find_map(|plugin| plugin.get("settings")).cloned()
}

#[track_caller]
fn fits(schema: &jsonschema::Validator, settings: &Value) {
    let mistakes: Vec<String> =
        schema.iter_errors(settings).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(mistakes.is_empty(), "the schema should accept {settings}:\n{}", mistakes.join("\n"));
}
