//! Activation Lock, replacement details, beta tokens and account-driven enrolment.

use crate::client::Client;
use crate::{check, client, sim, sorted};
use expect_test::{Expect, expect};
use serde_json::json;
use sim::{OrgType, ServerChange};

/// Makes calls, written as method, path and body, and shows what each was answered.
async fn calls(client: &Client, calls: &[(&str, &str, &str)], expect: Expect) {
    let mut shown = String::new();
    for (method, path, body) in calls {
        let answer = client.call(method, path, body).await.unwrap();
        let text = match answer.status {
            200 if !answer.text.is_empty() => sorted(&answer.json()),
            _ => answer.text.clone(),
        };
        shown.push_str(&format!("{method} {path} {body}: {} {text}\n", answer.status));
    }
    check(shown, expect);
}

const LOCK: &str = "/device/activationlock";
const DISCOVERY: &str = "/account-driven-enrollment/profile";

#[tokio::test]
async fn the_first_lock_wins_and_what_cannot_be_locked_says_so() {
    let sim = sim("A B").await;
    sim.add_devices("emea", &[json!({ "serial_number": "TV", "device_family": "AppleTV" })]).unwrap();
    sim.lock_by_user("emea", "B").unwrap();
    let client = client(&sim).await;
    let key = "6ab40d5eabe7218ec04182f461005600c7e3426bddd82cdb405bde9a1e0014b5";
    let good = format!(r#"{{"device":"A","escrow_key":"{key}","lost_message":"Call us"}}"#);
    calls(
        &client,
        &[
            ("POST", LOCK, &good),
            ("POST", LOCK, r#"{"device":"A"}"#),
            ("POST", LOCK, r#"{"device":"B"}"#),
            ("POST", LOCK, r#"{"device":"TV"}"#),
            ("POST", LOCK, r#"{"device":"ZZ"}"#),
            ("POST", LOCK, r#"{"device":"A","escrow_key":"short"}"#),
            ("POST", LOCK, "{}"),
            ("POST", LOCK, r#"{"device":7}"#),
            ("GET", LOCK, ""),
        ],
        expect![[r#"
            POST /device/activationlock {"device":"A","escrow_key":"6ab40d5eabe7218ec04182f461005600c7e3426bddd82cdb405bde9a1e0014b5","lost_message":"Call us"}: 200 {"response_status":"SUCCESS","serial_number":"A"}
            POST /device/activationlock {"device":"A"}: 200 {"response_status":"DEVICE_ALREADY_LOCKED","serial_number":"A"}
            POST /device/activationlock {"device":"B"}: 200 {"response_status":"DEVICE_ALREADY_LOCKED","serial_number":"B"}
            POST /device/activationlock {"device":"TV"}: 200 {"response_status":"DEVICE_NOT_SUPPORTED","serial_number":"TV"}
            POST /device/activationlock {"device":"ZZ"}: 200 {"response_status":"NOT_ACCESSIBLE","serial_number":"ZZ"}
            POST /device/activationlock {"device":"A","escrow_key":"short"}: 400 MALFORMED_REQUEST_BODY
            POST /device/activationlock {}: 400 MALFORMED_REQUEST_BODY
            POST /device/activationlock {"device":7}: 400 MALFORMED_REQUEST_BODY
            GET /device/activationlock : 405 
        "#]],
    )
    .await;
    let locks = sim.locks("emea").unwrap();
    assert_eq!(
        (locks["A"].escrow_key.as_deref(), locks["A"].by_user, locks["B"].by_user),
        (Some(key), false, true)
    );
    assert!(sim.unlock("emea", "A").unwrap() && !sim.unlock("emea", "A").unwrap());
    let tv = ServerChange { org_type: Some(OrgType::TvProvider), ..ServerChange::default() };
    sim.change_server("emea", tv).unwrap();
    calls(&client, &[("POST", LOCK, r#"{"device":"A"}"#)], expect![[r#"
        POST /device/activationlock {"device":"A"}: 200 {"response_status":"ORG_NOT_SUPPORTED","serial_number":"A"}
    "#]]).await;
}

#[tokio::test]
async fn beta_tokens_are_there_unless_the_organisation_turned_them_off() {
    let sim = sim("").await;
    let client = client(&sim).await;
    let tokens = client.get("/os-beta-enrollment/tokens").await.json();
    assert_eq!(tokens["betaEnrollmentTokens"], tokens["seedBuildTokens"]);
    let list = tokens["betaEnrollmentTokens"].as_array().unwrap().iter();
    let names = list.map(|token| format!("{} {}", token["os"], token["title"])).collect::<Vec<_>>();
    check(
        names.join(", "),
        expect![[
            r#""homePodOS" "homePod Software 27 Beta", "iOS" "iOS 27 Beta", "OSX" "macOS 27 Beta", "tvOS" "tvOS 27 Beta", "visionOS" "visionOS 27 Beta", "watchOS" "watchOS 27 Beta""#
        ]],
    );
    client.control("PATCH", "/servers/emea", r#"{"beta_access": false}"#).await;
    calls(
        &client,
        &[("GET", "/os-beta-enrollment/tokens", "")],
        expect![[r#"
        GET /os-beta-enrollment/tokens : 403 APPLE_SEED_FOR_IT_TURNED_OFF
    "#]],
    )
    .await;
}

#[tokio::test]
async fn the_address_of_account_driven_enrolment_is_set_shown_and_cleared() {
    let sim = sim("").await;
    let client = client(&sim).await;
    calls(
        &client,
        &[
            ("GET", DISCOVERY, ""),
            ("POST", DISCOVERY, "{}"),
            ("POST", DISCOVERY, r#"{"mdm_service_discovery_url":"http://mdm.example.com"}"#),
            ("POST", DISCOVERY, r#"{"mdm_service_discovery_url":"https://mdm.example.com/enrol"}"#),
        ],
        expect![[r#"
            GET /account-driven-enrollment/profile : 404 NOT_FOUND
            POST /account-driven-enrollment/profile {}: 400 MDM_SERVICE_DISCOVERY_URL_REQUIRED
            POST /account-driven-enrollment/profile {"mdm_service_discovery_url":"http://mdm.example.com"}: 400 MDM_SERVICE_DISCOVERY_URL_NOT_VALID
            POST /account-driven-enrollment/profile {"mdm_service_discovery_url":"https://mdm.example.com/enrol"}: 200 
        "#]],
    )
    .await;
    let shown = client.get(DISCOVERY).await.json();
    assert_eq!(shown["mdm_service_discovery_url"], "https://mdm.example.com/enrol");
    assert!(shown["last_updated_timestamp"].as_str().unwrap().ends_with('Z'));
    calls(
        &client,
        &[("DELETE", DISCOVERY, ""), ("GET", DISCOVERY, "")],
        expect![[r#"
        DELETE /account-driven-enrollment/profile : 200 
        GET /account-driven-enrollment/profile : 404 NOT_FOUND
    "#]],
    )
    .await;
    client.control("PATCH", "/servers/emea", r#"{"org_type": "tvprovider"}"#).await;
    calls(
        &client,
        &[
            ("GET", DISCOVERY, ""),
            ("POST", DISCOVERY, r#"{"mdm_service_discovery_url":"https://mdm.example.com"}"#),
            ("DELETE", DISCOVERY, ""),
        ],
        expect![[r#"
            GET /account-driven-enrollment/profile : 400 ORG_NOT_SUPPORTED
            POST /account-driven-enrollment/profile {"mdm_service_discovery_url":"https://mdm.example.com"}: 400 ORG_NOT_SUPPORTED
            DELETE /account-driven-enrollment/profile : 400 ORG_NOT_SUPPORTED
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_device_that_replaced_none_has_no_replacement_details() {
    let sim = sim("A").await;
    let client = client(&sim).await;
    let asked = [
        ("GET", "/device/replacementDetails?device=A", ""),
        ("GET", "/device/replacementDetails?device=ZZ", ""),
        ("GET", "/device/replacementDetails", ""),
    ];
    calls(
        &client,
        &asked,
        expect![[r#"
        GET /device/replacementDetails?device=A : 400 DEVICE_NOT_FOUND
        GET /device/replacementDetails?device=ZZ : 400 DEVICE_NOT_FOUND
        GET /device/replacementDetails : 400 DEVICE_ID_REQUIRED
    "#]],
    )
    .await;
    sim.change_settings(|settings| settings.documented_404 = true);
    calls(
        &client,
        &asked[..1],
        expect![[r#"
        GET /device/replacementDetails?device=A : 404 DEVICE_NOT_FOUND
    "#]],
    )
    .await;
    calls(
        &client.version(9),
        &asked[..1],
        expect![[r#"
        GET /device/replacementDetails?device=A : 404 
    "#]],
    )
    .await;
}

#[tokio::test]
async fn the_account_lists_what_its_reader_can_call() {
    let sim = sim("").await;
    let mut client = client(&sim).await;
    let mut shown = String::new();
    for version in [9, 10] {
        client.version = version;
        let account = client.get("/account").await.json();
        let urls = account["urls"].as_array().unwrap().iter();
        let urls = urls.map(|url| format!("{} {}\n", sorted(&url["http_method"]), url["uri"]));
        shown.push_str(&format!("{version}:\n{}", urls.collect::<String>()));
    }
    check(
        shown,
        expect![[r#"
        9:
        ["GET"] "/account"
        ["DELETE","GET","POST"] "/account-driven-enrollment/profile"
        ["POST"] "/device/activationlock"
        ["POST"] "/devices"
        ["POST"] "/devices/disown"
        ["POST"] "/devices/sync"
        ["GET"] "/os-beta-enrollment/tokens"
        ["GET","POST"] "/profile"
        ["DELETE","POST","PUT"] "/profile/devices"
        ["POST"] "/server/devices"
        ["GET"] "/session"
        10:
        ["GET"] "/account"
        ["DELETE","GET","POST"] "/account-driven-enrollment/profile"
        ["POST"] "/device/activationlock"
        ["GET"] "/device/replacementDetails"
        ["POST"] "/devices"
        ["POST"] "/devices/disown"
        ["POST"] "/devices/sync"
        ["GET"] "/os-beta-enrollment/tokens"
        ["GET","POST"] "/profile"
        ["DELETE","POST","PUT"] "/profile/devices"
        ["POST"] "/server/devices"
        ["GET"] "/session"
    "#]],
    );
}
