//! What goes over the wire for the endpoints that no workflow uses yet, and what comes of answers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use expect_test::{Expect, expect};

use super::super::network::Proxy;
use super::*;

/// An Apple that opens sessions and answers everything else in one way. What it was asked: method,
/// path, version of the protocol, body.
struct Apple {
    client: Client,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Apple {
    fn answering(status: u16, body: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let store = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let store = store.clone();
                std::thread::spawn(move || serve(stream, status, body, &store));
            }
        });
        let credentials = Credentials {
            consumer_key: "1".into(),
            consumer_secret: "2".into(),
            access_token: "3".into(),
            access_secret: "4".into(),
            access_token_expiry: jiff::Timestamp::UNIX_EPOCH,
        };
        let network = Network { proxy: Proxy::None, ..Network::default() };
        let options = Options {
            base_url: url.parse().unwrap(),
            network,
            ..Options::new("emea".parse().unwrap(), credentials)
        };
        Self { client: Client::new(options).unwrap(), asked }
    }
}

fn serve(stream: TcpStream, status: u16, body: &str, asked: &Mutex<Vec<String>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        let mut sent = vec![0; header("content-length: ").parse().unwrap_or(0)];
        stream.read_exact(&mut sent).unwrap();
        let first = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1");
        let (status, body) = if first.ends_with("/session") {
            (200, r#"{"auth_session_token":"1"}"#)
        } else {
            let version = header("x-server-protocol-version: ");
            let sent = format!("{first} v{version} {}", String::from_utf8_lossy(&sent));
            asked.lock().unwrap().push(sent.trim_end().to_owned());
            (status, body)
        };
        let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.get_mut().write_all(answer.as_bytes()).unwrap();
    }
}

