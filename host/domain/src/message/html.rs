//! A message as a web page, for mail: nothing to load, nothing to run, and readable in the dark.

use super::Message;
use crate::token::Severity;

impl Message {
    /// The message as HTML.
    pub fn html(&self) -> String {
        let colour = match self.severity {
            Severity::Info => "#57606a",
            Severity::Warning => "#9a6700",
            Severity::Critical => "#cf222e",
        };
        let font = if self.is_in_columns() {
            "font-family:ui-monospace,Menlo,Consolas,monospace;font-size:13px;"
        } else {
            "font-family:system-ui,sans-serif;font-size:15px;"
        };
        format!(
            "<!DOCTYPE html>\n<html>\n<body>\n\
             <p style=\"font-family:system-ui,sans-serif;font-size:17px;font-weight:600;border-left:4px solid {colour};padding-left:10px\">{}</p>\n\
             <div style=\"{font}line-height:1.45;white-space:pre-wrap\">{}</div>\n\
             <p style=\"font-family:system-ui,sans-serif;font-size:12px;color:#57606a\">Written {} by Deputy, {}</p>\n\
             </body>\n</html>\n",
            escaped(&self.subject),
            escaped(self.text.trim_end()),
            self.written(),
            self.id,
        )
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}
