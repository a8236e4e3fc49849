//! The way to Apple: proxies, certificate authorities, limits in time, and what keeps us from it.

use std::process::{Command, Output};

use expect_test::{Expect, expect};

use crate::env::TestEnv;
use crate::net::{Proxy, answering_tls, json, listener, nowhere, silent};

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

/// The same with another word for an address that is not Apple's.
fn text_about(env: &TestEnv, output: &Output, address: &str) -> String {
    let raw = [&output.stdout[..], &output.stderr].concat();
    env.normal(&String::from_utf8_lossy(&raw).replace(address, "ELSEWHERE"))
}

/// What `deputy token check` says, and how it ends.
#[track_caller]
pub(crate) fn check(env: &TestEnv, code: i32, expected: Expect) {
    let output = deputy(env, &["token", "check"], &[]);
    expected.assert_eq(&text(env, &output));
    assert_eq!(output.status.code(), Some(code), "{}", text(env, &output));
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
pub(crate) fn check_elsewhere(scheme: &str, address: &str, keys: &str, code: i32, expected: Expect) {
    let env = TestEnv::new();
    elsewhere(&env, &format!("{scheme}://{address}"), keys);
    let output = deputy(&env, &["token", "check"], &[]);
    expected.assert_eq(&text_about(&env, &output, address));
    assert_eq!(output.status.code(), Some(code));
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
              could not open a session for `main`: the name of ELSEWHERE cannot be resolved
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
    let untrusted = text_about(&env, &deputy(&env, &["token", "check"], &[]), &address);
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
           --> deputy.toml:115:9
            |
        115 | proxy = "gopher://****************@proxy.example:1"
            |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#]]
    .assert_eq(&text(&env, &wrong));
    env.edit("deputy.toml", "hush%40", "\\hush%40");
    let broken = deputy(&env, &["token", "check"], &[]);
    expect![[r#"
        error: not TOML: the user name or the password
           --> deputy.toml:115:9
            |
        115 | proxy = "gopher://*****************@proxy.example:1"
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
               --> deputy.toml:115:9
                |
            115 | proxy = "socks5://proxy"
                |         ^^^^^^^^^^^^^^^^

            error: cannot use `main.key`: it holds no certificate in PEM form
               --> deputy.toml:116:11
                |
            116 | ca_file = "main.key"
                |           ^^^^^^^^^^

            error: nothing is as quick as that
               --> deputy.toml:117:16
                |
            117 | read_timeout = "0s"
                |                ^^^^
                |
                = help: leave the key out for the default

            error: `60` is not a span of time: write `90s`, `15m`, `24h`, `30d` or `1h30m`
               --> deputy.toml:118:16
                |
            118 | call_timeout = "60"
                |                ^^^^
        "#]],
    );
    env.edit("deputy.toml", "main.key", "nothing.pem");
    env.edit("deputy.toml", "read_timeout = \"0s\"", "reed_timeout = \"1s\"");
    env.run(&["token", "list"]).fails(
        2,
        expect![[r#"
            error: a proxy's address begins with http:// or https://: write `http://HOST:PORT`, or `none`
               --> deputy.toml:115:9
                |
            115 | proxy = "socks5://proxy"
                |         ^^^^^^^^^^^^^^^^

            error: cannot use `nothing.pem`: No such file or directory (os error 2)
               --> deputy.toml:116:11
                |
            116 | ca_file = "nothing.pem"
                |           ^^^^^^^^^^^^^

            error: unknown key `reed_timeout`
               --> deputy.toml:117:1
                |
            117 | reed_timeout = "1s"
                | ^^^^^^^^^^^^
                |
                = help: did you mean `read_timeout`?

            error: `60` is not a span of time: write `90s`, `15m`, `24h`, `30d` or `1h30m`
               --> deputy.toml:118:16
                |
            118 | call_timeout = "60"
                |                ^^^^
        "#]],
    );
}
