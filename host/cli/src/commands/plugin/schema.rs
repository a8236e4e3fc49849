//! The JSON Schema that a policy publishes for its settings: whether it is one, and what it says of some.

use boon::{Compiler, Draft, Schemas, UrlLoader, ValidationError};
use serde_json::Value;

/// The name of the schema while it is looked at; nothing is read from there.
const NAME: &str = "policy://itself/settings.json";

/// What the schema finds wrong with these settings, a line each; an error if it is no JSON Schema.
pub(super) fn problems(schema: &Value, settings: &Value) -> Result<Vec<String>, String> {
    let mut schemas = Schemas::new();
    let mut compiler = Compiler::new();
    compiler.set_default_draft(Draft::V2020_12);
    compiler.use_loader(Box::new(Nowhere));
    compiler.add_resource(NAME, schema.clone()).map_err(|error| one_line(&error.to_string()))?;
    let compiled = compiler.compile(NAME, &mut schemas).map_err(|error| one_line(&error.to_string()))?;
    match schemas.validate(settings, compiled) {
        Ok(()) => Ok(Vec::new()),
        Err(error) => {
            let mut list = Vec::new();
            leaves(&error, &mut list);
            Ok(list)
        }
    }
}

/// A schema that refers to others would have to be fetched; a policy brings everything itself.
struct Nowhere;

impl UrlLoader for Nowhere {
    fn load(&self, url: &str) -> Result<Value, Box<dyn std::error::Error>> {
        Err(format!("{url} is not part of it").into())
    }
}

/// What is really wrong, without the rules that contain it.
fn leaves(error: &ValidationError<'_, '_>, list: &mut Vec<String>) {
    if error.causes.is_empty() {
        let at = error.instance_location.to_string();
        let at = if at.is_empty() { "/".to_owned() } else { at };
        list.push(one_line(&format!("{at}: {}", error.kind)));
    }
    for cause in &error.causes {
        leaves(cause, list);
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(schema: Value, settings: Value, expected: Expect) {
        let text = match problems(&schema, &settings) {
            Ok(problems) => problems.join("\n"),
            Err(why) => format!("no schema: {why}"),
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn settings_that_fit_have_no_problems() {
        check(json!({ "type": "object" }), json!({ "a": 1 }), expect![""]);
    }

    #[test]
    fn every_problem_is_told_with_its_place() {
        let schema = json!({
            "properties": { "a": { "type": "string" }, "b": { "$ref": "#/$defs/few" } },
            "additionalProperties": false, "$defs": { "few": { "maximum": 3 } },
        });
        check(
            schema,
            json!({ "a": 1, "b": 7, "c": 0 }),
            expect![[r#"
            /a: want string, but got number
            /b: must be <=3, but got 7
            /: additionalProperties 'c' not allowed"#]],
        );
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        check(
            json!({ "type": "strign" }),
            json!({}),
            expect!["no schema: policy://itself/settings.json# is not valid against metaschema"],
        );
    }

    #[test]
    fn a_schema_cannot_reach_out() {
        check(
            json!({ "$ref": "https://example.com/schema.json" }),
            json!({}),
            expect!["no schema: error loading https://example.com/schema.json"],
        );
        check(
            json!({ "$ref": "file:///etc/passwd" }),
            json!({}),
            expect!["no schema: error loading file:///etc/passwd"],
        );
    }
}
