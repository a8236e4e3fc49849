//! The five members of a server token, as types that do not print themselves.

use jiff::Timestamp;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a server token holds. All four texts are opaque; their lengths are Apple's business.
/// (Apple: "Examining server tokens".)
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Names the device management service and the person who made the token.
    pub consumer_key: SecretString,
    /// Half of the key that signs.
    pub consumer_secret: SecretString,
    /// Names this token.
    pub access_token: SecretString,
    /// The other half of the key that signs.
    pub access_secret: SecretString,
    /// When Apple stops honouring the token, one year after it was made.
    pub access_token_expiry: Timestamp,
}

/// Why some JSON is not a server token. Says which members, never what they hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCredentials {
    /// Not a JSON object at all.
    #[error("it holds no JSON object")]
    NotJson,
    /// Members are missing, empty or no text.
    #[error("it lacks {}", .0.join(", "))]
    Missing(Vec<&'static str>),
    /// The expiry is there but no time.
    #[error("its access_token_expiry is not a time")]
    BadExpiry,
}

impl Credentials {
    /// The token as JSON, in the clear, and wiped when dropped. For sealing, and for the one command that is
    /// asked for it by name.
    pub fn expose_everything_as_json(&self) -> Zeroizing<Vec<u8>> {
        #[derive(Serialize)]
        struct Plain<'a> {
            consumer_key: &'a str,
            consumer_secret: &'a str,
            access_token: &'a str,
            access_secret: &'a str,
            access_token_expiry: Timestamp,
        }
        let plain = Plain {
            consumer_key: self.consumer_key.expose_secret(),
            consumer_secret: self.consumer_secret.expose_secret(),
            access_token: self.access_token.expose_secret(),
            access_secret: self.access_secret.expose_secret(),
            access_token_expiry: self.access_token_expiry,
        };
        // Large enough from the start: a vector that grows leaves copies behind.
        let mut json = Zeroizing::new(Vec::with_capacity(4096));
        serde_json::to_writer(&mut *json, &plain).expect("texts and a time always make JSON");
        json
    }

    /// Whether both are one token, made at one time.
    pub fn is_the_same(&self, other: &Self) -> bool {
        let all = |it: &Self| {
            [&it.consumer_key, &it.consumer_secret, &it.access_token, &it.access_secret].map(Clone::clone)
        };
        let same =
            |(ours, theirs): (SecretString, SecretString)| ours.expose_secret() == theirs.expose_secret();
        all(self).into_iter().zip(all(other)).all(same)
            && self.access_token_expiry == other.access_token_expiry
    }

    /// Back from JSON: Apple's, or what was sealed. Unknown members are ignored.
    pub fn from_json(json: &[u8]) -> Result<Self, NotCredentials> {
        #[derive(Deserialize)]
        struct Plain {
            consumer_key: Option<Value>,
            consumer_secret: Option<Value>,
            access_token: Option<Value>,
            access_secret: Option<Value>,
            access_token_expiry: Option<Value>,
        }
        // serde's own words would quote the value.
        let plain: Plain = serde_json::from_slice(json).map_err(|_| NotCredentials::NotJson)?;
        let mut missing = Vec::new();
        let mut take = |name, value| match value {
            Some(Value::String(text)) if !text.is_empty() => SecretString::from(text),
            _ => {
                missing.push(name);
                SecretString::default()
            }
        };
        let consumer_key = take("consumer_key", plain.consumer_key);
        let consumer_secret = take("consumer_secret", plain.consumer_secret);
        let access_token = take("access_token", plain.access_token);
        let access_secret = take("access_secret", plain.access_secret);
        let expiry = take("access_token_expiry", plain.access_token_expiry);
        if !missing.is_empty() {
            return Err(NotCredentials::Missing(missing));
        }
        let access_token_expiry = expiry.expose_secret().parse().map_err(|_| NotCredentials::BadExpiry)?;
        Ok(Self { consumer_key, consumer_secret, access_token, access_secret, access_token_expiry })
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(json: &str, expected: Expect) {
        let found = match Credentials::from_json(json.as_bytes()) {
            Ok(credentials) => {
                let json = credentials.expose_everything_as_json();
                let again = Credentials::from_json(&json).unwrap();
                assert_eq!(*again.expose_everything_as_json(), *json);
                format!("{credentials:#?}")
            }
            Err(error) => format!("error: {error}"),
        };
        expected.assert_eq(&found);
    }

    #[test]
    fn a_token_survives_being_sealed_and_is_not_printed() {
        check(
            r#"{"consumer_key":"CK_1","consumer_secret":"CS_2","access_token":"AT_3","access_secret":"AS_4",
                "access_token_expiry":"2027-01-17T11:02:21Z","new":1}"#,
            expect![[r#"
                Credentials {
                    consumer_key: SecretBox<str>([REDACTED]),
                    consumer_secret: SecretBox<str>([REDACTED]),
                    access_token: SecretBox<str>([REDACTED]),
                    access_secret: SecretBox<str>([REDACTED]),
                    access_token_expiry: 2027-01-17T11:02:21Z,
                }"#]],
        );
    }

    #[test]
    fn missing_members_are_named_together() {
        check(
            r#"{"consumer_key":"CK_1","consumer_secret":"","access_token":null,"access_secret":["AS_4"]}"#,
            expect!["error: it lacks consumer_secret, access_token, access_secret, access_token_expiry"],
        );
    }

    #[test]
    fn an_expiry_must_be_a_time() {
        check(
            r#"{"consumer_key":"1","consumer_secret":"2","access_token":"3","access_secret":"4","access_token_expiry":"soon"}"#,
            expect!["error: its access_token_expiry is not a time"],
        );
    }

    #[test]
    fn what_is_not_json_is_not_quoted() {
        check("CS_secret", expect!["error: it holds no JSON object"]);
        check(r#"["CS_secret"]"#, expect!["error: it holds no JSON object"]);
    }
}
