//! The key `when` of a step, as it is typed: a word, or a table that names steps.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Condition, Was, When};
use crate::document::Findings;

/// `when` of a step, with the words that a step of its kind takes.
#[derive(Clone, Debug)]
pub(super) enum WhenValue<W> {
    /// A word.
    Word(W),
    /// What was to become of which steps.
    Steps(WhenTable),
}

/// The words that `when` may be, but for `notify`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Word {
    /// Whatever came before.
    Always,
    /// No step before it broke off.
    Succeeded,
    /// No step before it broke off, and one found or made something different.
    Changed,
    /// Something went wrong in a step before it.
    Failed,
    /// A step before it was refused, or cannot go on without somebody.
    NeedsAttention,
}

/// Steps before this one, by `id`. One of the keys.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WhenTable {
    /// One of these came to its end.
    #[serde(default)]
    succeeded: Option<Ids>,
    /// One of these found or made something different.
    #[serde(default)]
    changed: Option<Ids>,
    /// In one of these something went wrong.
    #[serde(default)]
    failed: Option<Ids>,
    /// One of these was refused, or cannot go on without somebody.
    #[serde(default, rename = "needs-attention")]
    needs_attention: Option<Ids>,
}

/// An `id`, or several.
#[derive(Clone, Debug)]
struct Ids(Vec<String>, bool);

impl Word {
    fn meant(self) -> Condition {
        match self {
            Self::Always => Condition::Always,
            Self::Succeeded => Condition::Succeeded,
            Self::Changed => Condition::Changed,
            Self::Failed => Condition::Failed,
            Self::NeedsAttention => Condition::NeedsAttention,
        }
    }
}

impl WhenValue<Word> {
    /// The condition that is typed at `at`.
    pub(super) fn meant(&self, at: &str, findings: &mut Findings<'_>) -> Option<Condition> {
        match self {
            Self::Word(word) => Some(word.meant()),
            Self::Steps(table) => table.meant(at, findings),
        }
    }
}

impl WhenValue<When> {
    /// Which runs are told.
    pub(super) fn runs(&self) -> When {
        match self {
            Self::Word(when) => *when,
            Self::Steps(_) => When::Always,
        }
    }

    /// Of those, under which condition.
    pub(super) fn condition(&self, at: &str, findings: &mut Findings<'_>) -> Option<Condition> {
        match self {
            Self::Word(_) => None,
            Self::Steps(table) => table.meant(at, findings),
        }
    }
}

impl WhenTable {
    fn meant(&self, at: &str, findings: &mut Findings<'_>) -> Option<Condition> {
        let keys = [
            (Was::Succeeded, &self.succeeded),
            (Was::Changed, &self.changed),
            (Was::Failed, &self.failed),
            (Was::NeedsAttention, &self.needs_attention),
        ];
        let mut typed = keys.into_iter().filter_map(|(was, ids)| Some((was, ids.as_ref()?)));
        match (typed.next(), typed.next()) {
            (Some((was, Ids(ids, listed))), None) => {
                let at = format!("{at}/{}", was.as_str());
                if ids.is_empty() {
                    findings.at(&at, "must name at least one step", None);
                }
                let ids = match listed {
                    true => findings.parse_all(&at, ids),
                    false => ids.iter().filter_map(|id| findings.parse(&at, id)).collect(),
                };
                Some(Condition::Of(was, ids))
            }
            // Whatever was meant by a key that does not fit has been told.
            _ if findings.lacks_some_of(at) => None,
            _ => {
                let help =
                    "one of `succeeded`, `changed`, `failed` and `needs-attention`, and the `id` of a step";
                findings.at(at, "must have one key", Some(help.to_owned()));
                None
            }
        }
    }
}

impl<'de, W: Deserialize<'de>> Deserialize<'de> for WhenValue<W> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<W>(std::marker::PhantomData<W>);

        impl<'de, W: Deserialize<'de>> Visitor<'de> for Either<W> {
            type Value = WhenValue<W>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word or a table")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                W::deserialize(de::value::StrDeserializer::new(text)).map(WhenValue::Word)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let table = de::value::MapAccessDeserializer::new(map);
                WhenTable::deserialize(table).map(WhenValue::Steps)
            }
        }

        deserializer.deserialize_any(Either(std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for Ids {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrSeveral;

        impl<'de> Visitor<'de> for OneOrSeveral {
            type Value = Ids;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id or a list of them")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Ids, E> {
                Ok(Ids(vec![text.to_owned()], false))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Ids, A::Error> {
                let list = de::value::SeqAccessDeserializer::new(list);
                Ok(Ids(Vec::deserialize(list)?, true))
            }
        }

        deserializer.deserialize_any(OneOrSeveral)
    }
}

impl<W: JsonSchema> JsonSchema for WhenValue<W> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}OfSteps", W::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (word, table) = (generator.subschema_for::<W>(), generator.subschema_for::<WhenTable>());
        json_schema!({ "anyOf": [word, table] })
    }

    fn inline_schema() -> bool {
        true
    }
}

impl JsonSchema for Ids {
    fn schema_name() -> Cow<'static, str> {
        "Ids".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "string" },
            { "type": "array", "items": { "type": "string" }, "minItems": 1 },
        ] })
    }

    fn inline_schema() -> bool {
        true
    }
}