/// What is asked, and what comes of this answer.
#[track_caller]
fn check<T: fmt::Debug>(
    answer: (u16, &'static str),
    call: impl AsyncFnOnce(&Client) -> Result<T, Error>,
    expected: Expect,
) {
    let apple = Apple::answering(answer.0, answer.1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let found = match runtime.block_on(call(&apple.client)) {
        Ok(found) => format!("{found:?}"),
        Err(error) => format!("error: {error}\nhint: {}", error.advice().as_deref().unwrap_or("none")),
    };
    let asked = apple.asked.lock().unwrap().join("\n");
    expected.assert_eq(&format!("{asked}\n{found}\n"));
}

fn serial(text: &str) -> SerialNumber {
    text.parse().unwrap()
}

#[test]
fn devices_are_released_a_thousand_at_a_time_at_most() {
    let two = [serial("C02AA"), serial("C02AB")];
    let answer = (200, r#"{"devices":{"C02AA":"SUCCESS","C02AB":"NOT_ACCESSIBLE"}}"#);
    check(
        answer,
        async |apple| apple.disown(&two).await,
        expect![[r#"
        POST /devices/disown v10 {"devices":["C02AA","C02AB"]}
        {SerialNumber("C02AA"): Success, SerialNumber("C02AB"): NotAccessible}
    "#]],
    );
    check(
        answer,
        async |apple| apple.disown(&[]).await,
        expect![[r#"

        {}
    "#]],
    );
    let many: Vec<SerialNumber> = (0..1001).map(|nth| serial(&format!("C{nth}"))).collect();
    check(
        answer,
        async |apple| apple.disown(&many).await,
        expect![[r#"

        error: could not release devices for `emea`: 1001 devices are more than the 1,000 of one call
        hint: name fewer devices at a time
    "#]],
    );
}

#[test]
fn a_device_is_locked_with_what_is_derived_from_the_code() {
    let code: BypassCode = "3UM43-PUYVY-QYD1-UVCC-HEHJ-FKA4".parse().unwrap();
    let device = serial("C02AA");
    let answer = (200, r#"{"serial_number":"C02AA","response_status":"DEVICE_ALREADY_LOCKED"}"#);
    check(
        answer,
        async |apple| apple.activation_lock(&device, &code, Some("Call us")).await,
        expect![[r#"
            POST /device/activationlock v10 {"device":"C02AA","escrow_key":"6ab40d5eabe7218ec04182f461005600c7e3426bddd82cdb405bde9a1e0014b5","lost_message":"Call us"}
            AlreadyLocked
        "#]],
    );
    check(
        (500, ""),
        async |apple| apple.activation_lock(&device, &code, None).await,
        expect![[r#"
            POST /device/activationlock v10 {"device":"C02AA","escrow_key":"6ab40d5eabe7218ec04182f461005600c7e3426bddd82cdb405bde9a1e0014b5"}
            error: could not lock a device for `emea`: Apple's service is not available (500 without a code)
            hint: none
        "#]],
    );
}

#[test]
fn a_device_that_replaced_none_is_no_error_whichever_status_says_so() {
    let device = serial("C02AA");
    let answer = (200, r#"{"original_device_serial_number":"C02OLD","replacement_date":"2026-01-05"}"#);
    check(
        answer,
        async |apple| apple.replacement(&device).await,
        expect![[r#"
            GET /device/replacementDetails?device=C02AA v10
            Some(Replacement { original: SerialNumber("C02OLD"), on: Some(2026-01-05) })
        "#]],
    );
    check(
        (404, "DEVICE_NOT_FOUND"),
        async |apple| apple.replacement(&device).await,
        expect![[r#"
            GET /device/replacementDetails?device=C02AA v10
            None
        "#]],
    );
    check(
        (400, "\"DEVICE_NOT_FOUND\""),
        async |apple| apple.replacement(&device).await,
        expect![[r#"
            GET /device/replacementDetails?device=C02AA v10
            None
        "#]],
    );
    check(
        (404, ""),
        async |apple| apple.replacement(&device).await,
        expect![[r#"
            GET /device/replacementDetails?device=C02AA v10
            None
        "#]],
    );
    check(
        (400, "DEVICE_ID_REQUIRED"),
        async |apple| apple.replacement(&device).await,
        expect![[r#"
            GET /device/replacementDetails?device=C02AA v10
            error: could not look up which device was replaced for `emea`: Apple answered 400 DEVICE_ID_REQUIRED
            hint: try again later; if it stays, Apple's service has changed and Deputy needs an update
        "#]],
    );
}

#[test]
fn an_organisation_without_betas_is_no_error() {
    let beta = (200, r#"{"betaEnrollmentTokens":[{"token":"hush","title":"iOS 27","os":"iOS"}]}"#);
    check(
        beta,
        async |apple| apple.beta_tokens().await,
        expect![[r#"
            GET /os-beta-enrollment/tokens v1
            Tokens([BetaToken { token: SecretBox<str>([REDACTED]), title: Some("iOS 27"), os: Some("iOS") }])
        "#]],
    );
    check(
        (403, "APPLE_SEED_FOR_IT_TURNED_OFF"),
        async |apple| apple.beta_tokens().await,
        expect![[r#"
            GET /os-beta-enrollment/tokens v1
            TurnedOff
        "#]],
    );
}

#[test]
fn where_devices_find_the_mdm_is_read_set_and_taken_away() {
    let url: Url = "https://mdm.example.com/enrol".parse().unwrap();
    let set = (
        200,
        r#"{"mdm_service_discovery_url":"https://mdm.example.com","last_updated_timestamp":"2026-01-09T10:00:00Z"}"#,
    );
    check(
        set,
        async |apple| apple.discovery().await,
        expect![[r#"
            GET /account-driven-enrollment/profile v10
            Some(Discovery { url: "https://mdm.example.com", updated_at: Some(2026-01-09T10:00:00Z) })
        "#]],
    );
    check(
        (404, "NOT_FOUND"),
        async |apple| apple.discovery().await,
        expect![[r#"
            GET /account-driven-enrollment/profile v10
            None
        "#]],
    );
    check(
        (200, ""),
        async |apple| apple.set_discovery(&url).await,
        expect![[r#"
        POST /account-driven-enrollment/profile v10 {"mdm_service_discovery_url":"https://mdm.example.com/enrol"}
        ()
    "#]],
    );
    check(
        (200, ""),
        async |apple| apple.remove_discovery().await,
        expect![[r#"
            DELETE /account-driven-enrollment/profile v10
            ()
        "#]],
    );
    check(
        (400, "ORG_NOT_SUPPORTED"),
        async |apple| apple.set_discovery(&url).await,
        expect![[r#"
        POST /account-driven-enrollment/profile v10 {"mdm_service_discovery_url":"https://mdm.example.com/enrol"}
        error: could not set where devices find the MDM for `emea`: Apple answered 400 ORG_NOT_SUPPORTED
        hint: Apple does not offer this to organisations of this kind
    "#]],
    );
}
