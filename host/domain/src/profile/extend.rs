//! One profile continues another: `extends`.
//!
//! The keys of the file count over those of the file it extends, and so on up the chain. Tables are
//! joined key by key; anything else, lists too, is replaced as a whole. What a file says of itself
//! (`extends`, `base`, `description`) is not handed down.

use std::collections::BTreeMap;

use serde_json::Value;
use toml::Table;

use super::file::ProfileFile;
use crate::document::{Findings, Mistakes, Source, suggestion};

/// The files of the folder with the profiles, under their names.
pub type Files = BTreeMap<String, File>;

/// A file's path, for messages, and its text.
#[derive(Clone, Debug)]
pub struct File {
    /// As the operator would write it.
    pub path: String,
    /// All of the file.
    pub text: String,
}

impl File {
    pub(super) fn source(&self) -> Source<'_> {
        Source { path: &self.path, text: &self.text }
    }
}

/// The file and those that it extends, nearest first, and what they say together.
pub(super) fn read(name: &str, files: &Files) -> Result<(Vec<File>, ProfileFile), Mistakes> {
    let chain = chain(name, files)?;
    let sources: Vec<Source<'_>> = chain.iter().map(|file| file.source()).collect();
    let schema = schemars::schema_for!(ProfileFile);
    let tables: Vec<Table> = chain.iter().map(|file| file.text.parse().unwrap_or_default()).collect();
    let alone = tables.len() == 1 && !is_base(&tables[0]);
    let mut findings = Findings::of_all(sources.clone());
    let part = of_a_part(schema.as_value());
    for (nth, source) in sources.iter().enumerate() {
        let schema = if alone { schema.as_value() } else { &part };
        findings.absorb(nth, source.shape(schema));
    }
    let joined = join(tables);
    if !alone && !is_base(&joined) {
        let required = schema.as_value().get("required").and_then(Value::as_array).into_iter().flatten();
        for key in required.filter_map(Value::as_str).filter(|key| !joined.contains_key(*key)) {
            findings.at("", format!("missing key `{key}`, here and in what this file extends"), None);
        }
    }
    if !alone
        && joined
            .get("usb_pairing")
            .and_then(toml::Value::as_table)
            .is_some_and(|it| !it.contains_key("mode"))
    {
        findings.at("/usb_pairing", "missing key `mode`, here and in what this file extends", None);
    }
    findings.finish()?;
    let read = toml::Value::Table(filled(joined)).try_into::<ProfileFile>();
    match read {
        Ok(file) => Ok((chain, file)),
        Err(error) => {
            let mut findings = Findings::of_all(sources);
            findings.at("", error.message().lines().next().unwrap_or_default(), None);
            Err(findings.into_mistakes())
        }
    }
}

/// The file and those it extends; a stranger and a circle are mistakes of the file that names them.
fn chain(name: &str, files: &Files) -> Result<Vec<File>, Mistakes> {
    let mut chain: Vec<(&str, &File)> = Vec::new();
    let mut next = name.to_owned();
    while let Some((name, file)) = files.get_key_value(&next) {
        chain.push((name, file));
        let Some(parent) = parent(file) else { break };
        let known: Vec<&str> = files.keys().map(String::as_str).filter(|it| it != name).collect();
        let mut findings = Findings::new(file.source());
        if let Some(first) = chain.iter().position(|(it, _)| *it == parent) {
            let way: Vec<&str> = chain[first..].iter().map(|(it, _)| *it).chain([parent.as_str()]).collect();
            let message = format!("the profiles extend each other in a circle: {}", way.join(" -> "));
            findings.error("extends-circle", "/extends", message, None);
        } else if !files.contains_key(&parent) {
            let message = format!("there is no profile `{parent}` to extend");
            findings.error("extends-unknown", "/extends", message, suggestion(&parent, &known));
        }
        findings.finish()?;
        next = parent;
    }
    Ok(chain.into_iter().map(|(_, file)| file.clone()).collect())
}

fn parent(file: &File) -> Option<String> {
    let table: Table = file.text.parse().ok()?;
    Some(table.get("extends")?.as_str()?.to_owned())
}

fn is_base(table: &Table) -> bool {
    table.get("base").and_then(toml::Value::as_bool).unwrap_or(false)
}

/// What the files say together, the first over the others.
fn join(tables: Vec<Table>) -> Table {
    let mut tables = tables.into_iter();
    let mut joined = tables.next().unwrap_or_default();
    for mut further in tables {
        for own in ["extends", "base", "description"] {
            further.remove(own);
        }
        fill(&mut joined, further);
    }
    joined
}

fn fill(over: &mut Table, under: Table) {
    for (key, value) in under {
        match (over.get_mut(&key), value) {
            (Some(toml::Value::Table(over)), toml::Value::Table(under)) => fill(over, under),
            (Some(_), _) => {}
            (None, value) => drop(over.insert(key, value)),
        }
    }
}

/// A base may be without what every profile must have; it is never sent.
fn filled(mut table: Table) -> Table {
    if is_base(&table) {
        for key in ["name", "url"] {
            table.entry(key).or_insert_with(|| toml::Value::String(String::new()));
        }
    }
    table
}

/// The shape of a file that another completes: only its version must be there.
fn of_a_part(schema: &Value) -> Value {
    let mut part = schema.clone();
    part["required"] = serde_json::json!(["version"]);
    if let Some(pairing) = part.pointer_mut("/$defs/UsbPairing").and_then(Value::as_object_mut) {
        pairing.remove("required");
    }
    part
}
