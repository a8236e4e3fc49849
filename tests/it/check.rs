//! `deputy token check`: everything that can be wrong with a token or on the way to Apple, each with
//! what to do about it, and the way there: proxies, certificate authorities, limits in time.

use std::process::{Command, Output};

use expect_test::{Expect, expect};
use jiff::{SignedDuration, Timestamp};
use sim::{Endpoint, Fault, TokenOptions};

use crate::env::TestEnv;
use crate::net::{Proxy, answering, answering_tls, json, listener, nowhere, silent};

/// `deputy` with these variables of the environment and no others about proxies.
fn deputy(env: &TestEnv, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deputy"));
    command.args(arguments).current_dir(env.path());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "DEPUTY_CONFIG", "DEPUTY_LOG"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command.envs(variables.iter().copied()).output().expect("the program starts")
}

fn text(env: &TestEnv, output: &Output) -> String {
    let raw = [&output.stdout[..], &output.stderr].concat();
    env.normal(&String::from_utf8_lossy(&raw))
}

#[track_caller]
fn check(env: &TestEnv, code: i32, expected: Expect) {
    let output = deputy(env, &["token", "check"], &[]);
    expected.assert_eq(&text(env, &output));
    assert_eq!(output.status.code(), Some(code), "{}", text(env, &output));
}

/// The first call to an endpoint answered like this.
#[track_caller]
fn check_fault(fault: Fault, code: i32, expected: Expect) {
    let env = TestEnv::new();
    env.apple().fault(fault);
    check(&env, code, expected);
}

/// Apple is somewhere else, and `[apple]` has these keys.
fn elsewhere(env: &TestEnv, url: &str, keys: &str) {
    env.edit(
        "deputy.toml",
        &format!("apple_url = \"{}\"", env.apple().url()),
        &format!("apple_url = \"{url}\""),
    );
    env.append("deputy.toml", &format!("\n[apple]\n{keys}\n"));
}

/// Without the port, which differs.
#[track_caller]
fn check_elsewhere(scheme: &str, address: &str, keys: &str, code: i32, expected: Expect) {
    let env = TestEnv::new();
    elsewhere(&env, &format!("{scheme}://{address}"), keys);
    let output = deputy(&env, &["token", "check"], &[]);
    expected.assert_eq(&text(&env, &output).replace(address, "ELSEWHERE"));
    assert_eq!(output.status.code(), Some(code));
}

