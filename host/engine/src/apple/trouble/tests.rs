use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use expect_test::{Expect, expect};
use reqwest::header::HeaderMap;

use super::super::network::{Network, Proxy};
use super::*;

/// What becomes of a request to this address, over a network with one thing changed.
#[track_caller]
fn check(url: &str, change: impl FnOnce(&mut Network), expected: Expect) {
    let mut network = Network { proxy: Proxy::None, ..Network::default() };
    change(&mut network);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let trouble = runtime.block_on(async {
        let http = network.http(HeaderMap::new()).unwrap();
        Trouble::of(&http.get(url).send().await.unwrap_err())
    });
    expected.assert_eq(&format!("{}\nhint: {}\n", trouble.with("HOST"), trouble.advice().unwrap_or("none")));
}

/// Somebody who listens, and does this with every connection. The address.
fn listener(answer: impl Fn(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || listener.incoming().flatten().for_each(answer));
    address
}

/// Says this once something was said.
fn saying(text: &'static str) -> String {
    listener(move |mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(text.as_bytes());
    })
}

/// Where nobody listens.
fn nowhere() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn a_name_without_an_address_is_told_apart() {
    // No name has a part of 64 letters, so nobody is asked.
    check(
        &format!("http://{}.example", "a".repeat(64)),
        |_| (),
        expect![[r#"
        the name of HOST cannot be resolved
        hint: look after this machine's network and name servers; if it gets out through a proxy only, name it as `proxy` under `[apple]`
    "#]],
    );
}

#[test]
fn a_port_where_nobody_listens_is_told_apart() {
    check(
        &format!("http://{}", nowhere()),
        |_| (),
        expect![[r#"
        HOST refuses the connection
        hint: look whether a firewall is in between; if this machine gets out through a proxy only, name it as `proxy` under `[apple]`
    "#]],
    );
}

#[test]
fn somebody_who_does_not_speak_tls_is_told_apart() {
    let plain = saying("HTTP/1.1 400 Bad Request\r\n\r\n");
    check(
        &format!("https://{plain}"),
        |_| (),
        expect![[r#"
        HOST does not speak TLS
        hint: look whether a proxy or firewall answers in Apple's place; the address of a simulator begins with http://
    "#]],
    );
    let mute = saying("");
    check(
        &format!("https://{mute}"),
        |_| (),
        expect![[r#"
        HOST does not speak TLS
        hint: look whether a proxy or firewall answers in Apple's place; the address of a simulator begins with http://
    "#]],
    );
}

#[test]
fn somebody_who_never_answers_is_told_apart() {
    let hanging = || {
        listener(|mut stream| {
            std::thread::spawn(move || {
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest)
            });
        })
    };
    let short = Duration::from_millis(50);
    check(
        &format!("http://{}", hanging()),
        |network| network.read_timeout = short,
        expect![[r#"
        no answer from HOST in time
        hint: none
    "#]],
    );
    check(
        &format!("http://{}", hanging()),
        |network| network.call_timeout = short,
        expect![[r#"
        no answer from HOST in time
        hint: none
    "#]],
    );
    check(
        &format!("https://{}", hanging()),
        |network| network.connect_timeout = short,
        expect![[r#"
        no connection to HOST in time
        hint: look whether a firewall is in between; if this machine gets out through a proxy only, name it as `proxy` under `[apple]`
    "#]],
    );
}

#[test]
fn a_connection_that_is_cut_has_no_better_name() {
    check(
        &format!("http://{}", listener(drop)),
        |_| (),
        expect![[r#"
        no answer from HOST
        hint: none
    "#]],
    );
}

#[test]
fn a_proxy_that_does_not_let_us_through_is_told_apart() {
    let through = |answer: &'static str| {
        let url = format!("http://hush:hush@{}", saying(answer)).parse().unwrap();
        move |network: &mut Network| network.proxy = url
    };
    let to = "https://mdmenrollment.example";
    check(
        to,
        through("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"),
        expect![[r#"
        the proxy on the way to HOST does not let us in
        hint: correct the user name and the password in `proxy` under `[apple]`, or in HTTPS_PROXY
    "#]],
    );
    check(
        to,
        through("HTTP/1.1 403 Forbidden\r\n\r\n"),
        expect![[r#"
            the proxy does not connect us to HOST
            hint: ask whoever runs the proxy to let mdmenrollment.apple.com through
        "#]],
    );
    check(
        to,
        through(""),
        expect![[r#"
            the proxy does not connect us to HOST
            hint: ask whoever runs the proxy to let mdmenrollment.apple.com through
        "#]],
    );
    let nobody = format!("http://{}", nowhere()).parse().unwrap();
    check(
        to,
        |network| network.proxy = nobody,
        expect![[r#"
        HOST refuses the connection
        hint: look whether a firewall is in between; if this machine gets out through a proxy only, name it as `proxy` under `[apple]`
    "#]],
    );
}

#[test]
fn a_certificate_is_not_trusted_for_a_reason() {
    let why = |words: &str| {
        let trouble = Trouble::told_by(&io::Error::other(words.to_owned()), false, true);
        format!("{}\nhint: {}\n", trouble.with("HOST"), trouble.advice().unwrap())
    };
    let failed =
        "error:0A000086:SSL routines:tls_post_process_server_certificate:certificate verify failed:x.c:1:";
    let reasons = ["(self-signed certificate)", "(certificate has expired)", "(hostname mismatch)", ""]
        .map(|reason| why(&format!("{failed} {reason}")));
    expect![[r#"
        the certificate of HOST is not trusted (self-signed certificate)
        hint: if your network looks into TLS, write its certificate authority (PEM) as `ca_file` under `[apple]`
        the certificate of HOST is not trusted (certificate has expired)
        hint: look at this machine's clock; if it is right, the certificate is to be renewed
        the certificate of HOST is not trusted (hostname mismatch)
        hint: somebody else answers under this name: look at `apple_url` and at this machine's name servers
        the certificate of HOST is not trusted (for a reason unknown)
        hint: if your network looks into TLS, write its certificate authority (PEM) as `ca_file` under `[apple]`
    "#]].assert_eq(&reasons.concat());
}
