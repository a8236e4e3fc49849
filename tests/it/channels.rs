//! Each kind of channel against a real receiver: what arrives, byte for byte; and in `wrong` what is said when
//! nothing does.

mod wrong;

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