#[test]
fn tokens_that_work_say_until_when_and_one_that_does_not_stops_no_other() {
    let env = TestEnv::with_tokens(&["north", "south"]);
    check(
        &env,
        0,
        expect![[r#"
            north: fine
              Apple accepts it; it expires in NNN days
              server "north" of north Ltd, made by enroll-admin@north.example; pages of up to 1000 devices
            south: fine
              Apple accepts it; it expires in NNN days
              server "south" of south Ltd, made by enroll-admin@south.example; pages of up to 1000 devices
        "#]],
    );
    env.apple().sign_terms("north", false).unwrap();
    check(
        &env,
        4,
        expect![[r#"
            north: terms not signed
              could not open a session for `north`: the organisation has not accepted Apple's new terms
              hint: sign in to business.apple.com or school.apple.com as an administrator and accept the new terms; the next call that succeeds shows that it worked
            south: fine
              Apple accepts it; it expires in NNN days
              server "south" of south Ltd, made by enroll-admin@south.example; pages of up to 1000 devices
        "#]],
    );
    env.run(&["token", "check", "south"]).ends_with(0);
}

#[test]
fn a_token_that_was_never_imported_says_what_to_type() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.run(&["token", "check"]).fails(
        4,
        expect![[r#"
        error: no token is imported
        hint: `deputy token request NAME` begins the exchange with Apple's portal
    "#]],
    );
    env.run(&["token", "check", "main"]).fails(
        4,
        expect![[r#"
            main: not imported
              no token was ever imported under this name
              hint: type `deputy token request main` and follow what it says
        "#]],
    );
    env.run(&["token", "request", "main"]).is_done();
    env.run(&["token", "check", "main"]).fails(
        4,
        expect![[r#"
            main: not imported
              no token was ever imported under this name
              hint: download the token from Apple's portal, then run `deputy token import main FILE`
        "#]],
    );
    env.run(&["token", "check", "mian"]).fails(
        2,
        expect![[r#"
        error: there is no token `mian`
        hint: did you mean `main`?
    "#]],
    );
}

#[test]
fn the_result_as_json_has_the_shape_that_help_tells() {
    let env = TestEnv::with_tokens(&["north", "south"]);
    env.apple().fault(Fault::status(403, "SERVER_INACTIVE").on(Endpoint::Session).of_server("south"));
    let mut result = env.json(&["token", "check"]);
    result["tokens"][0]["days_left"] = "DAYS".into();
    result["tokens"][1]["days_left"] = "DAYS".into();
    expect![[r#"
        {
          "tokens": [
            {
              "admin_id": "enroll-admin@north.example",
              "days_left": "DAYS",
              "expires_at": "TIME",
              "hint": null,
              "name": "north",
              "org_name": "north Ltd",
              "page_limit": 1000,
              "server_name": "north",
              "server_uuid": "ID",
              "state": "fine",
              "summary": "Apple accepts it; it expires in NNN days"
            },
            {
              "admin_id": "enroll-admin@south.example",
              "days_left": "DAYS",
              "expires_at": "TIME",
              "hint": "run `deputy token request south`, create a device management service in Apple's portal with the certificate, download its token, then run `deputy token import south FILE`",
              "name": "south",
              "org_name": "south Ltd",
              "page_limit": null,
              "server_name": "south",
              "server_uuid": "ID",
              "state": "server-inactive",
              "summary": "could not open a session for `south`: the device management service is gone from Apple's portal"
            }
          ],
          "version": 1
        }"#]].assert_eq(&env.normal(&format!("{result:#}")));
    assert_eq!(env.calls(Endpoint::Fetch), []);
}

#[test]
fn each_refusal_of_apples_says_who_has_to_do_what() {
    let refused = |status, body: &str| Fault::status(status, body).on(Endpoint::Session);
    check_fault(
        refused(403, "token_expiredForbidden"),
        4,
        expect![[r#"
            main: expired
              could not open a session for `main`: the server token has expired
              hint: download a new token from Apple's portal, then run `deputy token import main FILE`
        "#]],
    );
    check_fault(
        refused(403, "token_rejectedForbidden"),
        4,
        expect![[r#"
            main: rejected
              could not open a session for `main`: Apple does not accept the server token (403 token_rejected)
              hint: it was revoked, or somebody downloaded a newer one, which ends it: import the newest file, or download a new one from Apple's portal and run `deputy token import main FILE`
        "#]],
    );
    check_fault(
        refused(403, "FORBIDDEN"),
        4,
        expect![[r#"
            main: creator gone
              could not open a session for `main`: who made the server token is gone, or may no longer use it (it was enroll-admin@main.example)
              hint: sign in to Apple's portal with an account that stays and may manage device management services, download a new token, then run `deputy token import main FILE`
        "#]],
    );
    check_fault(
        refused(403, "\"SERVER_INACTIVE\""),
        4,
        expect![[r#"
            main: server inactive
              could not open a session for `main`: the device management service is gone from Apple's portal
              hint: run `deputy token request main`, create a device management service in Apple's portal with the certificate, download its token, then run `deputy token import main FILE`
        "#]],
    );
    check_fault(
        refused(403, "{\"code\":\"ACCESS_DENIED\"}"),
        4,
        expect![[r#"
            main: access denied
              could not open a session for `main`: Apple does not let this device management service do that
              hint: look up in Apple's portal what the device management service may do
        "#]],
    );
    check_fault(
        refused(400, "oauth_problem_adviceBad Request"),
        4,
        expect![[r#"
            main: rejected
              could not open a session for `main`: Apple does not accept the server token (400 oauth_problem_advice)
              hint: check this machine's clock; if it is right, download a new token from Apple's portal and run `deputy token import main FILE`
        "#]],
    );
}

#[test]
fn trouble_at_apple_passes() {
    let busy = Fault::status(429, "TOO_MANY_REQUESTS").on(Endpoint::Session).retry_after("300");
    check_fault(
        busy,
        5,
        expect![[r#"
            main: too many requests
              could not open a session for `main`: Apple asks for fewer requests
              hint: nothing to mend here; Apple asks to be left alone for 5 minutes
        "#]],
    );
    check_fault(
        Fault::status(503, "<html>").on(Endpoint::Account),
        5,
        expect![[r#"
            main: unavailable
              could not read the account for `main`: Apple's service is not available (503 without a code)
              hint: nothing to mend here; try again later
        "#]],
    );
    check_fault(
        Fault::status(200, "<html>Sign in</html>").on(Endpoint::Session),
        5,
        expect![[r#"
            main: bad answer
              could not open a session for `main`: the answer makes no sense: it is a web page: a proxy or the sign-in page of a network answers in Apple's place
              hint: if it stays, look whether a proxy or the sign-in page of a network answers in Apple's place
        "#]],
    );
    check_fault(
        Fault::hang_up().on(Endpoint::Session),
        5,
        expect![[r#"
            main: no answer
              could not open a session for `main`: no answer from 127.0.0.1:PORT
              hint: try again later
        "#]],
    );
}

#[test]
fn a_session_that_is_refused_with_401_is_asked_for_once_more() {
    let env = TestEnv::new();
    let refused = Fault::status(401, "oauth_problem_adviceUnauthorized").on(Endpoint::Session);
    env.apple().clear_calls();
    env.apple().fault(refused.clone());
    env.run(&["token", "check"]).ends_with(0);
    assert_eq!(env.calls(Endpoint::Session).len(), 2);
    env.apple().clear_calls();
    env.apple().fault(refused.times(9));
    check(
        &env,
        4,
        expect![[r#"
            main: rejected
              could not open a session for `main`: Apple does not accept the server token (401 oauth_problem_advice)
              hint: check this machine's clock; if it is right, download a new token from Apple's portal and run `deputy token import main FILE`
        "#]],
    );
    assert_eq!(env.calls(Endpoint::Session).len(), 2);
}

#[test]
fn a_token_that_another_download_ended_says_which_file_to_import() {
    let env = TestEnv::new();
    env.run(&["token", "request", "main"]).is_done();
    env.download_token("main", &TokenOptions::default());
    check(
        &env,
        4,
        expect![[r#"
            main: replaced
              could not open a session for `main`: Apple does not accept the server token (403 token_rejected)
              hint: a new token was asked for on DATE and never imported; downloading it ended this one: run `deputy token import main FILE` with the newest file from Apple's portal
        "#]],
    );
}

#[test]
fn a_token_of_another_server_is_told() {
    let other = r#"{"server_name":"Test","server_uuid":"00000000000000000000000000000000"}"#;
    check_fault(
        Fault::status(200, other).on(Endpoint::Account),
        4,
        expect![[r#"
            main: other server
              it is a token of the server "Test", and not of "main"
              hint: download a token of the server "main" from Apple's portal, then run `deputy token import main FILE`
        "#]],
    );
}

#[test]
fn a_clock_far_from_apples_is_told_and_not_the_token() {
    let date =
        (Timestamp::now() + SignedDuration::from_secs(12 * 60 + 30)).strftime("%a, %d %b %Y %H:%M:%S GMT");
    let refusal = json("401 Unauthorized", "oauth_problem_adviceUnauthorized");
    let refusal = refusal.replacen("\r\n", &format!("\r\nDate: {date}\r\n"), 1);
    check_elsewhere(
        "http",
        &answering(move |_| refusal.clone()),
        "",
        4,
        expect![[r#"
            main: clock wrong
              could not open a session for `main`: Apple does not accept the server token, and this machine's clock is 12 minutes behind Apple's
              hint: set this machine's clock (it is 12 minutes behind Apple's)
        "#]],
    );
}

#[test]
fn what_keeps_us_from_apple_is_told_apart() {
    check_elsewhere(
        "http",
        &nowhere(),
        "",
        5,
        expect![[r#"
            main: connection refused
              could not open a session for `main`: ELSEWHERE refuses the connection
              hint: look whether a firewall is in between; if this machine gets out through a proxy only, name it as `proxy` under `[apple]`
        "#]],
    );
    // No name has a part of 64 letters, so nobody is asked for it.
    check_elsewhere(
        "http",
        &format!("{}.example", "a".repeat(64)),
        "",
        5,
        expect![[r#"
            main: name not resolved
              could not open a session for `main`: the name of DIGEST.example cannot be resolved
              hint: look after this machine's network and name servers; if it gets out through a proxy only, name it as `proxy` under `[apple]`
        "#]],
    );
    check_elsewhere(
        "http",
        &listener(silent),
        "read_timeout = \"50ms\"",
        5,
        expect![[r#"
            main: answer timeout
              could not open a session for `main`: no answer from ELSEWHERE in time
              hint: try again later
        "#]],
    );
    check_elsewhere(
        "https",
        &listener(silent),
        "connect_timeout = \"50ms\"",
        5,
        expect![[r#"
            main: connection timeout
              could not open a session for `main`: no connection to ELSEWHERE in time
              hint: look whether a firewall is in between; if this machine gets out through a proxy only, name it as `proxy` under `[apple]`
        "#]],
    );
    let web = listener(|mut stream| {
        use std::io::{Read as _, Write as _};
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    check_elsewhere(
        "https",
        &web,
        "",
        5,
        expect![[r#"
            main: no tls
              could not open a session for `main`: ELSEWHERE does not speak TLS
              hint: look whether a proxy or firewall answers in Apple's place; the address of a simulator begins with http://
        "#]],
    );
}

#[test]
fn an_authority_of_our_own_is_trusted_once_it_is_configured() {
    let env = TestEnv::new();
    let uuid = env.json(&["token", "list"])["imported"][0]["token"]["server_uuid"].clone();
    let account = format!(r#"{{"server_name":"main","server_uuid":{uuid},"org_name":"main Ltd"}}"#);
    let (address, pem) = answering_tls(move |request| {
        json("200 OK", if request.contains("/session") { r#"{"auth_session_token":"1"}"# } else { &account })
    });
    elsewhere(&env, &format!("https://{address}"), "");
    let untrusted = text(&env, &deputy(&env, &["token", "check"], &[])).replace(&address, "ELSEWHERE");
    expect![[r#"
        main: certificate not trusted
          could not open a session for `main`: the certificate of ELSEWHERE is not trusted (self-signed certificate)
          hint: if your network looks into TLS, write its certificate authority (PEM) as `ca_file` under `[apple]`
    "#]].assert_eq(&untrusted);
    env.write("ca.pem", pem);
    env.append("deputy.toml", "ca_file = \"ca.pem\"\n");
    check(
        &env,
        0,
        expect![[r#"
            main: fine
              Apple accepts it; it expires in NNN days
              server "main" of main Ltd, made by enroll-admin@main.example; pages of up to 100 devices
        "#]],
    );
}

#[test]
fn a_proxy_is_used_and_its_password_is_never_printed() {
    let (env, proxy) = (TestEnv::new(), Proxy::start());
    env.append("deputy.toml", &format!("\n[apple]\nproxy = \"http://deputy:hush%40me@{}\"\n", proxy.address));
    // What is configured wins over the environment.
    let nowhere = format!("http://{}", nowhere());
    let output =
        deputy(&env, &["-vv", "token", "check"], &[("HTTP_PROXY", &nowhere), ("NO_PROXY", "127.0.0.1")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&env, &output));
    let asked = proxy.asked();
    assert!(asked[0].starts_with(&format!("GET {}/session HTTP/1.1\r\n", env.apple().url())), "{asked:?}");
    // deputy:hush@me
    assert!(asked[0].to_lowercase().contains("proxy-authorization: basic"), "{asked:?}");
    assert!(asked[0].contains("ZGVwdXR5Omh1c2hAbWU="), "{asked:?}");

    env.edit("deputy.toml", &format!("\"{}\"", env.apple().url()), "\"https://mdmenrollment.example\"");
    let refused = deputy(&env, &["-vv", "token", "check"], &[]);
    expect![[r#"
        main: proxy refused
          could not open a session for `main`: the proxy on the way to mdmenrollment.example does not let us in
          hint: correct the user name and the password in `proxy` under `[apple]`, or in HTTPS_PROXY
    "#]].assert_eq(&text(&env, &refused).replace(&proxy.address, "PROXY"));
    assert!(proxy.asked().last().unwrap().starts_with("CONNECT mdmenrollment.example:443 "));

    env.edit("deputy.toml", "\"http://deputy:", "\"gopher://deputy:");
    env.edit("deputy.toml", &proxy.address, "proxy.example:1");
    let wrong = deputy(&env, &["token", "check"], &[]);
    expect![[r#"
        error: a proxy's address begins with http:// or https://: write `http://HOST:PORT`, or `none`
          --> deputy.toml:60:9
           |
        60 | proxy = "gopher://****************@proxy.example:1"
           |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#]]
    .assert_eq(&text(&env, &wrong));
    env.edit("deputy.toml", "hush%40", "\\hush%40");
    let broken = deputy(&env, &["token", "check"], &[]);
    expect![[r#"
        error: not TOML: the user name or the password
          --> deputy.toml:60:9
           |
        60 | proxy = "gopher://*****************@proxy.example:1"
           |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
           |
           = help: in `"…"` a backslash begins an escape; `%5C` stands for one in an address
    "#]]
    .assert_eq(&text(&env, &broken));
    for output in [&output, &refused, &wrong, &broken] {
        assert!(!text(&env, output).contains("hush"), "{}", text(&env, output));
    }
}

#[test]
fn the_proxy_of_the_environment_is_used_unless_it_is_turned_off() {
    let (env, proxy) = (TestEnv::new(), Proxy::start());
    let url = format!("http://{}", proxy.address);
    assert!(deputy(&env, &["token", "check"], &[("HTTP_PROXY", &url)]).status.success());
    let asked = proxy.asked().len();
    assert!(asked > 0);
    assert!(
        deputy(&env, &["token", "check"], &[("HTTP_PROXY", &url), ("NO_PROXY", "127.0.0.1")])
            .status
            .success()
    );
    env.append("deputy.toml", "\n[apple]\nproxy = \"none\"\n");
    assert!(deputy(&env, &["token", "check"], &[("HTTP_PROXY", &url)]).status.success());
    assert_eq!(proxy.asked().len(), asked);
}

#[test]
fn mistakes_under_apple_are_told_with_their_place() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.append(
        "deputy.toml",
        "\n[apple]\nproxy = \"socks5://proxy\"\nca_file = \"main.key\"\nread_timeout = \"0s\"\ncall_timeout = \"60\"\n",
    );
    env.write("main.key", "-----BEGIN PRIVATE KEY-----\n");
    env.run(&["token", "list"]).fails(
        2,
        expect![[r#"
        error: a proxy's address begins with http:// or https://: write `http://HOST:PORT`, or `none`
          --> deputy.toml:60:9
           |
        60 | proxy = "socks5://proxy"
           |         ^^^^^^^^^^^^^^^^

        error: cannot use `main.key`: it holds no certificate in PEM form
          --> deputy.toml:61:11
           |
        61 | ca_file = "main.key"
           |           ^^^^^^^^^^

        error: no call is as quick as that
          --> deputy.toml:62:16
           |
        62 | read_timeout = "0s"
           |                ^^^^
           |
           = help: leave the key out for the default

        error: `60` is not a span of time: write `90s`, `15m`, `24h`, `30d` or `1h30m`
          --> deputy.toml:63:16
           |
        63 | call_timeout = "60"
           |                ^^^^
    "#]],
    );
    env.edit("deputy.toml", "main.key", "nothing.pem");
    env.edit("deputy.toml", "read_timeout = \"0s\"", "reed_timeout = \"1s\"");
    env.run(&["token", "list"]).fails(
        2,
        expect![[r#"
        error: unknown key `reed_timeout`
          --> deputy.toml:62:1
           |
        62 | reed_timeout = "1s"
           | ^^^^^^^^^^^^
           |
           = help: did you mean `read_timeout`?
    "#]],
    );
}
