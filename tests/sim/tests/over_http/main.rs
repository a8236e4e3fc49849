//! The simulator, asked over real HTTP by a client that shares no code with it.

mod client;
mod doors;
mod faults;
mod lists;
mod speed;
mod tokens;

use client::{Answer, Client};
use expect_test::{Expect, expect};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sim::{AssignStatus, Endpoint, Options, ServerOptions, Sim, SimHandle};

/// A simulator with a server `emea` that has these devices.
async fn sim(serials: &str) -> Sim {
    let sim = Sim::start(Options::default()).await.unwrap();
    sim.create_server(ServerOptions::new("emea"));
    add(&sim, serials);
    sim
}

fn add(sim: &Sim, serials: &str) {
    let devices = serials.split_whitespace().map(|serial| json!({ "serial_number": serial }));
    sim.add_devices("emea", &devices.collect::<Vec<_>>()).unwrap();
}

/// A client of `emea` with a session.
async fn client(sim: &Sim) -> Client {
    let client = Client::new(sim, "emea").await;
    assert_eq!(client.log_in().await.short(), "200");
    client
}

/// A page in one line: what happened to which device, and whether more follows.
fn page(answer: &Answer) -> String {
    if answer.status != 200 {
        return answer.short();
    }
    let page = answer.json();
    let devices = page["devices"].as_array().unwrap().iter().map(|device| {
        let serial = device["serial_number"].as_str().unwrap();
        let status = device["profile_status"].as_str().unwrap_or("-");
        match device["op_type"].as_str() {
            None => serial.to_owned(),
            Some(op) => format!("{op} {serial} {status}"),
        }
    });
    let more = if page["more_to_follow"].as_bool().unwrap() { " …" } else { "" };
    format!("[{}]{more}", devices.collect::<Vec<_>>().join(", "))
}

/// Fetches and syncs until nothing more follows, from a cursor or from the start; shows every page.
async fn read(client: &Client, path: &str, cursor: Option<&str>, limit: u32) -> (String, String) {
    let (mut shown, mut cursor) = (Vec::new(), cursor.map(str::to_owned));
    loop {
        let mut body = json!({ "limit": limit });
        if let Some(cursor) = &cursor {
            body["cursor"] = json!(cursor);
        }
        let answer = client.post(path, body).await;
        shown.push(page(&answer));
        cursor = Some(answer.json()["cursor"].as_str().unwrap().to_owned());
        if answer.json()["more_to_follow"] != true {
            return (shown.join(" "), cursor.unwrap());
        }
    }
}

async fn define(client: &Client) -> String {
    let profile = json!({ "profile_name": "Staff", "url": "https://mdm.example.com/enroll" });
    let answer = client.post("/profile", profile).await;
    answer.json()["profile_uuid"].as_str().unwrap().to_owned()
}

fn check(shown: impl AsRef<str>, expect: Expect) {
    expect.assert_eq(shown.as_ref());
}

#[tokio::test]
async fn a_token_from_the_portal_opens_a_session_and_names_the_account() {
    let sim = sim("").await;
    let client = client(&sim).await;
    let account = client.get("/account").await.json();
    let info = sim.server("emea").unwrap();
    assert_eq!(account["server_uuid"], info.server_uuid);
    assert_eq!(account["org_id"], info.org_id);
    let urls = account["urls"].as_array().unwrap();
    let sync = urls.iter().find(|url| url["uri"] == "/devices/sync").unwrap();
    check(
        sorted(sync),
        expect![[
            r#"{"http_method":["POST"],"limit":{"default":1000,"maximum":1000},"uri":"/devices/sync"}"#
        ]],
    );
    let old = client.version(2).get("/account").await.json();
    assert!(old.get("org_id").is_none() && old.get("urls").is_none(), "{old}");
}

#[tokio::test]
async fn every_form_of_the_token_file_opens_a_session() {
    let sim = sim("").await;
    for query in ["der=true", "crlf=true", "markers=false", "expires_in_days=9"] {
        let client = Client::with(&sim, "emea", query).await;
        assert_eq!(client.log_in().await.short(), "200", "{query}");
    }
    let left = sim.server("emea").unwrap().token_expiry.unwrap().duration_since(Timestamp::now());
    assert_eq!((left.as_secs() + 60) / 86_400, 9);
}

