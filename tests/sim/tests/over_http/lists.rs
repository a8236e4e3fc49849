//! Lists that lag, repeat themselves, have gaps or say nothing.

use crate::client::Client;
use crate::{add, check, client, define, page, read, sim};
use expect_test::{Expect, expect};
use jiff::SignedDuration;
use serde_json::json;
use sim::{Settings, Sim};

/// Reads everything in pages of two, changes A, A and B, and syncs in pages of two.
async fn pages(settings: Settings, expect: Expect) {
    let sim = sim("A B C D E").await;
    sim.set_settings(settings);
    let client = client(&sim).await;
    let (fetched, cursor) = read(&client, "/server/devices", None, 2).await;
    for serial in ["A", "A", "B"] {
        sim.change_device("emea", serial, &json!({ "color": "BLUE" })).unwrap();
    }
    let (synced, _) = read(&client, "/devices/sync", Some(&cursor), 2).await;
    check(format!("{fetched}\n{synced}"), expect);
}

#[tokio::test]
async fn pages_can_repeat_what_was_on_an_earlier_one() {
    pages(Settings { duplicates: true, ..Settings::default() }, expect![[r#"
        [A, B] … [C, B] … [D, C] … [E, D]
        [modified A empty, added A empty] … [modified A empty, modified A empty] … [modified B empty, added B empty]"#]]).await;
}

#[tokio::test]
async fn empty_pages_can_come_between_full_ones() {
    pages(
        Settings { empty_pages: true, ..Settings::default() },
        expect![[r#"
        [A, B] … [] … [C, D] … [] … [E]
        [modified A empty, modified A empty] … [] … [modified B empty]"#]],
    )
    .await;
}

#[tokio::test]
async fn both_can_happen_at_once() {
    pages(Settings { empty_pages: true, duplicates: true, ..Settings::default() }, expect![[r#"
        [A, B] … [] … [C, B] … [] … [D, C] … [] … [E, D]
        [modified A empty, added A empty] … [] … [modified A empty, modified A empty] … [] … [modified B empty, added B empty]"#]]).await;
}

async fn sync(client: &Client, cursor: &str) -> String {
    page(&client.post("/devices/sync", json!({ "cursor": cursor })).await)
}

#[tokio::test]
async fn a_cursor_with_nothing_to_tell_can_be_exhausted() {
    let sim = sim("A").await;
    sim.change_settings(|settings| settings.exhausted_cursor = true);
    let client = client(&sim).await;
    let (_, cursor) = read(&client, "/server/devices", None, 2).await;
    check(sync(&client, &cursor).await, expect!["400 EXHAUSTED_CURSOR"]);
    add(&sim, "B");
    check(sync(&client, &cursor).await, expect!["[added B empty]"]);
}

#[tokio::test]
async fn changes_can_take_a_while_to_show_and_details_know_at_once() {
    let sim = sim("A B").await;
    sim.change_settings(|settings| settings.visible_after_seconds = 100);
    let client = client(&sim).await;
    let (_, cursor) = read(&client, "/server/devices", None, 9).await;
    let uuid = define(&client).await;
    client.post("/profile/devices", json!({ "profile_uuid": uuid, "devices": ["A"] })).await;
    add(&sim, "C");
    sim.remove_device("emea", "B", true).unwrap();
    let list = async || {
        let page = client.post("/server/devices", json!({})).await.json();
        let devices = page["devices"].as_array().unwrap().iter();
        let devices =
            devices.map(|device| format!("{}:{}", device["serial_number"], device["profile_status"]));
        devices.collect::<Vec<_>>().join(" ").replace('"', "")
    };
    let details = client.post("/devices", json!({ "devices": ["A"] })).await.json();
    assert_eq!(details["devices"]["A"]["profile_status"], "assigned");
    check(format!("{} {}", list().await, sync(&client, &cursor).await), expect!["A:empty B:empty []"]);
    sim.advance_clock(SignedDuration::from_secs(101));
    check(
        format!("{} {}", list().await, sync(&client, &cursor).await),
        expect![
            "A:assigned C:empty [added A assigned, added B empty, modified A assigned, added C empty, deleted B -]"
        ],
    );
}

#[tokio::test]
async fn releases_can_leave_no_record_whatever_was_asked() {
    let sim = sim("A B").await;
    sim.change_settings(|settings| settings.release_without_record = true);
    let client = client(&sim).await;
    let (_, cursor) = read(&client, "/server/devices", None, 9).await;
    sim.remove_device("emea", "A", true).unwrap();
    check(sync(&client, &cursor).await, expect!["[]"]);
    check(read(&client, "/server/devices", None, 9).await.0, expect!["[B]"]);
}

/// Assigns each of these profiles to A in turn.
async fn flip(client: &Client, profiles: &[&str]) -> String {
    let mut shown = Vec::new();
    for profile in profiles {
        let body = json!({ "profile_uuid": profile, "devices": ["A"] });
        let answer = client.post("/profile/devices", body).await.json();
        let status = answer["devices"]["A"].as_str().unwrap().to_owned();
        shown.push(match answer.get("retry_after_seconds") {
            None => status,
            Some(seconds) => format!("{status} {seconds}"),
        });
    }
    shown.join(", ")
}

async fn throttling(sim: &Sim) -> (Client, String, String) {
    sim.change_settings(|settings| {
        (settings.throttle_after, settings.throttle_seconds, settings.session_lifetime_seconds) =
            (2, 600, 9999);
        settings.hide_throttled = true;
    });
    let client = client(sim).await;
    let (one, other) = (define(&client).await, define(&client).await);
    (client, one, other)
}

#[tokio::test]
async fn a_device_that_flips_is_refused_until_it_was_left_alone_for_long_enough() {
    let sim = sim("A B").await;
    let (mut client, one, other) = throttling(&sim).await;
    check(
        flip(&client, &[&one, &one, &other, &one]).await,
        expect!["SUCCESS, SUCCESS, SUCCESS, THROTTLED 600"],
    );
    sim.advance_clock(SignedDuration::from_secs(500));
    client.version = 9;
    check(flip(&client, &[&one]).await, expect!["THROTTLED"]);
    client.version = 8;
    check(flip(&client, &[&one]).await, expect!["FAILED"]);
    sim.advance_clock(SignedDuration::from_secs(500));
    assert_eq!(sim.throttled("emea").unwrap().into_keys().collect::<Vec<_>>(), ["A"]);
    sim.advance_clock(SignedDuration::from_secs(101));
    check(flip(&client, &[&one, &other, &one]).await, expect!["SUCCESS, SUCCESS, FAILED"]);
    assert_eq!(sim.assignments_of("emea").unwrap()["A"], 5);
}

#[tokio::test]
async fn a_throttled_device_can_vanish_from_the_lists_for_that_while() {
    let sim = sim("A B").await;
    let (client, one, other) = throttling(&sim).await;
    let (all, cursor) = read(&client, "/server/devices", None, 9).await;
    flip(&client, &[&one, &other, &one]).await;
    let (list, _) = read(&client, "/server/devices", None, 9).await;
    check(format!("{all} {list} {}", sync(&client, &cursor).await), expect!["[A, B] [B] []"]);
    sim.advance_clock(SignedDuration::from_secs(600));
    let (list, _) = read(&client, "/server/devices", None, 9).await;
    check(
        format!("{list} {}", sync(&client, &cursor).await),
        expect!["[A, B] [modified A assigned, modified A assigned]"],
    );
}

#[tokio::test]
async fn a_moved_device_is_deleted_here_and_added_or_modified_there() {
    let sim = sim("A B").await;
    sim.create_server(sim::ServerOptions::new("amer"));
    let emea = client(&sim).await;
    let amer = Client::new(&sim, "amer").await;
    amer.log_in().await;
    let (_, here) = read(&emea, "/server/devices", None, 9).await;
    let (_, there) = read(&amer, "/server/devices", None, 9).await;
    let uuid = define(&emea).await;
    emea.post("/profile/devices", json!({ "profile_uuid": uuid, "devices": ["A"] })).await;
    sim.move_device("A", "emea", "amer").unwrap();
    check(
        format!("{} {}", sync(&emea, &here).await, sync(&amer, &there).await),
        expect!["[modified A assigned, deleted A -] [added A empty]"],
    );
    sim.move_device("A", "amer", "emea").unwrap();
    check(
        format!("{} {}", sync(&emea, &here).await, sync(&amer, &there).await),
        expect!["[modified A assigned, deleted A -, modified A removed] [added A empty, deleted A -]"],
    );
    assert_eq!(sim.device("emea", "A").unwrap().profile_uuid, Some(uuid));
    let mut shown = String::new();
    for (path, body) in [
        ("/servers/emea/devices/B/move", r#"{"to": "apac"}"#),
        ("/servers/emea/devices/B/move", r#"{"to": "emea"}"#),
        ("/servers/emea/devices/ZZ/move", r#"{"to": "amer"}"#),
        ("/servers/emea/devices/B/replace", r#"{"by": "A"}"#),
        ("/servers/emea/devices/B/replace", r#"{"by": "b"}"#),
        ("/servers/emea/devices/B/replace", "{}"),
    ] {
        let answer = emea.control("POST", path, body).await;
        shown.push_str(&format!("{} {}\n", answer.status, answer.text));
    }
    check(
        shown,
        expect![[r#"
        404 {"error":"there is no server `apac`"}
        400 {"error":"device `B` is on server `emea` already"}
        404 {"error":"there is no device `ZZ` on server `emea`"}
        409 {"error":"device `A` is on server `emea` already"}
        400 {"error":"a device needs a `serial_number` of upper-case letters and digits"}
        400 {"error":"the body is not right: missing field `by` at line 1 column 2"}
    "#]],
    );
}

#[tokio::test]
async fn a_replaced_device_makes_room_for_one_that_knows_it() {
    let sim = sim("A").await;
    let client = client(&sim).await;
    let (_, cursor) = read(&client, "/server/devices", None, 9).await;
    let answer = client.control("POST", "/servers/emea/devices/A/replace", r#"{"by": "B"}"#).await;
    assert_eq!(answer.short(), "200");
    let page = client.post("/devices/sync", json!({ "cursor": cursor })).await.json();
    let told = page["devices"].as_array().unwrap().iter().map(|device| {
        let flags =
            ["released_by_replacement", "is_replacement_device"].map(|flag| device.get(flag).is_some());
        format!("{} {} {flags:?}", device["op_type"], device["serial_number"])
    });
    check(
        told.collect::<Vec<_>>().join(", "),
        expect![[r#""deleted" "A" [true, false], "added" "B" [false, true]"#]],
    );
    let details = client.get("/device/replacementDetails?device=B").await.json();
    assert_eq!(details["original_device_serial_number"], "A");
    assert_eq!(details["replacement_date"].as_str().unwrap().len(), 10);
}
