//! A policy's schema beside what the policy really accepts.

use std::fs;

use boon::{Compiler, Draft, SchemaIndex, Schemas};
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
    let schema = Schema::new(schema);
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
        assert!(schema.mistakes(&settings).is_some(), "the schema should not accept {settings}");
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
fn fits(schema: &Schema, settings: &Value) {
    if let Some(mistakes) = schema.mistakes(settings) {
        panic!("the schema should accept {settings}:\n{mistakes}");
    }
}

/// A JSON Schema, ready to be held against settings.
struct Schema {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Schema {
    fn new(schema: Value) -> Self {
        const NAME: &str = "policy://itself/settings.json";
        let mut schemas = Schemas::new();
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V2020_12);
        compiler.add_resource(NAME, schema).expect("a policy's schema has no name of its own");
        let index = compiler.compile(NAME, &mut schemas).unwrap_or_else(|error| panic!("{error:#}"));
        Self { schemas, index }
    }

    /// What is wrong with these settings, if anything is.
    fn mistakes(&self, settings: &Value) -> Option<String> {
        self.schemas.validate(settings, self.index).err().map(|error| format!("{error:#}"))
    }
}