#[tokio::test]
async fn a_session_is_refused_for_the_reason_apple_gives() {
    let sim = sim("").await;
    let client = Client::new(&sim, "emea").await;
    let now = Timestamp::now().as_second();
    let good = client.sign("once", now);
    let mut shown = String::new();
    for (what, authorization) in [
        ("good", good.clone()),
        ("again", good.clone()),
        ("late", client.sign("late", now - 301)),
        ("forged", client.sign("forged", now).replace("forged", "forger")),
        ("unknown", good.replace("AT_", "AX_")),
        ("other consumer", good.replace("CK_", "CX_")),
        ("unescaped", good.replace("%3D", "+")),
        ("empty", String::new()),
    ] {
        shown.push_str(&format!("{what}: {}\n", client.log_in_with(&authorization).await.short()));
    }
    check(
        shown,
        expect![[r#"
        good: 200
        again: 401 oauth_problem_adviceUnauthorized
        late: 401 oauth_problem_adviceUnauthorized
        forged: 403 signature_invalidForbidden
        unknown: 403 token_rejectedForbidden
        other consumer: 403 token_rejectedForbidden
        unescaped: 400 oauth_problem_adviceBad Request
        empty: 400 oauth_problem_adviceBad Request
    "#]],
    );
}

#[tokio::test]
async fn a_new_token_kills_the_old_one_and_its_session() {
    let sim = sim("").await;
    let old = client(&sim).await;
    let new = Client::new(&sim, "emea").await;
    assert_eq!(old.token["consumer_key"], new.token["consumer_key"]);
    check(old.get("/account").await.short(), expect!["401 UNAUTHORIZED"]);
    check(old.log_in().await.short(), expect!["403 token_rejectedForbidden"]);
    check(new.log_in().await.short(), expect!["200"]);
}

#[tokio::test]
async fn expired_tokens_unsigned_terms_and_closed_servers_say_so() {
    let sim = sim("").await;
    let client = client(&sim).await;
    sim.sign_terms("emea", false).unwrap();
    check(client.get("/account").await.short(), expect!["403 T_C_NOT_SIGNED"]);
    check(client.log_in().await.short(), expect!["403 T_C_NOT_SIGNED"]);
    sim.sign_terms("emea", true).unwrap();
    check(client.get("/account").await.short(), expect!["200"]);
    client.control("PATCH", "/servers/emea", r#"{"active": false}"#).await;
    check(client.get("/account").await.short(), expect!["403 SERVER_INACTIVE"]);
    client.control("PATCH", "/servers/emea", r#"{"active": true}"#).await;
    let expired = Client::with(&sim, "emea", "expires_in_days=-1").await;
    check(expired.log_in().await.short(), expect!["403 token_expiredForbidden"]);
}

#[tokio::test]
async fn sessions_end_rotate_and_are_forgotten() {
    let sim = sim("").await;
    let client = client(&sim).await;
    let first = client.session.lock().unwrap().clone();
    for _ in 0..30 {
        assert_eq!(client.get("/account").await.short(), "200");
    }
    assert_ne!(*client.session.lock().unwrap(), first);
    sim.end_session("emea").unwrap();
    check(client.get("/account").await.short(), expect!["401 UNAUTHORIZED"]);
    client.log_in().await;
    sim.forget_sessions();
    check(client.get("/account").await.short(), expect!["403 FORBIDDEN"]);
    client.log_in().await;
    sim.advance_clock(SignedDuration::from_secs(181));
    check(client.get("/account").await.short(), expect!["401 UNAUTHORIZED"]);
    *client.session.lock().unwrap() = None;
    check(client.get("/account").await.short(), expect!["401 UNAUTHORIZED"]);
}

#[tokio::test]
async fn requests_that_are_not_right_are_refused() {
    let sim = sim("").await;
    let client = client(&sim).await;
    let mut shown = String::new();
    for (method, path, body) in [
        ("PUT", "/devices/sync", "{}"),
        ("GET", "/nothing", ""),
        ("POST", "/devices/sync", "{"),
        ("POST", "/server/devices", "[]"),
        ("POST", "/server/devices", r#"{"limit": "all"}"#),
        ("POST", "/devices", r#"{"devices": []}"#),
        ("POST", "/devices/disown", "{}"),
        ("POST", "/profile", r#"{"url": "https://mdm.example.com"}"#),
        ("GET", "/profile", ""),
        ("GET", "/profile?profile_uuid=7C1E88D0A4B94B6E9C3F2A5D6E7F8091", ""),
        ("POST", "/profile/devices", r#"{"devices": ["A"]}"#),
        ("POST", "/profile/devices", r#"{"devices": ["A"], "profile_uuid": "7C1E88D0"}"#),
        ("DELETE", "/profile/devices", "{}"),
    ] {
        let answer = client.call(method, path, body).await.unwrap();
        shown.push_str(&format!("{method} {path} {body}: {}\n", answer.short()));
    }
    check(
        shown,
        expect![[r#"
        PUT /devices/sync {}: 405 
        GET /nothing : 404 
        POST /devices/sync {: 400 MALFORMED_REQUEST_BODY
        POST /server/devices []: 400 MALFORMED_REQUEST_BODY
        POST /server/devices {"limit": "all"}: 400 MALFORMED_REQUEST_BODY
        POST /devices {"devices": []}: 400 DEVICE_ID_REQUIRED
        POST /devices/disown {}: 400 DEVICE_ID_REQUIRED
        POST /profile {"url": "https://mdm.example.com"}: 400 CONFIG_NAME_REQUIRED
        GET /profile : 400 PROFILE_UUID_REQUIRED
        GET /profile?profile_uuid=7C1E88D0A4B94B6E9C3F2A5D6E7F8091 : 400 NOT_FOUND
        POST /profile/devices {"devices": ["A"]}: 400 PROFILE_UUID_REQUIRED
        POST /profile/devices {"devices": ["A"], "profile_uuid": "7C1E88D0"}: 404 PROFILE_NOT_FOUND
        DELETE /profile/devices {}: 400 DEVICE_ID_REQUIRED
    "#]],
    );
}

#[tokio::test]
async fn a_client_without_a_name_is_refused() {
    let sim = sim("").await;
    let url = format!("{}/session", sim.url());
    let answer = reqwest::Client::new().get(url).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.text().await.unwrap(), "USER_AGENT_MISSING");
}

#[tokio::test]
async fn a_fetch_in_pages_and_the_syncs_after_it_miss_nothing() {
    let sim = sim("A B C D").await;
    let client = client(&sim).await;
    let first = client.post("/server/devices", json!({ "limit": 3 })).await;
    check(page(&first), expect!["[A, B, C] …"]);
    add(&sim, "E");
    sim.change_device("emea", "A", &json!({ "asset_tag": "LIB-0001" })).unwrap();
    let cursor = first.json()["cursor"].as_str().unwrap().to_owned();
    let (pages, cursor) = read(&client, "/server/devices", Some(&cursor), 3).await;
    check(pages, expect!["[D]"]);
    let again = client.post("/server/devices", json!({ "cursor": cursor })).await;
    check(page(&again), expect!["400 EXHAUSTED_CURSOR"]);
    let (pages, next) = read(&client, "/devices/sync", Some(&cursor), 1).await;
    check(pages, expect!["[added E empty] … [modified A empty]"]);
    let (pages, _) = read(&client, "/devices/sync", Some(&next), 1).await;
    check(pages, expect!["[]"]);
    sim.remove_device("emea", "B", true).unwrap();
    sim.remove_device("emea", "C", false).unwrap();
    let (pages, _) = read(&client, "/devices/sync", Some(&next), 100).await;
    check(pages, expect!["[deleted B -]"]);
    let (pages, _) = read(&client, "/server/devices", None, 100).await;
    check(pages, expect!["[A, D, E]"]);
}

#[tokio::test]
async fn a_page_holds_a_hundred_devices_unless_asked_and_never_more_than_the_account_says() {
    let sim = Sim::start(Options::default()).await.unwrap();
    sim.create_server(ServerOptions { page_limit: Some(250), ..ServerOptions::new("emea") });
    sim.generate_devices("emea", 600, 7).unwrap();
    let client = client(&sim).await;
    let mut sizes = Vec::new();
    for body in [json!({}), json!({ "limit": 200 }), json!({ "limit": 1000 })] {
        let answer = client.post("/server/devices", body).await.json();
        sizes.push(answer["devices"].as_array().unwrap().len());
    }
    assert_eq!(sizes, [100, 200, 250]);
}

#[tokio::test]
async fn cursors_are_required_known_young_and_their_own_servers() {
    let sim = sim("A").await;
    let emea = client(&sim).await;
    sim.create_server(ServerOptions::new("amer"));
    let amer = Client::new(&sim, "amer").await;
    amer.log_in().await;
    let (_, cursor) = read(&emea, "/server/devices", None, 100).await;
    let sync = async |client: &Client, cursor: Value| {
        page(&client.post("/devices/sync", json!({ "cursor": cursor })).await)
    };
    check(sync(&emea, Value::Null).await, expect!["400 CURSOR_REQUIRED"]);
    check(sync(&emea, json!("MDowOjA")).await, expect!["400 INVALID_CURSOR"]);
    check(sync(&amer, json!(cursor)).await, expect!["400 INVALID_CURSOR"]);
    sim.advance_clock(SignedDuration::from_hours(7 * 24 - 1));
    emea.log_in().await;
    check(sync(&emea, json!(cursor)).await, expect!["[]"]);
    sim.advance_clock(SignedDuration::from_hours(2));
    emea.log_in().await;
    check(sync(&emea, json!(cursor)).await, expect!["400 EXPIRED_CURSOR"]);
}

#[tokio::test]
async fn a_profile_is_assigned_read_back_cleared_and_its_device_released() {
    let sim = sim("A B").await;
    let client = client(&sim).await;
    let (_, cursor) = read(&client, "/server/devices", None, 100).await;
    let uuid = define(&client).await;
    assert_eq!(client.get(&format!("/profile?profile_uuid={uuid}")).await.json()["allow_pairing"], true);

    let both = json!({ "profile_uuid": uuid, "devices": ["A", "ZZ"] });
    let answer = client.post("/profile/devices", both.clone()).await;
    check(
        sorted(&answer.json()).replace(&uuid, "UUID"),
        expect![[r#"{"devices":{"A":"SUCCESS","ZZ":"NOT_ACCESSIBLE"},"profile_uuid":"UUID"}"#]],
    );
    client.call("PUT", "/profile/devices", &both.to_string()).await.unwrap();
    assert_eq!(sim.device("emea", "A").unwrap().assignments, 2);
    assert_eq!(sim.most_assignments_of_one_device(), 2);
    let details = client.post("/devices", json!({ "devices": ["A", "ZZ"] })).await.json();
    assert_eq!(details["devices"]["A"]["profile_uuid"], uuid);
    assert_eq!(details["devices"]["A"]["response_status"], "SUCCESS");
    check(sorted(&details["devices"]["ZZ"]), expect![[r#"{"response_status":"NOT_ACCESSIBLE"}"#]]);
    check(
        read(&client, "/devices/sync", Some(&cursor), 10).await.0,
        expect!["[modified A assigned, modified A assigned]"],
    );

    let cleared = client.call("DELETE", "/profile/devices", r#"{"devices":["A"]}"#).await.unwrap();
    check(&cleared.text, expect![[r#"{"devices":{"A":"SUCCESS"}}"#]]);
    assert_eq!(sim.device("emea", "A").unwrap().profile_uuid, Some(uuid), "a removed one keeps its UUID");
    let gone = client.post("/devices/disown", json!({ "devices": ["A", "ZZ"] })).await;
    check(&gone.text, expect![[r#"{"devices":{"A":"SUCCESS","ZZ":"NOT_ACCESSIBLE"}}"#]]);
    check(read(&client, "/server/devices", None, 100).await.0, expect!["[B]"]);
}

#[tokio::test]
async fn a_profile_can_be_assigned_while_it_is_defined() {
    let sim = sim("A").await;
    let client = client(&sim).await;
    let profile = json!({ "profile_name": "S", "url": "https://m.example.com", "devices": ["A", "B"] });
    let answer = client.post("/profile", profile).await.json();
    check(sorted(&answer["devices"]), expect![[r#"{"A":"SUCCESS","B":"NOT_ACCESSIBLE"}"#]]);
    let profiles = sim.profiles("emea").unwrap();
    assert_eq!(answer["profile_uuid"], profiles[0].profile_uuid);
    assert_eq!(profiles[0].devices, 1);
}

#[tokio::test]
async fn a_throttled_device_looks_different_to_every_version() {
    let sim = sim("A B C").await;
    let mut client = client(&sim).await;
    let uuid = define(&client).await;
    let mut shown = String::new();
    for version in [8, 9, 10] {
        client.version = version;
        sim.answer_assignments("emea", &["A"], AssignStatus::Throttled, 1, 3600).unwrap();
        sim.answer_assignments("emea", &["B"], AssignStatus::Missing, 1, 0).unwrap();
        let body = json!({ "profile_uuid": uuid, "devices": ["A", "B", "C"] });
        let mut answer = client.post("/profile/devices", body).await.json();
        answer.as_object_mut().unwrap().remove("profile_uuid");
        shown.push_str(&format!("{version}: {}\n", sorted(&answer)));
    }
    check(
        shown,
        expect![[r#"
        8: {"devices":{"A":"FAILED","C":"SUCCESS"}}
        9: {"devices":{"A":"THROTTLED","C":"SUCCESS"}}
        10: {"devices":{"A":"THROTTLED","C":"SUCCESS"},"retry_after_seconds":3600}
    "#]],
    );
}

#[tokio::test]
async fn the_control_side_does_it_all_over_http_too() {
    let sim = sim("").await;
    let client = client(&sim).await;
    client.post("/server/devices", json!({})).await;
    let mut shown = String::new();
    for (method, path, body) in [
        ("POST", "/servers", r#"{"name": "library", "page_limit": 50}"#),
        ("POST", "/servers/library/devices", r#"{"count": 3, "seed": 1}"#),
        ("POST", "/servers/emea/devices", r#"[{"serial_number": "A", "color": "BLUE"}]"#),
        ("POST", "/servers/emea/devices", r#"{"serial_number": "A"}"#),
        ("POST", "/servers/emea/devices", r#"{"serial_number": "a b"}"#),
        ("PATCH", "/servers/emea/devices/A", r#"{"color": 1}"#),
        ("PATCH", "/servers/emea/devices/A", r#"{"asset_tag": "EXEC-1"}"#),
        ("DELETE", "/servers/emea/devices/A?record=false", ""),
        ("DELETE", "/servers/emea/devices/A", ""),
        ("GET", "/servers/nowhere/devices", ""),
        ("POST", "/servers/emea/token", "not a certificate"),
        ("POST", "/faults", r#"{"kind": "slow", "ms": 5, "endpoint": "GET /account"}"#),
        ("POST", "/faults", r#"{"kind": "explode"}"#),
        ("DELETE", "/faults", ""),
        ("PATCH", "/settings", r#"{"rotate_every": 2}"#),
        ("PATCH", "/settings", r#"{"rotate": 2}"#),
        ("GET", "/calls?endpoint=asign", ""),
        ("PUT", "/calls", ""),
        ("GET", "/nothing", ""),
    ] {
        let answer = client.control(method, path, body).await;
        shown.push_str(&format!("{method} {path} {body}\n  {} {}\n", answer.status, mask(&answer.text)));
    }
    check(
        shown,
        expect![[r#"
            POST /servers {"name": "library", "page_limit": 50}
              200 {"active":true,"admin_id":"enroll-admin@library.example","beta_access":true,"devices":0,"name":"library","org_id":"…","org_name":"library Ltd","org_type":"org","page_limit":50,"profiles":0,"server_uuid":"…","terms_signed":true,"token_expiry":null,"token_state":"good"}
            POST /servers/library/devices {"count": 3, "seed": 1}
              200 {"added":3,"first_serial_numbers":["C02MAQKDMD6T","C02FQWWTMD6T","DMPA7167STQ2"]}
            POST /servers/emea/devices [{"serial_number": "A", "color": "BLUE"}]
              200 {"added":1}
            POST /servers/emea/devices {"serial_number": "A"}
              409 {"error":"device `A` is on server `emea` already"}
            POST /servers/emea/devices {"serial_number": "a b"}
              400 {"error":"a device needs a `serial_number` of upper-case letters and digits"}
            PATCH /servers/emea/devices/A {"color": 1}
              400 {"error":"`color` must be a text or null"}
            PATCH /servers/emea/devices/A {"asset_tag": "EXEC-1"}
              200 {"asset_tag":"EXEC-1","assignments":0,"device_assigned_date":"…","device_family":"Mac","model":"MacBook Pro","profile_assign_time":null,"profile_push_time":null,"profile_status":"empty","profile_uuid":null,"serial_number":"A"}
            DELETE /servers/emea/devices/A?record=false 
              204 
            DELETE /servers/emea/devices/A 
              404 {"error":"there is no device `A` on server `emea`"}
            GET /servers/nowhere/devices 
              404 {"error":"there is no server `nowhere`"}
            POST /servers/emea/token not a certificate
              400 {"error":"no token for server `emea`: this is not a PEM certificate; with curl, `--data-binary` keeps its lines apart and `-d` does not"}
            POST /faults {"kind": "slow", "ms": 5, "endpoint": "GET /account"}
              200 [{"after":0,"body":"","endpoint":"account","kind":"slow","ms":5,"status":503,"times":1}]
            POST /faults {"kind": "explode"}
              400 {"error":"the body is not right: unknown variant `explode`, expected one of `status`, `hang_up`, `hang_up_after`, `slow`, `truncate`, `same_cursor`, `reset_in_body`, `hang`, `wrong_json`, `unknown_fields`, `missing_fields`, `null_fields`, `end_session`, `device_status`"}
            DELETE /faults 
              204 
            PATCH /settings {"rotate_every": 2}
              200 {"clock_offset_seconds":0,"documented_401":false,"documented_404":false,"duplicates":false,"empty_pages":false,"error_style":"bare","exhausted_cursor":false,"hide_throttled":false,"latency_ms":0,"release_without_record":false,"rotate_every":2,"seed":1,"session_calls":0,"session_lifetime_seconds":180,"throttle_after":0,"throttle_seconds":86400,"throttle_window_seconds":3600,"visible_after_seconds":0}
            PATCH /settings {"rotate": 2}
              400 {"error":"the body is not right: unknown field `rotate`, expected one of `latency_ms`, `rotate_every`, `session_lifetime_seconds`, `session_calls`, `error_style`, `documented_401`, `documented_404`, `clock_offset_seconds`, `throttle_after`, `throttle_window_seconds`, `throttle_seconds`, `hide_throttled`, `duplicates`, `empty_pages`, `exhausted_cursor`, `visible_after_seconds`, `release_without_record`, `seed`"}
            GET /calls?endpoint=asign 
              400 {"error":"Failed to deserialize query string: endpoint: there is no endpoint `asign`; there are session, account, fetch, sync, details, disown, define, profile, assign, clear, activation_lock, replacement, beta_tokens, assign_discovery, discovery, clear_discovery and unknown"}
            PUT /calls 
              405 {"error":"no such method at this path; `GET /sim/` lists those there are"}
            GET /nothing 
              404 {"error":"no such path here; `GET /sim/` lists those there are"}
        "#]],
    );
    assert!(client.control("GET", "/", "").await.text.contains("POST   /sim/faults"));
}

/// Takes out what differs from run to run.
fn mask(text: &str) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(text) else { return text.into() };
    for field in ["server_uuid", "org_id", "device_assigned_date"] {
        if let Some(value) = value.get_mut(field) {
            *value = json!("…");
        }
    }
    sorted(&value)
}

/// JSON with its members in order, whatever order the build keeps them in.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut members = members
                .iter()
                .map(|(name, value)| format!("\"{name}\":{}", sorted(value)))
                .collect::<Vec<_>>();
            members.sort();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(sorted).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

#[tokio::test]
async fn the_log_tells_what_was_asked_and_the_counters_add_up() {
    let sim = sim("A B").await;
    let client = client(&sim).await;
    let uuid = define(&client).await;
    client.post("/server/devices", json!({ "limit": 1 })).await;
    client.post("/profile/devices", json!({ "profile_uuid": uuid, "devices": ["A", "B"] })).await;
    client.post("/devices/sync", json!({})).await;
    let mut shown = String::new();
    for call in sim.calls() {
        shown.push_str(&format!(
            "{} {} {} {} in={} out={} limit={:?} {}\n",
            call.seq,
            call.server.unwrap_or_default(),
            call.endpoint,
            call.status.unwrap_or_default(),
            call.devices_in,
            call.devices_out,
            call.limit,
            call.error.unwrap_or_default()
        ));
    }
    check(
        shown,
        expect![[r#"
        1 emea session 200 in=0 out=0 limit=None 
        2 emea define 200 in=0 out=0 limit=None 
        3 emea fetch 200 in=0 out=1 limit=Some(1) 
        4 emea assign 200 in=2 out=2 limit=None 
        5 emea sync 400 in=0 out=0 limit=None CURSOR_REQUIRED
    "#]],
    );
    let counters = sim.counters();
    assert_eq!((counters.calls, counters.failed, counters.assignments), (5, 1, 2));
    assert_eq!(counters.per_endpoint[&Endpoint::Fetch], 1);
    sim.clear_calls();
    assert!(sim.calls().is_empty() && sim.counters().assignments == 2);
}

#[test]
fn a_simulator_on_its_own_thread_stops_when_dropped() {
    let sim = SimHandle::start(Options::default()).unwrap();
    sim.create_server(ServerOptions::new("emea"));
    assert_eq!(sim.generate_devices("emea", 1000, 1).unwrap().len(), 1000);
    let address = sim.url().trim_start_matches("http://").to_owned();
    std::net::TcpStream::connect(&address).unwrap();
    sim.stop();
    assert!(std::net::TcpStream::connect(&address).is_err());
}
