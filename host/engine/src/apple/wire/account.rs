//! What Apple says of the server behind a token, and of its organisation.

use serde_json::{Map, Value};

use super::object;

/// The answer to `GET /account`. Apple sends most of it only from protocol version 3 on, and may
/// leave out any of it. (Apple: "AccountDetail".)
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The name given in the portal.
    pub server_name: Option<String>,
    /// Identifies the server for good, also across renewals of its token: upper case, no dashes.
    pub server_uuid: Option<String>,
    /// The Apple Account that made the token in use, and that should renew it.
    pub admin_id: Option<String>,
    /// The organisation.
    pub org_name: Option<String>,
    /// Apple's number for the organisation.
    pub org_id: Option<String>,
    /// Its e-mail address.
    pub org_email: Option<String>,
    /// Its telephone number.
    pub org_phone: Option<String>,
    /// Its postal address.
    pub org_address: Option<String>,
    /// `org` for a company, `edu` for a school.
    pub org_type: Option<String>,
    /// `v1` or `v2`: the age of its portal.
    pub org_version: Option<String>,
    /// The largest page that both fetch and sync allow. Without it: 100.
    pub page_limit: Option<u32>,
    /// How many devices one assignment may name, should Apple ever say so. Without it: 1,000.
    pub assign_limit: Option<u32>,
}

pub(in crate::apple) fn account(body: &[u8]) -> Result<Account, String> {
    let answer = object(body)?;
    let text = |name| text(&answer, name);
    let account = Account {
        server_name: text("server_name"),
        server_uuid: text("server_uuid").map(|id| id.replace('-', "").to_ascii_uppercase()),
        // The old name of the same field.
        admin_id: text("admin_id").or_else(|| text("facilitator_id")),
        org_name: text("org_name"),
        org_id: text("org_id"),
        org_email: text("org_email"),
        org_phone: text("org_phone"),
        org_address: text("org_address"),
        org_type: text("org_type"),
        org_version: text("org_version"),
        page_limit: limit(&answer, &["/server/devices", "/devices/sync"]),
        assign_limit: limit(&answer, &["/profile/devices"]),
    };
    if account.server_uuid.is_none() && account.server_name.is_none() && account.admin_id.is_none() {
        return Err("it names neither the server nor the person behind the token".to_owned());
    }
    Ok(account)
}

fn text(answer: &Map<String, Value>, name: &str) -> Option<String> {
    match answer.get(name)? {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The smallest of the limits that these have.
fn limit(answer: &Map<String, Value>, uris: &[&str]) -> Option<u32> {
    let maximum = |url: &Value| match &url["limit"]["maximum"] {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    answer
        .get("urls")?
        .as_array()?
        .iter()
        .filter(|url| url["uri"].as_str().is_some_and(|uri| uris.contains(&uri)))
        .filter_map(maximum)
        .filter(|limit| *limit > 0)
        .min()
        .map(|limit| u32::try_from(limit).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(body: &str, expected: Expect) {
        let found = match account(body.as_bytes()) {
            Ok(account) => format!("{account:#?}"),
            Err(why) => format!("error: {why}"),
        };
        expected.assert_eq(&found);
    }

    #[test]
    fn an_account_is_read_whole() {
        check(
            r#"{"server_name":"Orchard MDM","server_uuid":"5d3a9c0e-7b1f-4482-a6e0-c1d2f3a4b5c6",
                "admin_id":"enroll-admin@orchard.example","facilitator_id":"enroll-admin@orchard.example",
                "org_name":"Orchard Tools Ltd","org_email":"it@orchard.example","org_phone":"+44 20 7946 0000",
                "org_address":"1 Apple Row","org_id":"2208841","org_id_hash":"9b0f","org_type":"org","org_version":"v1",
                "urls":[{"uri":"/session","http_method":["GET"]},
                {"uri":"/server/devices","http_method":["POST"],"limit":{"default":1000,"maximum":5000}},
                {"uri":"/devices/sync","http_method":["POST"],"limit":{"default":1000,"maximum":1000}},
                {"uri":"/profile/devices","http_method":["POST"],"limit":{"maximum":500}}]}"#,
            expect![[r#"
                Account {
                    server_name: Some(
                        "Orchard MDM",
                    ),
                    server_uuid: Some(
                        "5D3A9C0E7B1F4482A6E0C1D2F3A4B5C6",
                    ),
                    admin_id: Some(
                        "enroll-admin@orchard.example",
                    ),
                    org_name: Some(
                        "Orchard Tools Ltd",
                    ),
                    org_id: Some(
                        "2208841",
                    ),
                    org_email: Some(
                        "it@orchard.example",
                    ),
                    org_phone: Some(
                        "+44 20 7946 0000",
                    ),
                    org_address: Some(
                        "1 Apple Row",
                    ),
                    org_type: Some(
                        "org",
                    ),
                    org_version: Some(
                        "v1",
                    ),
                    page_limit: Some(
                        1000,
                    ),
                    assign_limit: Some(
                        500,
                    ),
                }"#]],
        );
    }

    #[test]
    fn an_account_of_an_old_protocol_version_is_enough() {
        check(
            r#"{"server_name":"x","facilitator_id":"a@b.example","org_id":2208841,"urls":{}}"#,
            expect![[r#"
                Account {
                    server_name: Some(
                        "x",
                    ),
                    server_uuid: None,
                    admin_id: Some(
                        "a@b.example",
                    ),
                    org_name: None,
                    org_id: Some(
                        "2208841",
                    ),
                    org_email: None,
                    org_phone: None,
                    org_address: None,
                    org_type: None,
                    org_version: None,
                    page_limit: None,
                    assign_limit: None,
                }"#]],
        );
    }

    #[test]
    fn an_answer_that_is_no_account_is_refused() {
        check(
            r#"{"status":"ok"}"#,
            expect!["error: it names neither the server nor the person behind the token"],
        );
    }

    #[test]
    fn a_limit_that_makes_no_sense_is_none() {
        let limit = |limits: &str| {
            let body = format!(r#"{{"server_name":"x","urls":[{limits}]}}"#);
            account(body.as_bytes()).unwrap().page_limit
        };
        assert_eq!(limit(r#"{"uri":"/devices/sync","limit":{"maximum":0}}"#), None);
        assert_eq!(limit(r#"{"uri":"/devices/sync","limit":{"maximum":-5}}, 7, null"#), None);
        assert_eq!(limit(r#"{"uri":"/devices/sync","limit":{"maximum":"200"}}"#), Some(200));
        assert_eq!(limit(r#"{"uri":"/devices/sync","limit":7}"#), None);
    }
}
