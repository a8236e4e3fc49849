//! What is known of a token that can end or go wrong, as values with times.
//!
//! Everything told of a token is told from this: by `token show`, by `status`, by whoever reminds
//! people. Whoever asks Apple says what was [`Heard`]; what keeps us from Apple says nothing about
//! the token and changes nothing here.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::token::Token;

/// Everything known of one token, besides its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenFacts {
    /// The token in use.
    pub token: Token,
    /// The certificate it was asked for with. None if it was moved in without one.
    pub certificate: Option<Certificate>,
    /// Keys that were made and that no imported token fits yet, newest first.
    pub pending: Vec<PendingKey>,
    /// The token before it, kept until this one has worked in a run or a check.
    pub previous: Option<Previous>,
    /// What Apple said of it last.
    pub standing: Standing,
}

/// A certificate made for Apple's portal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// The name a person sees in it.
    pub common_name: String,
    /// Hexadecimal; a token file names its certificate by it.
    pub serial_number: String,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
}

/// A key that waits for its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PendingKey {
    /// When it was made.
    pub requested_at: Timestamp,
    /// Its certificate.
    pub certificate: Certificate,
}

/// A token that another has taken the place of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Previous {
    /// Its own end.
    pub expires_at: Timestamp,
    /// When it was imported.
    pub imported_at: Timestamp,
    /// When it was replaced.
    pub replaced_at: Timestamp,
    /// The Apple Account that made it.
    pub admin_id: String,
}

/// What Apple said of a token, and since when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// When a session with it last worked.
    pub worked_at: Option<Timestamp>,
    /// That Apple refuses it, if it did when it was last asked.
    pub refusal: Option<Refusal>,
}

/// That Apple refuses a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Why.
    pub why: Why,
    /// When that was first heard without another answer since.
    pub since: Timestamp,
    /// When it was last heard.
    pub seen_at: Timestamp,
}

/// Why Apple refuses a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The organisation has not accepted Apple's current terms.
    TermsNotSigned,
    /// Revoked, or replaced by one downloaded later.
    Rejected,
    /// Its year is over.
    Expired,
    /// Who made it has left, or may no longer use it.
    CreatorGone,
    /// The server is gone from the portal.
    ServerInactive,
    /// The session Apple had just given is refused: another program may use the token.
    SessionRefused,
    /// It is a token of another server than the one it was imported for.
    OtherServer,
}

/// What a call to Apple says about the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Apple took it.
    Worked,
    /// Apple refused it.
    Refused(Why),
}

/// Something about a token that ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct End {
    /// What.
    pub what: What,
    /// When.
    pub at: Timestamp,
}

/// What can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// The token in use.
    Token,
    /// The certificate it was asked for with.
    Certificate,
    /// The certificate of a request that is still open.
    PendingCertificate,
}

impl Standing {
    /// The standing after Apple was asked once more.
    #[must_use]
    pub fn after(self, heard: Heard, now: Timestamp) -> Self {
        match heard {
            Heard::Worked => Self { worked_at: Some(now), refusal: None },
            Heard::Refused(why) => {
                let same = self.refusal.filter(|refusal| refusal.why == why);
                let since = same.map_or(now, |refusal| refusal.since);
                Self { refusal: Some(Refusal { why, since, seen_at: now }), ..self }
            }
        }
    }
}

impl TokenFacts {
    /// All that ends, the soonest first.
    pub fn ends(&self) -> Vec<End> {
        let mut ends = vec![End { what: What::Token, at: self.token.expires_at }];
        ends.extend(self.certificate.iter().map(|it| End { what: What::Certificate, at: it.not_after }));
        let pending =
            |key: &PendingKey| End { what: What::PendingCertificate, at: key.certificate.not_after };
        ends.extend(self.pending.iter().map(pending));
        ends.sort_by_key(|end| end.at);
        ends
    }
}

impl Why {
    /// All there are.
    pub const ALL: [Self; 7] = [
        Self::TermsNotSigned,
        Self::Rejected,
        Self::Expired,
        Self::CreatorGone,
        Self::ServerInactive,
        Self::SessionRefused,
        Self::OtherServer,
    ];

