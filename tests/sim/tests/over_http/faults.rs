//! Bad days, as a client meets them.

use crate::client::Client;
use crate::{check, client, define, page, read, sim};
use expect_test::expect;
use serde_json::{Value, json};
use sim::{Endpoint, Fault, FaultKind};
use std::time::Duration;

#[tokio::test]
async fn a_fault_is_answered_instead_of_the_call() {
    let sim = sim("A").await;
    let client = client(&sim).await;
    sim.fault(Fault::status(429, "TOO_MANY_REQUESTS").retry_after("120").on(Endpoint::Account));
    let answer = client.get("/account").await;
    assert_eq!(
        (answer.short().as_str(), answer.retry_after.as_deref()),
        ("429 TOO_MANY_REQUESTS", Some("120"))
    );
    assert_eq!(client.get("/account").await.short(), "200");
}

#[tokio::test]
async fn hanging_up_before_does_nothing_and_hanging_up_after_does_it() {
    let sim = sim("A").await;
    let client = client(&sim).await;
    let uuid = define(&client).await;
    let body = json!({ "profile_uuid": uuid, "devices": ["A"] }).to_string();
    for (fault, assignments) in [(Fault::hang_up(), 0), (Fault::hang_up_after(), 1)] {
        sim.fault(fault.on(Endpoint::Assign));
        let answer = client.call("POST", "/profile/devices", &body).await;
        assert!(answer.is_err_and(|error| error.is_request()));
        assert_eq!(sim.device("emea", "A").unwrap().assignments, assignments);
    }
    let ends = sim.calls().into_iter().filter(|call| call.status.is_none()).map(|call| call.fault);
    assert_eq!(ends.collect::<Vec<_>>(), [Some("hang_up".to_owned()), Some("hang_up_after".to_owned())]);
    assert_eq!(client.get("/account").await.short(), "200", "the next call has a new connection");
}

#[tokio::test]
async fn answers_can_be_cut_short_or_claim_for_ever_that_more_follows() {
    let sim = sim("A").await;
    let client = client(&sim).await;
    let (_, cursor) = read(&client, "/server/devices", None, 100).await;
    sim.fault(Fault::new(FaultKind::Truncate).on(Endpoint::Sync));
    sim.fault(Fault::new(FaultKind::SameCursor).on(Endpoint::Sync));
    let cut = client.post("/devices/sync", json!({ "cursor": cursor })).await;
    assert!(serde_json::from_str::<Value>(&cut.text).is_err());
    let same = client.post("/devices/sync", json!({ "cursor": cursor })).await.json();
    assert_eq!((same["cursor"].as_str(), &same["more_to_follow"]), (Some(&*cursor), &json!(true)));
}

#[tokio::test]
async fn a_connection_can_end_in_the_middle_of_an_answer() {
    let sim = sim("A B C").await;
    let client = client(&sim).await;
    let uuid = define(&client).await;
    let body = json!({ "profile_uuid": uuid, "devices": ["A"] }).to_string();
    for (endpoint, path, body) in
        [(Endpoint::Fetch, "/server/devices", "{}"), (Endpoint::Assign, "/profile/devices", &body)]
    {
        sim.fault(Fault::reset_in_body().on(endpoint));
        let error = client.call("POST", path, body).await.err().expect("half an answer is none");
        assert!(error.is_decode() || error.is_body(), "the headers came: {error:?}");
    }
    assert_eq!(sim.device("emea", "A").unwrap().assignments, 1);
    assert_eq!(client.get("/account").await.short(), "200", "the next call has a new connection");
}

#[tokio::test]
async fn a_call_can_hang_until_the_client_gives_up_or_the_simulator_stops() {
    let sim = sim("").await;
    let client = client(&sim).await;
    sim.fault(Fault::hang().on(Endpoint::Account).times(2));
    let patience = Duration::from_millis(50);
    assert!(tokio::time::timeout(patience, client.get("/account")).await.is_err());
    let last = tokio::spawn(async move { client.call("GET", "/account", "").await.is_err() });
    while sim.calls().iter().filter(|call| call.fault.is_some()).count() < 2 {
        tokio::task::yield_now().await;
    }
    assert!(sim.calls().iter().all(|call| call.fault.is_none() || (call.status.is_none() && !call.done)));
    sim.stop().await;
    assert!(last.await.unwrap());
}

