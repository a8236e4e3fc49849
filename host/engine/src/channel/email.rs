//! Mail: who gets it and what its source text is. How it is handed to a mail server is in `smtp`.
//!
//! Each recipient gets a mail of their own. Nobody sees who else was told, and one refused address
//! costs no other its mail. All copies of a message have the same `Message-ID`, by which whoever gets a
//! repetition can tell that it is one.

use std::time::Duration;

use domain::message::Message;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, MultiPart};

pub use lettre::message::Mailbox;

use super::{Next, SecretSource, Undelivered, smtp};
use crate::apple::Authorities;

/// How to send mail, and to whom.
#[derive(Clone, Debug)]
pub struct Email {
    /// The mail server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: Tls,
    /// Whose certificates to trust besides the system's.
    pub authorities: Authorities,
    /// Who we are to the server; none if it wants to know nothing.
    pub login: Option<Login>,
    /// The name we greet the server with.
    pub hello: String,
    /// For one mail, from connecting to the server's last word.
    pub timeout: Duration,
    /// Who writes.
    pub from: Mailbox,
    /// Who gets the answers, if not who writes.
    pub reply_to: Option<Mailbox>,
    /// Who gets every message.
    pub to: Vec<Mailbox>,
    /// Whether those whom a message concerns get it too.
    pub contacts: bool,
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// It begins in the clear and must be protected before anything is said.
    StartTls,
    /// It is protected from the first byte.
    Implicit,
    /// It is not.
    None,
}

/// Who we are to a mail server.
#[derive(Clone, Debug)]
pub struct Login {
    /// The user.
    pub user: String,
    /// Where the password is.
    pub password: SecretSource,
}

impl Email {
    pub(super) fn place(&self) -> String {
        let mut to: Vec<String> = self.to.iter().map(|to| to.email.to_string()).collect();
        if self.contacts {
            to.push("the contacts of the token".to_owned());
        }
        format!("{} by {}:{}", to.join(", "), self.host, self.port)
    }

    /// Everybody who is to get a message, each once.
    pub(super) fn recipients(&self, contacts: &[String]) -> Vec<String> {
        let contacts = contacts.iter().filter(|_| self.contacts).filter_map(|text| text.parse().ok());
        let mut known: Vec<String> = Vec::new();
        let mut recipients = Vec::new();
        for mailbox in self.to.iter().cloned().chain(contacts) {
            let address = mailbox.email.to_string().to_ascii_lowercase();
            if !known.contains(&address) {
                known.push(address);
                recipients.push(mailbox.to_string());
            }
        }
        recipients
    }

    pub(super) async fn send(&self, message: &Message, recipient: &str) -> Result<(), Undelivered> {
        let refused = |why: String| Undelivered::new(Next::Refused, why, None);
        let to: Mailbox =
            recipient.parse().map_err(|_| refused(format!("`{recipient}` is no mail address")))?;
        let source = self
            .source(message, &to)
            .map_err(|error| refused(format!("no mail can be made of it: {error}")))?;
        smtp::send(self, to.email.as_ref(), &source).await
    }

    /// The mail as it is sent.
    fn source(&self, message: &Message, to: &Mailbox) -> Result<Vec<u8>, lettre::error::Error> {
        let domain = self.from.email.domain();
        let mut mail = lettre::Message::builder()
            .message_id(Some(format!("<deputy-{}@{domain}>", message.id)))
            // When it was written: a mail that waited says so.
            .date(message.created_at.into())
            .from(self.from.clone())
            .to(to.clone())
            .subject(message.subject_line())
            // Whoever is away need not tell us.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        if let Some(reply_to) = &self.reply_to {
            mail = mail.reply_to(reply_to.clone());
        }
        let words = MultiPart::alternative_plain_html(message.text.clone(), message.html());
        let mail = match message.calendar(domain) {
            None => mail.multipart(words)?,
            Some(calendar) => {
                let kind = ContentType::parse("text/calendar; method=PUBLISH; charset=utf-8");
                let name = message.ends.as_ref().map_or("", |ends| &ends.key);
                let file =
                    Attachment::new(format!("{name}.ics")).body(calendar, kind.expect("a content type"));
                mail.multipart(MultiPart::mixed().multipart(words).singlepart(file))?
            }
        };
        Ok(mail.formatted())
    }
}
