//! The keys of a format as a table for people, from the same schema that files are held against.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// A table in Markdown of every key of a format, with its type, whether it must be there, and what it means.
pub fn keys(schema: &Value) -> String {
    let mut page = "| key | type | meaning |\n|---|---|---|\n".to_owned();
    let mut writer = Writer { root: schema, page: &mut page };
    writer.table(schema, "");
    page
}

struct Writer<'a, 'p> {
    root: &'a Value,
    page: &'p mut String,
}

impl<'a> Writer<'a, '_> {
    /// A row for every key of a table, and for the keys of the tables in it.
    fn table(&mut self, table: &'a Value, path: &str) {
        let Some(properties) = table.get("properties").and_then(Value::as_object) else { return };
        let required: Vec<&str> = required(table);
        for (key, schema) in in_order(properties, &required) {
            self.key(&format!("{path}{key}"), schema, required.contains(&key.as_str()));
        }
    }

    fn key(&mut self, path: &str, schema: &'a Value, required: bool) {
        let inner = self.resolve(schema);
        if schema.get("deprecated") == Some(&Value::Bool(true)) {
            return;
        }
        let own = schema.get("description").or_else(|| inner.get("description"));
        let mut meaning = own.and_then(Value::as_str).unwrap_or_default().replace('\n', " ");
        if required {
            meaning = format!("**Required.** {meaning}");
        }
        let _ = writeln!(self.page, "| `{path}` | {} | {} |", self.kind(inner), meaning.trim());
        self.inside(path, inner);
    }

    /// The keys of what a key holds.
    fn inside(&mut self, path: &str, inner: &'a Value) {
        if inner.get("properties").is_some() {
            self.table(inner, &format!("{path}."));
        }
        if let Some(rest) = inner.get("additionalProperties").filter(|rest| rest.is_object()) {
            let rest = self.resolve(rest);
            self.variants_or_table(&format!("{path}.NAME"), rest);
        }
        if let Some(items) = inner.get("items") {
            self.variants_or_table(&format!("{path}[]"), self.resolve(items));
        }
        for branch in tables_of(inner) {
            self.table(self.resolve(branch), &format!("{path}."));
        }
    }

    fn variants_or_table(&mut self, path: &str, schema: &'a Value) {
        let Some(variants) = schema.get("oneOf").and_then(Value::as_array) else {
            return self.table(schema, &format!("{path}."));
        };
        let variants: Vec<&Value> = variants.iter().map(|variant| self.resolve(variant)).collect();
        for variant in variants {
            let Some(properties) = variant.get("properties").and_then(Value::as_object) else { continue };
            let meaning = variant["description"].as_str().unwrap_or_default().replace('\n', " ");
            let Some((tag, value)) = tag(properties) else {
                // The one key of the table says which it is.
                for (key, schema) in properties {
                    let (path, inner) = (format!("{path}.{key}"), self.resolve(schema));
                    let _ = writeln!(self.page, "| `{path}` | {} | {meaning} |", self.kind(inner));
                    self.inside(&path, inner);
                }
                continue;
            };
            let _ =
                writeln!(self.page, "| **`{path}`** with **`{tag} = \"{value}\"`** | table | {meaning} |");
            let required = required(variant);
            for (key, schema) in in_order(properties, &required).into_iter().filter(|(key, _)| *key != tag) {
                self.key(&format!("{path}.{key}"), schema, required.contains(&key.as_str()));
            }
        }
    }

    /// What a value may be, in words.
    fn kind(&self, schema: &Value) -> String {
        if let Some(value) = schema.get("const") {
            return format!("`{value}`");
        }
        if let Some(words) = words(schema) {
            return words.join(", ");
        }
        let branches = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
        if let Some(branches) = branches {
            let kinds = branches.iter().filter(|branch| branch["type"] != "null");
            let mut kinds: Vec<String> = kinds.map(|branch| self.kind(self.resolve(branch))).collect();
            kinds.dedup();
            return kinds.join(" or ");
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => kinds.first().and_then(Value::as_str),
            other => other.as_str(),
        };
        match kind {
            Some("boolean") => "true or false".to_owned(),
            Some("string") => "text".to_owned(),
            Some("integer") => "number".to_owned(),
            Some("array") => format!("list of {}", self.kind(self.resolve(&schema["items"]))),
            Some("object") if schema.get("additionalProperties").is_some_and(Value::is_object) => {
                "tables by name".to_owned()
            }
            Some("object") => "table".to_owned(),
            _ => "anything".to_owned(),
        }
    }

    /// What a reference stands for, and what is left of a choice between a value and nothing.
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        if let Some(to) = schema.get("$ref").and_then(Value::as_str) {
            return self.root.pointer(to.trim_start_matches('#')).map_or(schema, |it| self.resolve(it));
        }
        let branches = schema.get("anyOf").and_then(Value::as_array);
        let other: Vec<&Value> =
            branches.into_iter().flatten().filter(|branch| branch["type"] != "null").collect();
        if let [only] = other.as_slice() { self.resolve(only) } else { schema }
    }
}

fn required(table: &Value) -> Vec<&str> {
    table.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The keys as a reader wants them: the version, what must be there, then the rest.
fn in_order<'a>(properties: &'a Map<String, Value>, required: &[&str]) -> Vec<(&'a String, &'a Value)> {
    let mut keys: Vec<(&String, &Value)> = properties.iter().collect();
    keys.sort_by_key(|(key, schema)| {
        let inner = usize::from(schema.get("type").is_some_and(|kind| kind == "array" || kind == "object"));
        (*key != "version", !required.contains(&key.as_str()) || inner == 1, inner)
    });
    keys
}

/// The words a value may be, each as it is written.
fn words(schema: &Value) -> Option<Vec<String>> {
    let quoted = |value: &Value| value.as_str().map(|word| format!("`\"{word}\"`"));
    if let Some(list) = schema.get("enum").and_then(Value::as_array) {
        return list.iter().map(quoted).collect();
    }
    let list = schema.get("oneOf").and_then(Value::as_array)?;
    list.iter().map(|branch| branch.get("const").and_then(quoted)).collect()
}

/// The alternatives of a choice that are tables.
fn tables_of(schema: &Value) -> Vec<&Value> {
    let branches = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
    let is_table = |branch: &&Value| branch.get("$ref").is_some() || branch.get("properties").is_some();
    branches.into_iter().flatten().filter(is_table).collect()
}

/// The key that tells tables of several kinds apart, and its value.
fn tag(properties: &Map<String, Value>) -> Option<(&str, &str)> {
    properties.iter().find_map(|(key, schema)| Some((key.as_str(), schema.get("const")?.as_str()?)))
}
