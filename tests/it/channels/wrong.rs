//! What is said when nothing arrives: a receiver that says no, one that is hostile, a secret that is not there, a
//! mistake in the file.

use super::*;

/// What `channel test` says to what a mail server says.
#[track_caller]
fn check_mail(setting: impl FnOnce(&TestEnv, &Authority) -> Postbox, code: i32, expected: Expect) {
    let (env, authority) = (TestEnv::new(), Authority::new());
    let postbox = setting(&env, &authority);
    let ran = env.run(&["-vv", "channel", "test", "ops"]);
    assert!(!ran.raw().contains(PASSWORD), "{}", ran.raw());
    ran.ends_with(code);
    expected.assert_eq(&ran.text());
    drop(postbox);
}

/// The usual server, with something odd.
fn with(fault: Fault) -> impl FnOnce(&TestEnv, &Authority) -> Postbox {
    move |env, authority| {
        let postbox = Postbox::start(Tls::OnRequest, authority);
        by_mail(env, &postbox, authority, "to = [\"ops@example.com\"]\ntimeout = \"2s\"");
        postbox.fault(fault);
        postbox
    }
}

#[test]
fn what_is_wrong_with_mail_is_said_with_what_to_do() {
    check_mail(
        |env, authority| {
            let postbox = Postbox::start(Tls::OnRequest, authority);
            by_mail(env, &postbox, authority, "to = [\"ops@example.com\"]");
            postbox
        },
        0,
        expect![[r#"
            ops took it: message RUN for ops@example.com
        "#]],
    );
    check_mail(
        |env, authority| {
            let postbox = Postbox::with_certificate_for(Tls::OnRequest, authority, "mail.example.com");
            by_mail(env, &postbox, authority, "to = [\"ops@example.com\"]");
            postbox
        },
        5,
        expect![[r#"
            error: ops did not take it: the certificate of 127.0.0.1:PORT is not trusted (IP address mismatch)
            hint: the server's certificate is for another name: write the name that is in it in deputy.toml
        "#]],
    );
    check_mail(
        |env, authority| {
            let postbox = Postbox::start(Tls::Implicit, authority);
            by_mail(env, &postbox, &Authority::new(), "tls = \"implicit\"\nto = [\"ops@example.com\"]");
            postbox
        },
        5,
        expect![[r#"
            error: ops did not take it: the certificate of 127.0.0.1:PORT is not trusted (certificate signature failure)
            hint: if the server's certificate is by an authority of your own, write that authority's (PEM) as `ca_file` of the channel
        "#]],
    );
    check_mail(
        |env, authority| {
            let postbox = Postbox::start(Tls::OnRequest, authority);
            by_mail(env, &postbox, authority, "to = [\"ops@example.com\"]");
            postbox.wants("deputy", "something else");
            postbox
        },
        5,
        expect![[r#"
            error: ops did not take it: 127.0.0.1:PORT does not accept the user `deputy` and its password: 535 5.7.8 no such user or password: ***
            hint: correct `user` or the password; large providers want one made for programs (an app password)
        "#]],
    );
    check_mail(
        |env, authority| {
            let postbox = Postbox::start(Tls::None, authority);
            by_mail(env, &postbox, authority, "to = [\"ops@example.com\"]");
            postbox
        },
        5,
        expect![[r#"
            error: ops did not take it: 127.0.0.1:PORT does not offer STARTTLS
            hint: write `tls = "implicit"` if it protects connections from the first byte (port 465), or `tls = "none"` if it is in a network that you trust
        "#]],
    );
    check_mail(
        |env, authority| {
            let postbox = Postbox::start(Tls::OnRequest, authority);
            by_mail(env, &postbox, authority, "tls = \"implicit\"\nto = [\"ops@example.com\"]");
            postbox
        },
        5,
        expect![[r#"
            error: ops did not take it: 127.0.0.1:PORT does not speak TLS
            hint: look at the port and at `tls`: 587 goes with "starttls", 465 with "implicit"; for a webhook, whether its address begins with the right one of http and https
        "#]],
    );
    check_mail(
        with(Fault::Answer("RCPT", "550 5.1.1 no such user here")),
        4,
        expect![[r#"
            error: ops did not take it: 127.0.0.1:PORT refuses the recipient ops@example.com: 550 5.1.1 no such user here
            hint: look at the spelling of the address, and whether the server may send mail there for us; then type `deputy outbox retry`
        "#]],
    );
    check_mail(
        with(Fault::Answer("RCPT", "450 4.2.0 greylisted")),
        5,
        expect![[r#"
            error: ops did not take it: 127.0.0.1:PORT does not take the recipient ops@example.com now: 450 4.2.0 greylisted
            hint: what it says is the reason; it is tried again
        "#]],
    );
    check_mail(
        with(Fault::Answer("MAIL", "553 5.7.1 not yours")),
        4,
        expect![[r#"
            error: ops did not take it: 127.0.0.1:PORT refuses the sender deputy@example.com: 553 5.7.1 not yours
            hint: write an address as `from` that the server lets this user write as, and type `deputy outbox retry`
        "#]],
    );
    check_mail(
        with(Fault::Answer("MAIL", "530 5.7.0 who are you?")),
        5,
        expect![[r#"
            error: ops did not take it: 127.0.0.1:PORT refuses the sender deputy@example.com: 530 5.7.0 who are you?
            hint: it wants to know who we are: write `user` and `password_from`
        "#]],
    );
    check_mail(
        with(Fault::Answer("greeting", "554 go away")),
        5,
        expect![[r#"
            error: ops did not take it: 127.0.0.1:PORT refuses us: 554 go away
            hint: what it says is the reason; it is tried again
        "#]],
    );
    check_mail(
        with(Fault::Answer("greeting", "SSH-2.0-OpenSSH_9.9")),
        5,
        expect![[r#"
        error: ops did not take it: 127.0.0.1:PORT does not speak SMTP
        hint: look at `host` and `port` of the channel, and at `tls`
    "#]],
    );
    check_mail(
        with(Fault::HangUpInMail),
        5,
        expect![[r#"
            error: ops did not take it: no answer from 127.0.0.1:PORT
            hint: it is tried again; should the message have arrived all the same, the second has the same id
        "#]],
    );
}

#[test]
fn a_server_that_asks_in_steps_is_answered_in_steps() {
    let (env, authority) = (TestEnv::new(), Authority::new());
    let postbox = Postbox::start(Tls::OnRequest, &authority);
    by_mail(&env, &postbox, &authority, "to = [\"ops@example.com\"]");
    postbox.asks_in_steps();
    env.run(&["channel", "test", "ops"]).is_done();
    assert_eq!(postbox.mails()[0].user.as_deref(), Some("deputy"));
    secret(&env, "password", "something else");
    env.run(&["channel", "test", "ops"]).ends_with(5);
}

#[test]
fn a_test_writes_to_nobody_who_did_not_ask_for_it() {
    let (env, authority) = (TestEnv::new(), Authority::new());
    let postbox = Postbox::start(Tls::OnRequest, &authority);
    by_mail(&env, &postbox, &authority, "contacts = true");
    env.edit("deputy.toml", "contacts = []", "contacts = [\"customer@example.com\"]");
    env.run(&["channel", "test", "ops"]).fails(
        2,
        expect![[r#"
        error: `ops` writes to contacts only, and a test has none
        hint: `deputy channel test ops --to you@example.com`
    "#]],
    );
    assert_eq!(postbox.connections(), 0);
    env.run(&["channel", "test", "ops", "--to", "me@example.com"]).is_done();
    assert_eq!(postbox.mails()[0].to, ["me@example.com"]);
    env.run(&["channel", "test", "log", "--to", "me@example.com"]).fails(
        2,
        expect![[r#"
        error: `log` is no mail: `--to` has no meaning for it
    "#]],
    );
    env.run(&["channel", "test", "osp"]).fails(
        2,
        expect![[r#"
        error: there is no channel `osp`
        hint: one of `log`, `ops`
    "#]],
    );
}

#[test]
fn a_hostile_mail_server_costs_neither_memory_nor_time() {
    check_mail(
        with(Fault::EndlessGreeting),
        5,
        expect![[r#"
        error: ops did not take it: 127.0.0.1:PORT does not speak SMTP
        hint: look at `host` and `port` of the channel, and at `tls`
    "#]],
    );
    check_mail(
        with(Fault::Drip),
        5,
        expect![[r#"
            error: ops did not take it: no answer from 127.0.0.1:PORT in time
            hint: it is tried again; should the message have arrived all the same, the second has the same id
        "#]],
    );
    check_mail(
        with(Fault::TalksAhead),
        5,
        expect![[r#"
        error: ops did not take it: 127.0.0.1:PORT said more than it was asked before the connection was protected
        hint: somebody may be in between: look at the way to the server
    "#]],
    );
}

/// What `channel test` says to what a webhook answers.
#[track_caller]
fn check_answer(status: u16, headers: &[(&'static str, &str)], body: &str, code: i32, expected: Expect) {
    let (env, hook) = (TestEnv::new(), Hook::start());
    channel(&env, &format!("kind = \"slack\"\nurl = \"{}\"", hook.url));
    hook.answers(status, headers, body);
    let ran = env.run(&["-vv", "channel", "test", "ops"]);
    assert!(!ran.raw().contains("secret-path"), "{}", ran.raw());
    ran.ends_with(code);
    expected.assert_eq(&ran.text());
}

#[test]
fn what_is_wrong_with_a_webhook_is_said_with_what_to_do() {
    check_answer(
        404,
        &[],
        "no_service",
        4,
        expect![[r#"
        error: ops did not take it: 127.0.0.1:PORT answered 404 Not Found (no_service)
        hint: the webhook is gone: make a new one, write its address into the configuration, and type `deputy outbox retry`
    "#]],
    );
    check_answer(
        403,
        &[],
        "<html>who are you, secret-path?</html>",
        4,
        expect![[r#"
        error: ops did not take it: 127.0.0.1:PORT answered 403 Forbidden
        hint: the address or the secret is not accepted any more: make a new webhook or correct the secret, and type `deputy outbox retry`
    "#]],
    );
    check_answer(
        400,
        &[],
        "invalid_blocks",
        4,
        expect![[r#"
        error: ops did not take it: 127.0.0.1:PORT answered 400 Bad Request (invalid_blocks)
        hint: look whether the address is that of a webhook, and whether `kind` is the right one; then type `deputy outbox retry`
    "#]],
    );
    check_answer(
        429,
        &[("retry-after", "3")],
        "",
        5,
        expect![[r#"
        error: ops did not take it: 127.0.0.1:PORT answered 429 Too Many Requests
    "#]],
    );
    check_answer(
        502,
        &[],
        "",
        5,
        expect![[r#"
        error: ops did not take it: 127.0.0.1:PORT answered 502 Bad Gateway
    "#]],
    );
    check_answer(
        302,
        &[("location", "https://login.example.com/secret-path")],
        "",
        5,
        expect![[r#"
        error: ops did not take it: 127.0.0.1:PORT answered 302 Found, a redirect, to login.example.com
        hint: it was not followed; if the webhook has moved, write its new address into the configuration
    "#]],
    );
}

#[test]
fn a_hostile_webhook_costs_neither_memory_nor_time() {
    let (env, hook) = (TestEnv::new(), Hook::start());
    channel(&env, &format!("kind = \"webhook\"\nurl = \"{}\"", hook.url));
    hook.answers_at_length(100 << 20);
    env.run(&["channel", "test", "ops"]).is_done();
    hook.is_down(true);
    env.run(&["channel", "test", "ops"]).ends_with(5);
    let silent = net::listener(net::silent);
    channel(&env, &format!("kind = \"webhook\"\nurl = \"http://{silent}/\"\ntimeout = \"300ms\""));
    let said = env.run(&["channel", "test", "ops"]).text();
    expect![[r#"
        error: ops did not take it: no answer from 127.0.0.1:PORT in time
        hint: it is tried again; should the message have arrived all the same, the second has the same id
    "#]]
    .assert_eq(&said);
}

#[test]
fn a_secret_that_is_not_there_or_for_everybody_is_said() {
    let (env, hook) = (TestEnv::new(), Hook::start());
    let check = |keys: &str, expected: Expect| {
        channel(&env, &format!("kind = \"webhook\"\n{keys}"));
        let ran = env.run(&["channel", "test", "ops"]);
        ran.ends_with(5);
        assert!(!ran.raw().contains("hush"), "{}", ran.raw());
        expected.assert_eq(&ran.text());
    };
    check(
        "url_from = { file = \"nowhere\" }",
        expect![[r#"
        error: ops did not take it: cannot read nowhere: No such file or directory (os error 2)
        hint: look at the path in deputy.toml, and whether Deputy's user may read the file
    "#]],
    );
    check(
        "url_from = { env = \"NOT_SET\" }",
        expect![[r#"
        error: ops did not take it: the variable NOT_SET is not set
        hint: set it where Deputy is started: for the service, with EnvironmentFile= in its unit
    "#]],
    );
    check(
        "url_from = { credential = \"hook\" }",
        expect![[r#"
        error: ops did not take it: the credential `hook` is not there: $CREDENTIALS_DIRECTORY is not set
        hint: systemd sets it for a service with LoadCredential= or LoadCredentialEncrypted=
    "#]],
    );
    env.write("open", "http://example.com/hush");
    check(
        "url_from = { file = \"open\" }",
        expect![[r#"
        error: ops did not take it: open can be read by everybody (mode 644)
        hint: chmod o= open
    "#]],
    );
    secret(&env, "closed", "hush");
    check(
        "url_from = { file = \"closed\" }",
        expect![[r#"
        error: ops did not take it: what closed holds is not a URL
        hint: write the whole address of the webhook there, on one line
    "#]],
    );
    secret(&env, "empty", "");
    check(
        "url_from = { file = \"empty\" }",
        expect![[r#"
        error: ops did not take it: empty is empty
    "#]],
    );
    check(
        &format!("url = \"{}\"\nsecret_from = {{ file = \"closed\" }}", hook.url),
        expect![[r#"
        error: ops did not take it: cannot sign with what closed holds: it is shorter than 16 bytes
        hint: `openssl rand -base64 32` makes a good secret
    "#]],
    );
}

#[test]
fn channels_are_listed_without_what_is_secret() {
    let (env, hook) = (TestEnv::new(), Hook::start());
    channel(&env, &format!("kind = \"slack\"\nurl = \"{}\"", hook.url));
    told(&env);
    // Long ago, so that a slow machine says the same.
    env.store().execute_batch("UPDATE channel SET delivered_at = delivered_at - 3 * 86400000").unwrap();
    let text = env.run(&["channel", "list"]).text();
    expect![[r#"
        CHANNEL  KIND   LEADS TO         WAITING  LAST
        log      log    the log          0        never used
        ops      slack  127.0.0.1:PORT  0        delivered 3 days ago
    "#]]
    .assert_eq(&text);
    let at = "UPDATE channel SET delivered_at = 1767950000000";
    env.store().execute_batch(at).unwrap();
    let data = env.json(&["channel", "list"]);
    assert!(!data.to_string().contains("secret-path"), "{data}");
    expect![[r#"
        {
          "channels": [
            {
              "kind": "log",
              "leads_to": "the log",
              "name": "log",
              "state": null
            },
            {
              "kind": "slack",
              "leads_to": "127.0.0.1:PORT",
              "name": "ops",
              "state": {
                "delivered_at": "TIME",
                "failing_since": null,
                "failures": 0,
                "oldest": null,
                "set_aside": 0,
                "trouble": null,
                "waiting": 0
              }
            }
          ],
          "version": 1
        }"#]]
    .assert_eq(&env.normal(&format!("{data:#}")));
}

#[test]
fn mistakes_in_channels_are_told_with_their_place_and_without_secrets() {
    let env = TestEnv::new();
    let check = |keys: &str, expected: Expect| {
        channel(&env, keys);
        let ran = env.run(&["channel", "list"]);
        ran.ends_with(2);
        assert!(!ran.raw().contains("hush"), "{}", ran.raw());
        expected.assert_eq(&ran.text());
    };
    check(
        "kind = \"mail\"",
        expect![[r#"
            error: unknown `kind` value `mail`
               --> deputy.toml:115:8
                |
            115 | kind = "mail"
                |        ^^^^^^
                |
                = help: did you mean `email`?
        "#]],
    );
    check(
        "kind = \"email\"\nhost = \"mail.example.com\"\nfrom = \"deputy@example.com\"",
        expect![[r#"
            error: nobody would get the mail
               --> deputy.toml:114:11
                |
            114 | [channels.ops]
                |           ^^^
                |
                = help: write `to = ["ops@example.com"]`, or `contacts = true` for the contacts of the token
        "#]],
    );
    check(
        "kind = \"email\"\nhost = \"mail.example.com:25\"\ntls = \"none\"\nuser = \"me\"\npassword_from = { file = \"a\", env = \"B\" }\n\
         from = \"Deputy\"\nto = [\"ops@example.com\", \"opérations@example.com\"]\nhello = \"a b\"\ntimeout = \"0s\"",
        expect![[r#"
            error: not the name or the address of a host
               --> deputy.toml:116:8
                |
            116 | host = "mail.example.com:25"
                |        ^^^^^^^^^^^^^^^^^^^^^
                |
                = help: write `smtp.example.com`; the port has a key of its own

            error: the password would be sent in the clear
               --> deputy.toml:117:7
                |
            117 | tls = "none"
                |       ^^^^^^
                |
                = help: write `tls = "starttls"` or `tls = "implicit"`, or leave `user` and `password_from` out

            error: a secret comes from one place
               --> deputy.toml:119:1
                |
            119 | password_from = { file = "a", env = "B" }
                | ^^^^^^^^^^^^^
                |
                = help: write one of `file`, `env` and `credential`

            error: `Deputy` is not a mail address
               --> deputy.toml:120:8
                |
            120 | from = "Deputy"
                |        ^^^^^^^^
                |
                = help: write `it@example.com` or `IT <it@example.com>`

            error: `opérations@example.com` has letters in its address that not every mail server takes
               --> deputy.toml:121:26
                |
            121 | to = ["ops@example.com", "opérations@example.com"]
                |                          ^^^^^^^^^^^^^^^^^^^^^^^^
                |
                = help: write `it@example.com` or `IT <it@example.com>`

            error: not the name of a host
               --> deputy.toml:122:9
                |
            122 | hello = "a b"
                |         ^^^^^

            error: nothing is as quick as that
               --> deputy.toml:123:11
                |
            123 | timeout = "0s"
                |           ^^^^
                |
                = help: leave the key out for the default
        "#]],
    );
    check(
        "kind = \"email\"\nhost = \"h\"\nfrom = \"d@example.com\"\nto = [\"o@example.com\"]\nuser = \"me\"\npassword = \"hush\"",
        expect![[r#"
            error: unknown key `password`
               --> deputy.toml:120:1
                |
            120 | password = "****"
                | ^^^^^^^^
                |
                = help: did you mean `password_from`?
        "#]],
    );
    check(
        "kind = \"slack\"",
        expect![[r#"
            error: the address of the webhook is missing
               --> deputy.toml:114:11
                |
            114 | [channels.ops]
                |           ^^^
                |
                = help: write `url_from = { file = "state/hook-url" }`, or `env` or `credential` in it, or `url = "https://…"`
        "#]],
    );
    check(
        "kind = \"slack\"\nurl = \"hooks.example.com/hush\"",
        expect![[r#"
            error: not a URL
               --> deputy.toml:116:7
                |
            116 | url = "**********************"
                |       ^^^^^^^^^^^^^^^^^^^^^^^^
                |
                = help: write the whole address, such as `https://hooks.example.com/…`
        "#]],
    );
    check(
        "kind = \"slack\"\nulr = \"https://hooks.example.com/hush\"",
        expect![[r#"
            error: unknown key `ulr`
               --> deputy.toml:116:1
                |
            116 | ulr = "https://hooks.example.com/****"
                | ^^^
                |
                = help: one of `ca_file`, `kind`, `proxy`, `timeout`, `url`, `url_from`
        "#]],
    );
    check(
        "kind = \"webhook\"\nurl = \"http://a/hush\"\nurl_from = { env = \"A\" }\nsecret_from = \"hush\"",
        expect![[r#"
            error: must be a table, not a string
               --> deputy.toml:118:15
                |
            118 | secret_from = "****"
                |               ^^^^^^
        "#]],
    );
    check(
        "kind = \"webhook\"\nurl = \"http://a/hush\"\nproxy = \"me:hush@a\"\nca_file = \"none.pem\"",
        expect![[r#"
            error: a proxy's address begins with http:// or https://: write `http://HOST:PORT`, or `none`
               --> deputy.toml:117:9
                |
            117 | proxy = "*******@a"
                |         ^^^^^^^^^^^

            error: cannot use `none.pem`: No such file or directory (os error 2)
               --> deputy.toml:118:11
                |
            118 | ca_file = "none.pem"
                |           ^^^^^^^^^^
        "#]],
    );
    check(
        "kind = \"command\"\ncommand = []",
        expect![[r#"
            error: there is no program
               --> deputy.toml:116:11
                |
            116 | command = []
                |           ^^
                |
                = help: write `command = ["/usr/local/bin/page", "--team", "it"]`
        "#]],
    );
    check(
        "kind = \"command\"\ncommand = [\"./none\"]",
        expect![[r#"
            error: there is no `./none`
               --> deputy.toml:116:11
                |
            116 | command = ["./none"]
                |           ^^^^^^^^^^
        "#]],
    );
    check(
        "kind = \"slack\"\nurl = \"https://hooks.example.com/hu\\qsh\"",
        expect![[r#"
            error: not TOML: the address
               --> deputy.toml:116:7
                |
            116 | url = "https://hooks.example.com/******"
                |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
                |
                = help: in `"…"` a backslash begins an escape; `%5C` stands for one in an address
        "#]],
    );
    env.edit("deputy.toml", "contacts = []", "contacts = [\"the IT desk\"]");
    check(
        "kind = \"email\"\nhost = \"h\"\nfrom = \"d@example.com\"\ncontacts = true",
        expect![[r#"
            error: `the IT desk` is not a mail address
              --> deputy.toml:18:13
               |
            18 | contacts = ["the IT desk"]                       # whom reminders are for: ["it@example.com"]
               |             ^^^^^^^^^^^^^
               |
               = help: the channel `ops` writes to contacts; write `it@example.com` or `IT <it@example.com>`
        "#]],
    );
}
