//! A message as the chats want it. Each has limits; what is longer is cut, and says so.

use serde_json::{Value, json};

use super::{Message, clipped};
use crate::token::Severity;

/// Slack's limit for a header, and for the text of one section.
const SLACK_HEADER: usize = 150;
const SLACK_SECTION: usize = 3000;
/// So many sections: Slack takes 50 blocks, and nobody reads that much in a chat.
const SLACK_SECTIONS: usize = 4;
/// Teams takes 28 KiB in all: so many characters, of up to four bytes, in so many lines.
const TEAMS_TEXT: usize = 4500;
const TEAMS_LINES: usize = 60;
const TEAMS_HEADER: usize = 250;

impl Message {
    /// For an incoming webhook of Slack: blocks, and a text for notifications and old clients.
    pub fn slack(&self) -> Value {
        let mut blocks = vec![json!({
            "type": "header",
            // A header is plain text: nothing in it is read as a link or a mention.
            "text": { "type": "plain_text", "text": clipped(&format!("{} {}", self.sign(), self.subject_line()), SLACK_HEADER), "emoji": true },
        })];
        blocks.extend(pieces(self.text.trim_end(), self.is_in_columns()).into_iter().map(
            |text| json!({ "type": "section", "text": { "type": "mrkdwn", "text": text, "verbatim": true } }),
        ));
        let footer = format!("Deputy, written {}, {}", self.written(), self.id);
        blocks.push(json!({ "type": "context", "elements": [{ "type": "plain_text", "text": footer }] }));
        json!({ "text": slack_escaped(&self.subject_line()), "blocks": blocks })
    }

    /// For a webhook of a Teams workflow: a message with one Adaptive Card.
    pub fn teams(&self) -> Value {
        let colour = match self.severity {
            Severity::Info => "default",
            Severity::Warning => "warning",
            Severity::Critical => "attention",
        };
        let mut text = clipped(self.text.trim_end(), TEAMS_TEXT);
        if let Some((end, _)) = text.match_indices('\n').nth(TEAMS_LINES - 1) {
            text.replace_range(end.., "\n…");
        }
        let subject = clipped(&self.subject_line(), TEAMS_HEADER);
        let font = if self.is_in_columns() { "monospace" } else { "default" };
        let run = |text: &str| json!({ "type": "TextRun", "text": text, "fontType": font });
        // A text run is taken as it is, without Markdown; a line is a block, so that it stays one.
        let lines = text.lines().map(|line| {
            let line = if line.is_empty() { "\u{a0}" } else { line };
            json!({ "type": "RichTextBlock", "inlines": [run(line)], "spacing": "none" })
        });
        let mut body = vec![json!({
            "type": "RichTextBlock",
            "inlines": [{ "type": "TextRun", "text": subject, "size": "large", "weight": "bolder", "color": colour }],
        })];
        body.extend(lines);
        body.push(json!({
            "type": "RichTextBlock", "spacing": "medium",
            "inlines": [{ "type": "TextRun", "text": format!("Deputy, written {}, {}", self.written(), self.id), "isSubtle": true, "size": "small" }],
        }));
        json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": null,
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.4",
                    "msteams": { "width": "Full" },
                    "fallbackText": subject,
                    "body": body,
                },
            }],
        })
    }

    fn sign(&self) -> &'static str {
        match self.severity {
            Severity::Info => ":information_source:",
            Severity::Warning => ":warning:",
            Severity::Critical => ":rotating_light:",
        }
    }
}

/// The text in sections of Slack's size, cut between lines.
fn pieces(text: &str, columns: bool) -> Vec<String> {
    let (open, close) = if columns { ("```\n", "\n```") } else { ("", "") };
    let most = SLACK_SECTION - open.len() - close.len();
    let mut pieces: Vec<String> = Vec::new();
    for line in text.lines() {
        let line = clipped(&slack_escaped(line), most);
        match pieces.last_mut() {
            Some(piece) if piece.chars().count() + line.chars().count() < most => {
                piece.push('\n');
                piece.push_str(&line);
            }
            _ => pieces.push(line),
        }
    }
    // A section of nothing is refused.
    pieces.retain(|piece| !piece.trim().is_empty());
    if pieces.len() > SLACK_SECTIONS {
        pieces.truncate(SLACK_SECTIONS);
        if let Some(last) = pieces.last_mut() {
            *last = format!("{}\n…", clipped(last, most - 2));
        }
    }
    pieces.into_iter().map(|piece| format!("{open}{piece}{close}")).collect()
}

/// The three characters that Slack reads as its own.
fn slack_escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
