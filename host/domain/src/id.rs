//! The names of things, as types.
//!
//! Each is made in one place, by parsing; after that the type is the proof that the text is well
//! formed, and a token's name cannot be handed to what wants a profile's.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Why a text is not the kind of name it was meant to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind}: {rule}")]
pub struct BadName {
    text: String,
    kind: &'static str,
    rule: &'static str,
}

/// Makes an id type: a text behind a private field, parsed by `$check`.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                let check: fn(&str) -> Option<String> = $check;
                check(text)
                    .map(Self)
                    .ok_or_else(|| BadName { text: text.to_owned(), kind: $kind, rule: $rule })
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "description": concat!("A ", $kind, ": ", $rule, ".") })
            }

            fn inline_schema() -> bool {
                true
            }
        }
    };
}

name! {
    /// A device's serial number: trimmed, upper-case, never empty.
    SerialNumber, "serial number", "letters and digits, at most 64",
    |text| {
        let text = text.trim();
        let fits = !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| text.to_ascii_uppercase())
    }
}

name! {
    /// What Apple calls a defined profile: 32 upper-case hexadecimal digits, without dashes.
    ProfileId, "profile id of Apple", "32 hexadecimal digits, dashes allowed",
    |text| {
        let text: String = text.trim().chars().filter(|c| *c != '-').collect();
        let fits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        fits.then(|| text.to_ascii_uppercase())
    }
}

name! {
    /// Our label for a server token.
    TokenName, "token name", "lower-case letters, digits, `-`, `_` and `.`, starting with a letter or digit, at most 64", label
}

name! {
    /// Our label for an enrolment profile: the name of its file in `profiles/` without `.toml`.
    ProfileName, "profile name", "lower-case letters, digits, `-`, `_` and `.`, starting with a letter or digit, at most 64", label
}

name! {
    /// What the operator calls a plugin in `deputy.toml`.
    PluginName, "plugin name", "lower-case letters, digits, `-`, `_` and `.`, starting with a letter or digit, at most 64", label
}

name! {
    /// What the operator calls a table in `deputy.toml`.
    TableName, "table name", "lower-case letters, digits, `-`, `_` and `.`, starting with a letter or digit, at most 64", label
}

name! {
    /// What a workflow calls itself.
    WorkflowName, "workflow name", "lower-case letters, digits, `-`, `_` and `.`, starting with a letter or digit, at most 64", label
}

name! {
    /// What a workflow calls one of its steps.
    StepId, "step id", "lower-case letters, digits, `-`, `_` and `.`, starting with a letter or digit, at most 64", label
}

name! {
    /// What the operator calls a channel in `deputy.toml`.
    ChannelName, "channel name", "lower-case letters, digits, `-`, `_` and `.`, starting with a letter or digit, at most 64", label
}

name! {
    /// One execution: when it began, in UTC, and a few random letters. Sorts by time, can be
    /// read aloud, and does not depend on the database it was made in.
    RunId, "run id", "like 20260109-091320-k3f9wq", moment
}

name! {
    /// A message to people: when it was written, in UTC, and a few random letters, as for a run.
    MessageId, "message id", "like 20260109-091320-k3f9wq", moment
}

name! {
    /// A SHA-256 digest: 64 lower-case hexadecimal digits.
    Digest, "SHA-256 digest", "64 hexadecimal digits",
    |text| {
        let text = text.trim();
        let fits = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        fits.then(|| text.to_ascii_lowercase())
    }
}

impl RunId {
    /// The id of a run that begins now. `entropy` supplies the letters at the end.
    pub fn new(now: jiff::Timestamp, entropy: u32) -> Self {
        Self(named_after(now, entropy))
    }

    /// When it began, to the second.
    pub fn began(&self) -> Option<jiff::Timestamp> {
        let moment = self.0.get(..15)?;
        let moment = jiff::civil::DateTime::strptime("%Y%m%d-%H%M%S", moment).ok()?;
        Some(moment.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    }
}

impl MessageId {
    /// The id of a message written now. `entropy` supplies the letters at the end.
    pub fn new(now: jiff::Timestamp, entropy: u32) -> Self {
        Self(named_after(now, entropy))
    }
}

/// A moment, and letters that tell apart what began in the same second.
fn named_after(now: jiff::Timestamp, entropy: u32) -> String {
    // No vowels and no look-alikes: the letters spell nothing and survive being read out.
    const LETTERS: &[u8; 24] = b"bcdfghjkmnpqrstvwxz23456";
    let mut rest = entropy as usize;
    let letters: String = std::iter::repeat_with(|| {
        let letter = LETTERS[rest % LETTERS.len()];
        rest /= LETTERS.len();
        char::from(letter)
    })
    .take(6)
    .collect();
    format!("{}-{letters}", now.strftime("%Y%m%d-%H%M%S"))
}

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        use fmt::Write as _;
        use sha2::Digest as _;
        let mut text = String::with_capacity(64);
        for byte in sha2::Sha256::digest(bytes) {
            write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        }
        Self(text)
    }

    /// Enough of it to tell two apart on a screen.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

/// The rule for what is named after the moment it was made in.
fn moment(text: &str) -> Option<String> {
    let text = text.trim();
    let mut parts = text.split('-');
    let digits = |part: Option<&str>, length| {
        part.is_some_and(|part| part.len() == length && part.bytes().all(|b| b.is_ascii_digit()))
    };
    let fits = digits(parts.next(), 8)
        && digits(parts.next(), 6)
        // Four of them before there were six.
        && parts.next().is_some_and(|part| matches!(part.len(), 4 | 6) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
        && parts.next().is_none();
    fits.then(|| text.to_ascii_lowercase())
}

/// The rule for every label an operator chooses: safe in a file name, a URL and a shell.
fn label(text: &str) -> Option<String> {
    let fits = !text.is_empty()
        && text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b));
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check<T: FromStr<Err = BadName> + fmt::Display>(text: &str, expected: Expect) {
        let found = match text.parse::<T>() {
            Ok(name) => name.to_string(),
            Err(error) => format!("error: {error}"),
        };
        expected.assert_eq(&found);
    }

    #[test]
    fn a_serial_number_is_trimmed_and_upper_case() {
        check::<SerialNumber>(" c02zq1xamd6t\n", expect!["C02ZQ1XAMD6T"]);
    }

    #[test]
    fn a_serial_number_is_never_empty() {
        check::<SerialNumber>(
            "  ",
            expect!["error: `  ` is not a serial number: letters and digits, at most 64"],
        );
    }

    #[test]
    fn a_profile_id_is_the_same_with_and_without_dashes() {
        check::<ProfileId>(
            "7c1e88d0-a4b9-4b6e-9c3f-2a5d6e7f8091",
            expect!["7C1E88D0A4B94B6E9C3F2A5D6E7F8091"],
        );
    }

    #[test]
    fn a_label_cannot_climb_out_of_its_folder() {
        check::<ProfileName>(
            "../secret",
            expect![
                "error: `../secret` is not a profile name: lower-case letters, digits, `-`, `_` and `.`, starting with a letter or digit, at most 64"
            ],
        );
    }

    #[test]
    fn a_run_id_says_when_the_run_began() {
        let id = RunId::new("2026-01-09T09:13:20Z".parse().unwrap(), 123_456);
        check::<RunId>(id.as_str(), expect!["20260109-091320-bm5mbb"]);
        assert_eq!(id.began(), "2026-01-09T09:13:20Z".parse().ok());
    }
}
