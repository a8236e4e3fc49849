//! How one message looks in each kind of channel.

use expect_test::{Expect, expect};
use serde_json::json;

use super::*;

fn message(subject: &str, text: &str) -> Message {
    Message {
        id: "20260109-091320-k3f9wq".parse().unwrap(),
        created_at: "2026-01-09T09:13:20Z".parse().unwrap(),
        kind: "reminder".to_owned(),
        severity: Severity::Critical,
        subject: subject.to_owned(),
        text: text.to_owned(),
        ends: Some(Ending {
            at: "2026-01-15T23:59:00Z".parse().unwrap(),
            key: "token-emea".to_owned(),
            title: "the server token emea, of Orchard Tools; expires".to_owned(),
        }),
        contacts: vec!["it@example.com".to_owned()],
        data: json!({ "token": "emea" }),
    }
}

#[track_caller]
fn check(found: &str, expected: Expect) {
    expected.assert_eq(found);
}

#[test]
fn json_says_everything() {
    check(
        &format!("{:#}", message("It ends", "Renew it.").json()),
        expect![[r#"
        {
          "contacts": [
            "it@example.com"
          ],
          "created_at": "2026-01-09T09:13:20Z",
          "data": {
            "token": "emea"
          },
          "ends_at": "2026-01-15T23:59:00Z",
          "id": "20260109-091320-k3f9wq",
          "kind": "reminder",
          "severity": "critical",
          "subject": "It ends",
          "text": "Renew it.",
          "version": 1
        }"#]],
    );
}

#[test]
fn a_calendar_has_one_entry_that_a_later_end_moves() {
    let text = "Renew it, soon; it is \\important\\.\nÜ".to_owned() + &"ü".repeat(60);
    let first = message("It ends", &text);
    let calendar = first.calendar("example.com").unwrap();
    assert!(calendar.split("\r\n").all(|line| line.len() <= 75), "{calendar}");
    check(
        &calendar.replace("\r\n", "\n"),
        expect![[r#"
        BEGIN:VCALENDAR
        VERSION:2.0
        PRODID:-//Deputy//Deputy//EN
        METHOD:PUBLISH
        BEGIN:VEVENT
        UID:token-emea@example.com
        SEQUENCE:491255
        DTSTAMP:20260109T091320Z
        DTSTART:20260115T235900Z
        SUMMARY:the server token emea\, of Orchard Tools\; expires
        DESCRIPTION:Renew it\, soon\; it is \\important\\.\nÜüüüüüüüüüü
         üüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü
         üüüüüüüüüüüüü
        TRANSP:TRANSPARENT
        BEGIN:VALARM
        ACTION:DISPLAY
        DESCRIPTION:the server token emea\, of Orchard Tools\; expires
        TRIGGER:-P7D
        END:VALARM
        BEGIN:VALARM
        ACTION:DISPLAY
        DESCRIPTION:the server token emea\, of Orchard Tools\; expires
        TRIGGER:-P1D
        END:VALARM
        END:VEVENT
        END:VCALENDAR
    "#]],
    );
    let mut renewed = first.clone();
    renewed.ends.as_mut().unwrap().at = "2027-01-15T23:59:00Z".parse().unwrap();
    let renewed = renewed.calendar("example.com").unwrap();
    let line = |calendar: &str, key: &str| {
        calendar.lines().find(|line| line.starts_with(key)).map(str::to_owned).unwrap_or_default()
    };
    assert_eq!(line(&calendar, "UID:"), line(&renewed, "UID:"));
    assert!(line(&calendar, "SEQUENCE:") < line(&renewed, "SEQUENCE:"));
    assert_eq!(Message { ends: None, ..first }.calendar("example.com"), None);
}

#[test]
fn nothing_in_a_message_is_read_as_html() {
    check(
        &message("<b>\"It\" & more", "1 < 2\n\n<script>").html(),
        expect![[r#"
        <!DOCTYPE html>
        <html>
        <body>
        <p style="font-family:system-ui,sans-serif;font-size:17px;font-weight:600;border-left:4px solid #cf222e;padding-left:10px">&lt;b&gt;&quot;It&quot; &amp; more</p>
        <div style="font-family:system-ui,sans-serif;font-size:15px;line-height:1.45;white-space:pre-wrap">1 &lt; 2

        &lt;script&gt;</div>
        <p style="font-family:system-ui,sans-serif;font-size:12px;color:#57606a">Written 2026-01-09 09:13 UTC by Deputy, 20260109-091320-k3f9wq</p>
        </body>
        </html>
    "#]],
    );
}

#[test]
fn slack_gets_blocks_and_no_mentions() {
    check(
        &format!("{:#}", message("<!channel> it ends", "Renew <it> & go.\n\nSoon.").slack()),
        expect![[r#"
        {
          "blocks": [
            {
              "text": {
                "emoji": true,
                "text": ":rotating_light: <!channel> it ends",
                "type": "plain_text"
              },
              "type": "header"
            },
            {
              "text": {
                "text": "Renew &lt;it&gt; &amp; go.\n\nSoon.",
                "type": "mrkdwn",
                "verbatim": true
              },
              "type": "section"
            },
            {
              "elements": [
                {
                  "text": "Deputy, written 2026-01-09 09:13 UTC, 20260109-091320-k3f9wq",
                  "type": "plain_text"
                }
              ],
              "type": "context"
            }
          ],
          "text": "&lt;!channel&gt; it ends"
        }"#]],
    );
}

#[test]
fn slack_gets_no_more_than_it_takes() {
    let mut long = message(&"s".repeat(400), &format!("{}\n", "<".repeat(900)).repeat(30));
    for kind in ["reminder", "run"] {
        long.kind = kind.to_owned();
        let slack = long.slack();
        let blocks = slack["blocks"].as_array().unwrap();
        let lengths: Vec<usize> =
            blocks.iter().filter_map(|block| Some(block["text"]["text"].as_str()?.chars().count())).collect();
        assert!(lengths[0] <= 150 && lengths[1..].iter().all(|length| *length <= 3000), "{lengths:?}");
        assert_eq!(lengths.len(), 5);
    }
    assert_eq!(message("no text", "").slack()["blocks"].as_array().unwrap().len(), 2);
}

#[test]
fn teams_gets_a_card_without_markdown() {
    check(
        &format!("{:#}", message("*It* ends", "Renew [it](http://x).\n\nSoon.").teams()),
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
                        "color": "attention",
                        "size": "large",
                        "text": "*It* ends",
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
                        "text": "Renew [it](http://x).",
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
                        "text": "Soon.",
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
                        "text": "Deputy, written 2026-01-09 09:13 UTC, 20260109-091320-k3f9wq",
                        "type": "TextRun"
                      }
                    ],
                    "spacing": "medium",
                    "type": "RichTextBlock"
                  }
                ],
                "fallbackText": "*It* ends",
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
        }"#]],
    );
}

#[test]
fn teams_gets_no_more_than_it_takes() {
    let long = message(&"s".repeat(400), &"ü".repeat(100_000)).teams().to_string();
    assert!(long.len() < 28 * 1024, "{}", long.len());
    let lines = message("s", &"a\n".repeat(100_000)).teams().to_string();
    assert!(lines.len() < 28 * 1024, "{}", lines.len());
}

#[test]
fn a_subject_is_one_line() {
    check(&message("It\r\nBcc: all@example.com", "").subject_line(), expect!["It  Bcc: all@example.com"]);
}
