//! Each kind of channel against a real receiver: what arrives, byte for byte, and what is said when
//! nothing does.

use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use expect_test::{Expect, expect};
use jiff::SignedDuration;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;

use crate::certificates::Authority;
use crate::env::TestEnv;
use crate::hook::Hook;
use crate::net;
use crate::postbox::{Fault, Mail, Postbox, Tls};
use crate::tokens::expires_in;

const PASSWORD: &str = "correct-horse-battery";
const SECRET: &str = "whsec_c2l4dGVlbiBieXRlcyBhdCBsZWFzdA==";

/// A token that ends in nine days, so that there is something to say.
fn ending() -> TestEnv {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.exchange("main", &expires_in(SignedDuration::from_hours(9 * 24 + 1)));
    env
}

/// A channel `ops` with these keys.
pub(crate) fn channel(env: &TestEnv, keys: &str) {
    let before = env.read("deputy.toml");
    let before = before.split("\n[channels.ops]").next().unwrap_or_default();
    env.write("deputy.toml", format!("{before}\n[channels.ops]\n{keys}\n"));
}

/// A secret in a file of its owner's.
pub(crate) fn secret(env: &TestEnv, file: &str, text: &str) {
    env.write(file, format!("{text}\n"));
    std::fs::set_permissions(env.file(file), std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// The channel `ops` by this mail server, as somebody it knows.
pub(crate) fn by_mail(env: &TestEnv, postbox: &Postbox, authority: &Authority, more: &str) {
    secret(env, "password", PASSWORD);
    env.write("ca.pem", authority.pem());
    postbox.wants("deputy", PASSWORD);
    let keys = format!(
        "kind = \"email\"\nhost = \"127.0.0.1\"\nport = {}\nca_file = \"ca.pem\"\nuser = \"deputy\"\n\
         password_from = {{ file = \"password\" }}\nfrom = \"Deputy <deputy@example.com>\"\n{more}",
        postbox.port()
    );
    channel(env, &keys);
}

/// The source of a mail without what differs from day to day.
fn normal(env: &TestEnv, mail: &Mail) -> String {
    let mut source = mail.source.clone();
    while let Some(rest) = source.split_once("boundary=\"").map(|(_, rest)| rest.to_owned()) {
        let boundary = rest.split('"').next().unwrap_or_default().to_owned();
        source = source
            .replace(&format!("boundary=\"{boundary}\""), "boundary=BOUNDARY")
            .replace(&boundary, "BOUNDARY");
    }
    // The encoding of its lines and the folding of the calendar's would cut what differs in two.
    source = source.replace("=\n", "").replace("=20", " ").replace("=3D", "=");
    if let Some((before, calendar)) = source.split_once("BEGIN:VCALENDAR") {
        source = format!("{before}BEGIN:VCALENDAR{}", calendar.replace("\n ", ""));
    }
    let line = |line: &str| {
        for head in ["Date: ", "DTSTAMP:", "DTSTART:", "SEQUENCE:"] {
            if line.starts_with(head) {
                return format!("{head}WHEN\n");
            }
        }
        format!("{}\n", line.trim_end())
    };
    env.normal(&source.lines().map(line).collect::<String>())
}

#[test]
fn a_mail_has_text_a_page_and_the_date_for_the_calendar() {
    let (env, authority) = (ending(), Authority::new());
    let postbox = Postbox::start(Tls::OnRequest, &authority);
    by_mail(
        &env,
        &postbox,
        &authority,
        "reply_to = \"IT <it@example.com>\"\nto = [\"Opérations <ops@example.com>\"]\ncontacts = true",
    );
    env.edit("deputy.toml", "contacts = []", "contacts = [\"head@example.com\", \"OPS@example.com\"]");
    env.run(&["run", "token-reminders"]).is_done();
    let mails = postbox.mails();
    let envelope = |mail: &Mail| {
        format!(
            "{} to {}, protected: {}, as {:?}\n",
            mail.from,
            mail.to.join(", "),
            mail.protected,
            mail.user
        )
    };
    expect![[r#"
        deputy@example.com to ops@example.com, protected: true, as Some("deputy")
        deputy@example.com to head@example.com, protected: true, as Some("deputy")
    "#]]
    .assert_eq(&mails.iter().map(envelope).collect::<String>());
    expect![[r#"
        Message-ID: <deputy-RUN@example.com>
        Date: WHEN
        From: Deputy <deputy@example.com>
        To: =?utf-8?b?T3DDqXJhdGlvbnM=?= <ops@example.com>
        Subject: the server token `main` of main Ltd ends in 9 days
        Auto-Submitted: auto-generated
        Reply-To: IT <it@example.com>
        MIME-Version: 1.0
        Content-Type: multipart/mixed;
         boundary=BOUNDARY

        --BOUNDARY
        Content-Type: multipart/alternative;
         boundary=BOUNDARY

        --BOUNDARY
        Content-Type: text/plain; charset=utf-8
        Content-Transfer-Encoding: quoted-printable

        The server token `main` of main Ltd ends on DAY, in 9 days.
        From then on, new devices of "main" get no enrolment profile; devices that are enrolled are not affected. Depending on this token: 0 devices.

        What to do:
        1. Sign in at https://business.apple.com or https://school.apple.com, as enroll-admin@main.example if you can: a token made by another account ends with that account.
        2. Open Preferences, then the device management service "main", and choose Download Token.
        3. Where Deputy runs, at once, since downloading a new token ends the old one: deputy token import main FILE.p7m

        To be told: head@example.com, OPS@example.com
        --BOUNDARY
        Content-Type: text/html; charset=utf-8
        Content-Transfer-Encoding: quoted-printable

        <!DOCTYPE html>
        <html>
        <body>
        <p style="font-family:system-ui,sans-serif;font-size:17px;font-weight:600;border-left:4px solid #9a6700;padding-left:10px">the server token `main` of main Ltd ends in 9 days</p>
        <div style="font-family:system-ui,sans-serif;font-size:15px;line-height:1.45;white-space:pre-wrap">The server token `main` of main Ltd ends on DAY, in 9 days.
        From then on, new devices of &quot;main&quot; get no enrolment profile; devices that are enrolled are not affected. Depending on this token: 0 devices.

        What to do:
        1. Sign in at https://business.apple.com or https://school.apple.com, as enroll-admin@main.example if you can: a token made by another account ends with that account.
        2. Open Preferences, then the device management service &quot;main&quot;, and choose Download Token.
        3. Where Deputy runs, at once, since downloading a new token ends the old one: deputy token import main FILE.p7m

        To be told: head@example.com, OPS@example.com</div>
        <p style="font-family:system-ui,sans-serif;font-size:12px;color:#57606a">Written TIME by Deputy, RUN</p>
        </body>
        </html>

        --BOUNDARY--
        --BOUNDARY
        Content-Disposition: attachment; filename="token-main.ics"
        Content-Type: text/calendar; method=PUBLISH; charset=utf-8
        Content-Transfer-Encoding: quoted-printable

        BEGIN:VCALENDAR
        VERSION:2.0
        PRODID:-//Deputy//Deputy//EN
        METHOD:PUBLISH
        BEGIN:VEVENT
        UID:token-main@example.com
        SEQUENCE:WHEN
        DTSTAMP:WHEN
        DTSTART:WHEN
        SUMMARY:The server token main expires
        DESCRIPTION:The server token `main` of main Ltd ends on DAY\, in 9 days.\nFrom then on\, new devices of "main" get no enrolment profile\; devices that are enrolled are not affected. Depending on this token: 0 devices.\n\nWhat to do:\n1. Sign in at https://business.apple.com or https://school.apple.com\, as enroll-admin@main.example if you can: a token made by another account ends with that account.\n2. Open Preferences\, then the device management service "main"\, and choose Download Token.\n3. Where Deputy runs\, at once\, since downloading a new token ends the old one: deputy token import main FILE.p7m\n\nTo be told: head@example.com\, OPS@example.com
        TRANSP:TRANSPARENT
        BEGIN:VALARM
        ACTION:DISPLAY
        DESCRIPTION:The server token main expires
        TRIGGER:-P7D
        END:VALARM
        BEGIN:VALARM
        ACTION:DISPLAY
        DESCRIPTION:The server token main expires
        TRIGGER:-P1D
        END:VALARM
        END:VEVENT
        END:VCALENDAR

        --BOUNDARY--
    "#]]
    .assert_eq(&normal(&env, &mails[0]));
    assert_eq!(mails[0].head("Message-ID"), mails[1].head("Message-ID"));
    assert_eq!(mails[1].head("To"), "head@example.com");
    assert!(mails[0].source.is_ascii());
}

#[test]
fn a_run_is_told_by_mail_without_a_calendar() {
    let (env, authority) = (TestEnv::new(), Authority::new());
    let postbox = Postbox::start(Tls::Implicit, &authority);
    by_mail(&env, &postbox, &authority, "tls = \"implicit\"\nto = [\"ops@example.com\"]\ncontacts = true");
    env.edit("deputy.toml", "contacts = []", "contacts = [\"customer@example.com\"]");
    told(&env);
    let mails = postbox.mails();
    assert_eq!(mails.len(), 1, "a run is told to nobody's contacts");
    assert_eq!(mails[0].to, ["ops@example.com"]);
    expect![[r#"
        Message-ID: <deputy-RUN@example.com>
        Date: WHEN
        From: Deputy <deputy@example.com>
        To: ops@example.com
        Subject: run RUN of tell, by hand: succeeded
        Auto-Submitted: auto-generated
        MIME-Version: 1.0
        Content-Type: multipart/alternative;
         boundary=BOUNDARY

        --BOUNDARY
        Content-Type: text/plain; charset=utf-8
        Content-Transfer-Encoding: 7bit


        --BOUNDARY
        Content-Type: text/html; charset=utf-8
        Content-Transfer-Encoding: quoted-printable

        <!DOCTYPE html>
        <html>
        <body>
        <p style="font-family:system-ui,sans-serif;font-size:17px;font-weight:600;border-left:4px solid #57606a;padding-left:10px">run RUN of tell, by hand: succeeded</p>
        <div style="font-family:ui-monospace,Menlo,Consolas,monospace;font-size:13px;line-height:1.45;white-space:pre-wrap"></div>
        <p style="font-family:system-ui,sans-serif;font-size:12px;color:#57606a">Written TIME by Deputy, RUN</p>
        </body>
        </html>

        --BOUNDARY--
    "#]]
    .assert_eq(&normal(&env, &mails[0]));
}

/// A run whose end is told to everybody.
pub(crate) fn told(env: &TestEnv) {
    env.write("workflows/tell.toml", TELL);
    env.run(&["run", "tell"]).is_done();
}

/// A workflow that says something each time.
pub(crate) const TELL: &str =
    "version = 1\nname = \"tell\"\n\n[[steps]]\nuses = \"notify\"\nwhen = \"always\"\nchannels = [\"ops\"]\n";

/// What a webhook of this kind gets.
#[track_caller]
fn check_hook(kind: &str, expected: Expect) {
    let (env, hook) = (ending(), Hook::start());
    secret(&env, "url", &hook.url);
    channel(&env, &format!("kind = \"{kind}\"\nurl_from = {{ file = \"url\" }}"));
    env.run(&["run", "token-reminders"]).is_done();
    expected.assert_eq(&env.normal(&hook.got()));
    assert_eq!(hook.taken()[0].header("content-type"), "application/json");
}

#[test]
fn slack_gets_blocks() {
    check_hook(
        "slack",
        expect![[r#"
            {
              "blocks": [
                {
                  "text": {
                    "emoji": true,
                    "text": ":warning: the server token `main` of main Ltd ends in 9 days",
                    "type": "plain_text"
                  },
                  "type": "header"
                },
                {
                  "text": {
                    "text": "The server token `main` of main Ltd ends on DAY, in 9 days.\nFrom then on, new devices of \"main\" get no enrolment profile; devices that are enrolled are not affected. Depending on this token: 0 devices.\n\nWhat to do:\n1. Sign in at https://business.apple.com or https://school.apple.com, as enroll-admin@main.example if you can: a token made by another account ends with that account.\n2. Open Preferences, then the device management service \"main\", and choose Download Token.\n3. Where Deputy runs, at once, since downloading a new token ends the old one: deputy token import main FILE.p7m",
                    "type": "mrkdwn",
                    "verbatim": true
                  },
                  "type": "section"
                },
                {
                  "elements": [
                    {
                      "text": "Deputy, written TIME, RUN",
                      "type": "plain_text"
                    }
                  ],
                  "type": "context"
                }
              ],
              "text": "the server token `main` of main Ltd ends in 9 days"
            }
        "#]],
    );
}

#[test]
fn teams_gets_an_adaptive_card() {
    check_hook(
        "teams",
        expect![[r#"
            {
              "attachments": [
                {
                  "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "body": [
                      {
                        "inlines": [
                          {
                            "color": "warning",
                            "size": "large",
                            "text": "the server token `main` of main Ltd ends in 9 days",
                            "type": "TextRun",
                            "weight": "bolder"
                          }
                        ],
                        "type": "RichTextBlock"
                      },
                      {
                        "inlines": [
                          {
                            "fontType": "default",
                            "text": "The server token `main` of main Ltd ends on DAY, in 9 days.",
                            "type": "TextRun"
                          }
                        ],
                        "spacing": "none",
                        "type": "RichTextBlock"
                      },
                      {
                        "inlines": [
                          {
                            "fontType": "default",
                            "text": "From then on, new devices of \"main\" get no enrolment profile; devices that are enrolled are not affected. Depending on this token: 0 devices.",
                            "type": "TextRun"
                          }
                        ],
                        "spacing": "none",
                        "type": "RichTextBlock"
                      },
                      {
                        "inlines": [
                          {
                            "fontType": "default",
                            "text": " ",
                            "type": "TextRun"
                          }
                        ],
                        "spacing": "none",
                        "type": "RichTextBlock"
                      },
                      {
                        "inlines": [
                          {
                            "fontType": "default",
                            "text": "What to do:",
                            "type": "TextRun"
                          }
                        ],
                        "spacing": "none",
                        "type": "RichTextBlock"
                      },
                      {
                        "inlines": [
                          {
                            "fontType": "default",
                            "text": "1. Sign in at https://business.apple.com or https://school.apple.com, as enroll-admin@main.example if you can: a token made by another account ends with that account.",
                            "type": "TextRun"
                          }
                        ],
                        "spacing": "none",
                        "type": "RichTextBlock"
                      },
                      {
                        "inlines": [
                          {
                            "fontType": "default",
                            "text": "2. Open Preferences, then the device management service \"main\", and choose Download Token.",
                            "type": "TextRun"
                          }
                        ],
                        "spacing": "none",
                        "type": "RichTextBlock"
                      },
                      {
                        "inlines": [
                          {
                            "fontType": "default",
                            "text": "3. Where Deputy runs, at once, since downloading a new token ends the old one: deputy token import main FILE.p7m",
                            "type": "TextRun"
                          }
                        ],
                        "spacing": "none",
                        "type": "RichTextBlock"
                      },
                      {
                        "inlines": [
                          {
                            "isSubtle": true,
                            "size": "small",
                            "text": "Deputy, written TIME, RUN",
                            "type": "TextRun"
                          }
                        ],
                        "spacing": "medium",
                        "type": "RichTextBlock"
                      }
                    ],
                    "fallbackText": "the server token `main` of main Ltd ends in 9 days",
                    "msteams": {
                      "width": "Full"
                    },
                    "type": "AdaptiveCard",
                    "version": "1.4"
                  },
                  "contentType": "application/vnd.microsoft.card.adaptive",
                  "contentUrl": null
                }
              ],
              "type": "message"
            }
        "#]],
    );
}

#[test]
fn a_webhook_gets_json_and_can_tell_who_sent_it() {
    let (env, hook) = (ending(), Hook::start());
    secret(&env, "secret", SECRET);
    channel(
        &env,
        &format!("kind = \"webhook\"\nurl = \"{}\"\nsecret_from = {{ file = \"secret\" }}", hook.url),
    );
    env.run(&["run", "token-reminders"]).is_done();
    let taken = &hook.taken()[0];
    let id = taken.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(taken.header("webhook-id"), id);
    let signed = format!("{id}.{}.{}", taken.header("webhook-timestamp"), taken.body);
    let key = PKey::hmac(&STANDARD.decode(SECRET.trim_start_matches("whsec_")).unwrap()).unwrap();
    let mut signer = Signer::new(MessageDigest::sha256(), &key).unwrap();
    let signature = STANDARD.encode(signer.sign_oneshot_to_vec(signed.as_bytes()).unwrap());
    assert_eq!(taken.header("webhook-signature"), format!("v1,{signature}"));
    let sent: i64 = taken.header("webhook-timestamp").parse().unwrap();
    assert!((jiff::Timestamp::now().as_second() - sent).abs() < 300);
}

#[test]
fn a_webhook_goes_through_its_proxy() {
    let (env, hook, proxy) = (ending(), Hook::start(), net::Proxy::start());
    channel(
        &env,
        &format!("kind = \"webhook\"\nurl = \"{}\"\nproxy = \"http://{}\"", hook.url, proxy.address),
    );
    env.run(&["run", "token-reminders"]).is_done();
    assert_eq!((hook.count(), proxy.asked().len()), (1, 1));
}

#[test]
fn a_webhook_of_an_authority_of_ones_own_is_trusted() {
    let env = TestEnv::new();
    let (address, certificate) = net::answering_tls(|_| net::json("200 OK", "{}"));
    env.write("ca.pem", certificate);
    channel(&env, &format!("kind = \"slack\"\nurl = \"https://{address}/x\"\nca_file = \"ca.pem\""));
    env.run(&["channel", "test", "ops"]).is_done();
}

#[test]
fn a_command_gets_the_message_and_little_else() {
    let env = ending();
    env.write("page.sh", "#!/bin/sh\ncat > message.json\nenv | grep -v -e ^PWD -e ^_ -e ^SHLVL | sort > environment\necho \"$@\" > arguments\n");
    std::fs::set_permissions(env.file("page.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    channel(&env, "kind = \"command\"\ncommand = [\"./page.sh\", \"--team\", \"$(id) it\"]");
    env.run(&["run", "token-reminders"]).is_done();
    expect![[r#"
        LANG=C.UTF-8
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    "#]]
    .assert_eq(&env.read("environment"));
    assert_eq!(env.read("arguments"), "--team $(id) it\n");
    let message: serde_json::Value = serde_json::from_str(&env.read("message.json")).unwrap();
    assert_eq!((&message["kind"], &message["version"]), (&"reminder".into(), &1.into()));
}

#[test]
fn what_a_command_says_with_its_exit_status_is_told() {
    let env = TestEnv::new();
    let check = |timeout: &str, script: &str, code: i32, expected: Expect| {
        env.write("page.sh", format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(env.file("page.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let table = format!("kind = \"command\"\ncommand = [\"./page.sh\"]\ntimeout = \"{timeout}\"");
        channel(&env, &table);
        env.run(&["channel", "test", "ops"]).fails(code, expected);
    };
    check(
        "1m",
        "echo one >&2; echo the pager is off >&2; exit 1",
        5,
        expect![[r#"
            error: ops did not take it: DIR/page.sh failed (exit status: 1) and said: the pager is off
            hint: run it by hand with a message on its standard input; host/CHANNELS.md shows one
        "#]],
    );
    check(
        "1m",
        "cat; exit 65",
        4,
        expect![[r#"
        error: ops did not take it: DIR/page.sh refused the message (exit status 65) and said nothing
        hint: run it by hand with a message on its standard input; host/CHANNELS.md shows one
    "#]],
    );
    check(
        "2s",
        "echo $$ > group; echo hanging >&2; sleep 600; echo not reached",
        5,
        expect![[r#"
        error: ops did not take it: DIR/page.sh did not end within 2s and said: hanging
        hint: it was killed; raise `timeout` of the channel if it needs longer
    "#]],
    );
    check(
        "1m",
        "kill -9 $$",
        5,
        expect![[r#"
        error: ops did not take it: DIR/page.sh failed (signal: 9 (SIGKILL)) and said nothing
        hint: run it by hand with a message on its standard input; host/CHANNELS.md shows one
    "#]],
    );
    // Nothing of its group is left: a signal to it would reach nobody.
    let group = format!("-{}", env.read("group").trim());
    let reached =
        || std::process::Command::new("kill").args(["-0", "--", &group]).output().unwrap().status.success();
    env.until("what hung is gone", || !reached());
    // It speaks without end, and leaves a child behind that keeps its standard error open.
    check(
        "1m",
        "sleep 5 & yes 0123456789 | head -c 100000000 >&2; exit 3",
        5,
        expect![[r#"
        error: ops did not take it: DIR/page.sh failed (exit status: 3) and said: 0
        hint: run it by hand with a message on its standard input; host/CHANNELS.md shows one
    "#]],
    );
}

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