    /// One word for machines; the same that `token check` says.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TermsNotSigned => "terms-not-signed",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::CreatorGone => "creator-gone",
            Self::ServerInactive => "server-inactive",
            Self::SessionRefused => "session-refused",
            Self::OtherServer => "other-server",
        }
    }

    /// The same for people, to be followed by since when.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::TermsNotSigned => "Apple's new terms are not accepted",
            Self::Rejected => "Apple does not accept the token",
            Self::Expired => "Apple says that the token has expired",
            Self::CreatorGone => "who made the token is gone, or may no longer use it",
            Self::ServerInactive => "the server is gone from Apple's portal",
            Self::SessionRefused => "Apple refuses the sessions it gives",
            Self::OtherServer => "Apple answers for another server",
        }
    }
}

impl std::str::FromStr for Why {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|why| why.as_str() == text).ok_or(())
    }
}

impl What {
    /// What it is, in words.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Token => "the token",
            Self::Certificate => "the certificate of the token in use",
            Self::PendingCertificate => "the certificate of an open request",
        }
    }

    /// What its end means.
    pub fn consequence(self) -> &'static str {
        match self {
            Self::Token => {
                "from then on new devices get no enrolment profile; devices already enrolled are not affected"
            }
            Self::Certificate => "the token goes on; make a new request for the next one",
            Self::PendingCertificate => "a token downloaded for it before can still be imported",
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// What was heard on each day, such as `1 worked`; then the standing after each.
    #[track_caller]
    fn check(heard: &str, expected: Expect) {
        let day = |number: i64| Timestamp::from_second(number * 86_400).unwrap();
        let days = |time: Timestamp| time.as_second() / 86_400;
        let mut standing = Standing::default();
        let mut found = String::new();
        for line in heard.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (number, what) = line.split_once(' ').unwrap();
            let heard = match what {
                "worked" => Heard::Worked,
                why => Heard::Refused(why.parse().unwrap()),
            };
            standing = standing.after(heard, day(number.parse().unwrap()));
            let worked = standing.worked_at.map_or("never".to_owned(), |at| days(at).to_string());
            let refusal = standing.refusal.as_ref().map_or("good".to_owned(), |it| {
                format!("{} since {}, seen {}", it.why.as_str(), days(it.since), days(it.seen_at))
            });
            found += &format!("{line}: {refusal}; worked {worked}\n");
        }
        expected.assert_eq(&found);
    }

    #[test]
    fn a_refusal_keeps_its_beginning_until_apple_says_something_else() {
        check(
            "1 worked
             2 terms-not-signed
             3 terms-not-signed
             4 rejected
             5 worked
             6 rejected",
            expect![[r#"
                1 worked: good; worked 1
                2 terms-not-signed: terms-not-signed since 2, seen 2; worked 1
                3 terms-not-signed: terms-not-signed since 2, seen 3; worked 1
                4 rejected: rejected since 4, seen 4; worked 1
                5 worked: good; worked 5
                6 rejected: rejected since 6, seen 6; worked 5
            "#]],
        );
    }

    #[test]
    fn every_reason_has_one_word_that_reads_back() {
        let words: Vec<&str> = Why::ALL.iter().map(|why| why.as_str()).collect();
        assert!(Why::ALL.iter().all(|why| why.as_str().parse() == Ok(*why)));
        let json = |why: &Why| serde_json::to_value(why).unwrap().as_str().unwrap().to_owned();
        assert_eq!(Why::ALL.iter().map(json).collect::<Vec<_>>(), words);
    }

    #[test]
    fn what_ends_comes_in_the_order_in_which_it_ends() {
        let at = |days: i64| Timestamp::from_second(days * 86_400).unwrap();
        let certificate = |until| Certificate {
            common_name: "deputy emea".into(),
            serial_number: "4F".into(),
            not_before: at(0),
            not_after: at(until),
        };
        let facts = TokenFacts {
            token: Token {
                name: "emea".parse().unwrap(),
                server_name: "Orchard MDM".into(),
                server_uuid: "5D3A9C0E7B1F4482A6E0C1D2F3A4B5C6".into(),
                org_name: "Orchard Tools".into(),
                org_id: None,
                admin_id: "admin@orchard.example".into(),
                expires_at: at(365),
                imported_at: at(1),
            },
            certificate: Some(certificate(364)),
            pending: vec![PendingKey { requested_at: at(300), certificate: certificate(665) }],
            previous: None,
            standing: Standing::default(),
        };
        let found: Vec<String> = facts
            .ends()
            .iter()
            .map(|end| format!("{}: {}", end.at.as_second() / 86_400, end.what.in_words()))
            .collect();
        expect![[r#"
            364: the certificate of the token in use
            365: the token
            665: the certificate of an open request"#]]
        .assert_eq(&found.join("\n"));
    }
}