#[tokio::test]
async fn answers_can_be_of_another_shape_or_with_more_or_fewer_members() {
    let sim = sim("A").await;
    let client = client(&sim).await;
    let shape = async |fault: Fault| {
        sim.fault(fault.on(Endpoint::Fetch));
        let mut page = client.post("/server/devices", json!({})).await.json();
        page["cursor"].take();
        let device = page["devices"].get(0).cloned().unwrap_or_default();
        let mut names = device.as_object().map(|device| device.keys().cloned().collect::<Vec<_>>());
        names.iter_mut().for_each(|names| names.sort());
        format!("{:?} {}", names.unwrap_or_default(), page.get("fetched_until").is_some())
    };
    check(shape(Fault::wrong_json()).await, expect!["[] false"]);
    check(
        shape(Fault::unknown_fields()).await,
        expect![[
            r#"["device_assigned_by", "device_assigned_date", "device_family", "future_flag", "future_fraction", "future_list", "future_nothing", "future_number", "future_object", "future_text", "model", "os", "profile_status", "serial_number"] true"#
        ]],
    );
    check(shape(Fault::missing_fields()).await, expect![[r#"["model", "serial_number"] false"#]]);
    check(
        shape(Fault::without_fields(&["fetched_until", "device_assigned_by"])).await,
        expect![[
            r#"["device_assigned_date", "device_family", "model", "os", "profile_status", "serial_number"] false"#
        ]],
    );
    sim.fault(Fault::null_fields(&[]).on(Endpoint::Fetch));
    let page = client.post("/server/devices", json!({})).await.json();
    assert_eq!((&page["fetched_until"], &page["devices"][0]["os"]), (&Value::Null, &Value::Null));
    sim.fault(Fault::answer("{}").on(Endpoint::Session));
    assert_eq!(client.log_in_with(&client.sign("n", jiff::Timestamp::now().as_second())).await.text, "{}");
}

#[tokio::test]
async fn a_session_can_end_at_any_call_or_after_so_many() {
    let sim = sim("A").await;
    let client = client(&sim).await;
    sim.fault(Fault::end_session().on(Endpoint::Account));
    check(client.get("/account").await.short(), expect!["401 UNAUTHORIZED"]);
    check(client.get("/account").await.short(), expect!["401 UNAUTHORIZED"]);
    let settings = sim::Settings { session_calls: 2, rotate_every: 1, ..sim.settings() };
    sim.set_settings(settings);
    client.log_in().await;
    for expected in ["200", "200", "401 UNAUTHORIZED", "401 UNAUTHORIZED"] {
        assert_eq!(client.get("/account").await.short(), expected);
    }
}

/// Calls that failed by chance, of forty.
async fn failures(client: &Client, sim: &sim::Sim, seed: u64) -> String {
    sim.change_settings(|settings| settings.seed = seed);
    sim.clear_faults();
    sim.fault(Fault::status(500, "").on(Endpoint::Account).with_probability(0.25).always());
    let mut shown = String::new();
    for _ in 0..40 {
        shown.push(if client.get("/account").await.status == 500 { 'x' } else { '.' });
    }
    shown
}

#[tokio::test]
async fn chance_repeats_itself_with_the_same_seed() {
    let sim = sim("").await;
    let client = client(&sim).await;
    let first = failures(&client, &sim, 7).await;
    check(&first, expect!["x.....xx...x..xx.xx.......x.xx.....x.x.x"]);
    assert_ne!(failures(&client, &sim, 8).await, first);
    assert_eq!(failures(&client, &sim, 7).await, first);
}

#[tokio::test]
async fn the_log_knows_what_was_done_although_the_answer_was_lost() {
    let sim = sim("A").await;
    let client = client(&sim).await;
    let mut shown = String::new();
    for fault in [
        Fault::status(503, "SERVICE_UNAVAILABLE"),
        Fault::hang_up(),
        Fault::hang_up_after(),
        Fault::reset_in_body(),
        Fault::wrong_json(),
        Fault::end_session(),
    ] {
        sim.fault(fault.on(Endpoint::Account));
        _ = client.call("GET", "/account", "").await;
    }
    for call in sim.calls().into_iter().skip(1) {
        let (fault, error) = (call.fault.unwrap_or_default(), call.error.unwrap_or_default());
        shown.push_str(&format!("{fault}: {:?} done={} {error}\n", call.status, call.done));
    }
    check(
        shown,
        expect![[r#"
        status: Some(503) done=false SERVICE_UNAVAILABLE
        hang_up: None done=false 
        hang_up_after: None done=true 
        reset_in_body: Some(200) done=true 
        wrong_json: Some(200) done=true 
        end_session: Some(401) done=false UNAUTHORIZED
    "#]],
    );
}

#[tokio::test]
async fn a_page_whose_cursor_is_missing_still_has_its_devices() {
    let sim = sim("A").await;
    let client = client(&sim).await;
    sim.fault(Fault::without_fields(&["cursor"]).on(Endpoint::Fetch));
    let answer = client.post("/server/devices", json!({})).await;
    check(page(&answer), expect!["[A]"]);
    assert!(answer.json().get("cursor").is_none());
}

#[tokio::test]
async fn faults_have_the_names_that_apples_own_simulator_gives_them() {
    let sim = sim("A").await;
    let client = client(&sim).await;
    let (_, cursor) = read(&client, "/server/devices", None, 9).await;
    let uuid = define(&client).await;
    let devices = json!({ "devices": ["A"], "profile_uuid": uuid }).to_string();
    let cursor = json!({ "cursor": cursor }).to_string();
    let profile = r#"{"profile_name":"S","url":"https://m.example.com","devices":["A"]}"#;
    let mut shown = String::new();
    for (name, method, path, body) in [
        ("forbidden_access_denied", "GET", "/session", ""),
        ("forbidden_t_c_not_signed", "GET", "/session", ""),
        ("too_many_requests", "GET", "/session", ""),
        ("unauthorized", "GET", "/account", ""),
        ("invalid_method", "GET", "/account", ""),
        ("bad_request_exhausted_cursor", "POST", "/server/devices", "{}"),
        ("bad_request_invalid_cursor", "POST", "/devices/sync", &cursor),
        ("not_found", "POST", "/devices", &devices),
        ("not_accessible", "POST", "/devices/disown", &devices),
        ("failed", "POST", "/profile", profile),
        ("success", "POST", "/profile/devices", &devices),
        ("not_accessible", "DELETE", "/profile/devices", &devices),
        ("bad_request_profile_not_found", "GET", "/profile?profile_uuid=0", ""),
    ] {
        let endpoint = format!("{method} {}", path.split('?').next().unwrap());
        let fault = json!({ "name": name, "endpoint": endpoint }).to_string();
        assert_eq!(client.control("POST", "/faults", &fault).await.status, 200, "{fault}");
        let answer = client.call(method, path, body).await.unwrap();
        let text = match answer.status {
            200 => answer.json()["devices"].to_string(),
            _ => answer.text,
        };
        shown.push_str(&format!("{endpoint} {name}: {} {text}\n", answer.status));
    }
    check(
        shown,
        expect![[r#"
        GET /session forbidden_access_denied: 403 ACCESS_DENIED
        GET /session forbidden_t_c_not_signed: 403 T_C_NOT_SIGNED
        GET /session too_many_requests: 429 TOO_MANY_REQUESTS
        GET /account unauthorized: 401 UNAUTHORIZED
        GET /account invalid_method: 405 
        POST /server/devices bad_request_exhausted_cursor: 400 EXHAUSTED_CURSOR
        POST /devices/sync bad_request_invalid_cursor: 400 INVALID_CURSOR
        POST /devices not_found: 200 {"A":{"response_status":"NOT_FOUND"}}
        POST /devices/disown not_accessible: 200 {"A":"NOT_ACCESSIBLE"}
        POST /profile failed: 200 {"A":"FAILED"}
        POST /profile/devices success: 200 {"A":"SUCCESS"}
        DELETE /profile/devices not_accessible: 200 {"A":"NOT_ACCESSIBLE"}
        GET /profile bad_request_profile_not_found: 400 PROFILE_NOT_FOUND
    "#]],
    );
    assert_eq!(sim.device("emea", "A").unwrap().assignments, 0, "nothing was done to it");
    assert!(sim.faults().is_empty());
}
