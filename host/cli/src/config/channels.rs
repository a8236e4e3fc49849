//! The tables `[channels.…]`: how people are reached.
//!
//! Where a secret is belongs in them, never the secret; only the address of a webhook may stand there,
//! because for some it is none.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use domain::document::Findings;
use domain::id::{ChannelName, TokenName};
use engine::apple::{Authorities, Network};
use engine::channel::{Channel, Command, Email, Format, Hook, HookUrl, Login, Mailbox, SecretSource, Tls};
use engine::settings::TokenSettings;

use super::apple::{authorities, limit_of};
use super::file::{ChannelTable, SecretTable, TlsWord};

/// For one message, by a webhook or a program.
const TIMEOUT: Duration = Duration::from_secs(30);
/// For one mail: some servers think for half a minute before they greet a stranger.
const MAIL_TIMEOUT: Duration = Duration::from_secs(60);

/// What a table means, or none if it is wrong.
pub(super) fn channel(
    at: &str,
    table: ChannelTable,
    folder: &Path,
    findings: &mut Findings<'_>,
) -> Option<Channel> {
    let mut reading = Reading { at, folder, findings };
    match table {
        ChannelTable::Log {} => Some(Channel::Log),
        ChannelTable::Email { .. } => reading.email(table),
        ChannelTable::Slack { url, url_from, proxy, ca_file, timeout } => {
            reading.hook(Format::Slack, url, url_from, Way { proxy, ca_file, timeout })
        }
        ChannelTable::Teams { url, url_from, proxy, ca_file, timeout } => {
            reading.hook(Format::Teams, url, url_from, Way { proxy, ca_file, timeout })
        }
        ChannelTable::Webhook { url, url_from, secret_from, proxy, ca_file, timeout } => {
            let secret = secret_from.map(|table| reading.secret("secret_from", &table));
            reading.hook(Format::Json { secret }, url, url_from, Way { proxy, ca_file, timeout })
        }
        ChannelTable::Command { command, timeout } => reading.command(command, timeout),
    }
}

/// Contacts that a channel writes to must be mail addresses; to no other channel does it matter.
pub(super) fn check_contacts(
    tokens: &BTreeMap<TokenName, TokenSettings>,
    channels: &BTreeMap<ChannelName, Channel>,
    findings: &mut Findings<'_>,
) {
    let writes = |channel: &Channel| matches!(channel, Channel::Email(email) if email.contacts);
    let Some((name, _)) = channels.iter().find(|(_, channel)| writes(channel)) else { return };
    for (token, settings) in tokens {
        for (index, contact) in settings.contacts.iter().enumerate() {
            if let Err(why) = mailbox(contact) {
                let help = format!(
                    "the channel `{name}` writes to contacts; write `it@example.com` or `IT <it@example.com>`"
                );
                findings.at(&format!("/tokens/{token}/contacts/{index}"), why, Some(help));
            }
        }
    }
}

/// How to get to a webhook, as it is typed.
struct Way {
    proxy: Option<String>,
    ca_file: Option<String>,
    timeout: Option<String>,
}

struct Reading<'a, 'f> {
    at: &'a str,
    folder: &'a Path,
    findings: &'a mut Findings<'f>,
}

impl Reading<'_, '_> {
    fn wrong(&mut self, key: &str, message: impl Into<String>, help: Option<&str>) {
        self.findings.at(&format!("{}/{key}", self.at), message, help.map(str::to_owned));
    }

    fn email(&mut self, table: ChannelTable) -> Option<Channel> {
        let ChannelTable::Email {
            host,
            port,
            tls,
            ca_file,
            user,
            password_from,
            hello,
            timeout,
            from,
            reply_to,
            to,
            contacts,
        } = table
        else {
            return None;
        };
        let (tls, usual) = match tls.unwrap_or(TlsWord::Starttls) {
            TlsWord::Starttls => (Tls::StartTls, 587),
            TlsWord::Implicit => (Tls::Implicit, 465),
            TlsWord::None => (Tls::None, 25),
        };
        if !is_host(&host) {
            self.wrong(
                "host",
                "not the name or the address of a host",
                Some("write `smtp.example.com`; the port has a key of its own"),
            );
        }
        let login = match (user, password_from) {
            (None, None) => None,
            (Some(user), Some(table)) => Some(Login { user, password: self.secret("password_from", &table) }),
            (Some(_), None) => {
                let help = "write `password_from = { file = \"state/smtp-password\" }`, or `env` or `credential` in it";
                self.wrong("user", "the password is missing", Some(help));
                None
            }
            (None, Some(_)) => {
                self.wrong("password_from", "the user is missing", Some("write `user = \"…\"` as well"));
                None
            }
        };
        if login.is_some() && tls == Tls::None && !is_here(&host) {
            let help =
                "write `tls = \"starttls\"` or `tls = \"implicit\"`, or leave `user` and `password_from` out";
            self.wrong("tls", "the password would be sent in the clear", Some(help));
        }
        let from = self.mailbox("from", &from);
        let reply_to = reply_to.and_then(|text| self.mailbox("reply_to", &text));
        if to.is_empty() && !contacts {
            let help =
                "write `to = [\"ops@example.com\"]`, or `contacts = true` for the contacts of the token";
            self.findings.at(self.at, "nobody would get the mail", Some(help.to_owned()));
        }
        let to = to
            .iter()
            .enumerate()
            .filter_map(|(index, text)| self.mailbox(&format!("to/{index}"), text))
            .collect();
        let hello = match hello {
            Some(hello) if !is_host(&hello) => {
                self.wrong("hello", "not the name of a host", None);
                hello
            }
            Some(hello) => hello,
            None => from.as_ref().map_or_else(String::new, |from| from.email.domain().to_owned()),
        };
        Some(Channel::Email(Box::new(Email {
            port: port.unwrap_or(usual),
            host,
            tls,
            authorities: self.authorities(ca_file),
            login,
            hello,
            timeout: self.limit(timeout, MAIL_TIMEOUT),
            from: from?,
            reply_to,
            to,
            contacts,
        })))
    }

    fn hook(
        &mut self,
        format: Format,
        url: Option<String>,
        url_from: Option<SecretTable>,
        way: Way,
    ) -> Option<Channel> {
        let url = match (url, url_from) {
            (Some(url), None) => match HookUrl::parse(&url) {
                Ok(_) => HookUrl::Written(url.into()),
                Err(why) => {
                    self.wrong(
                        "url",
                        why,
                        Some("write the whole address, such as `https://hooks.example.com/…`"),
                    );
                    return None;
                }
            },
            (None, Some(table)) => HookUrl::From(self.secret("url_from", &table)),
            (None, None) => {
                let help = "write `url_from = { file = \"state/hook-url\" }`, or `env` or `credential` in it, or `url = \"https://…\"`";
                self.findings.at(self.at, "the address of the webhook is missing", Some(help.to_owned()));
                return None;
            }
            (Some(_), Some(_)) => {
                self.wrong(
                    "url_from",
                    "the address can come from one place only",
                    Some("keep one of `url` and `url_from`"),
                );
                return None;
            }
        };
        let limit = self.limit(way.timeout, TIMEOUT);
        let mut network = Network { read_timeout: limit, call_timeout: limit, ..Network::default() };
        if let Some(text) = &way.proxy {
            network.proxy = self.findings.parse(&format!("{}/proxy", self.at), text).unwrap_or_default();
        }
        network.authorities = self.authorities(way.ca_file);
        Some(Channel::Hook(Box::new(Hook { format, url, network })))
    }

    fn command(&mut self, command: Vec<String>, timeout: Option<String>) -> Option<Channel> {
        let timeout = self.limit(timeout, TIMEOUT);
        let mut words = command.into_iter();
        let Some(program) = words.next().filter(|program| !program.is_empty()) else {
            self.wrong(
                "command",
                "there is no program",
                Some("write `command = [\"/usr/local/bin/page\", \"--team\", \"it\"]`"),
            );
            return None;
        };
        // A name alone is looked for where programs are; a path is meant from this file.
        let path = if program.contains('/') { self.folder.join(&program) } else { program.clone().into() };
        let path = if program.contains('/') { std::path::absolute(&path).unwrap_or(path) } else { path };
        if program.contains('/') && !path.exists() {
            self.wrong("command", format!("there is no `{program}`"), None);
        }
        // The folder of a file without one is where we are.
        let folder = std::path::absolute(self.folder.join(".")).unwrap_or_else(|_| self.folder.to_owned());
        Some(Channel::Command(Command { program: path, arguments: words.collect(), folder, timeout }))
    }

    fn secret(&mut self, key: &str, table: &SecretTable) -> SecretSource {
        match (&table.file, &table.env, &table.credential) {
            (Some(file), None, None) => SecretSource::File(self.folder.join(file)),
            (None, Some(variable), None) => SecretSource::Environment(variable.clone()),
            (None, None, Some(credential)) => SecretSource::Credential(credential.clone()),
            _ => {
                let help = "write one of `file`, `env` and `credential`";
                self.wrong(key, "a secret comes from one place", Some(help));
                SecretSource::Environment(String::new())
            }
        }
    }

    fn mailbox(&mut self, key: &str, text: &str) -> Option<Mailbox> {
        mailbox(text)
            .map_err(|why| self.wrong(key, why, Some("write `it@example.com` or `IT <it@example.com>`")))
            .ok()
    }

    fn authorities(&mut self, file: Option<String>) -> Authorities {
        let Some(file) = file else { return Authorities::default() };
        authorities(&self.folder.join(&file)).unwrap_or_else(|why| {
            self.wrong("ca_file", format!("cannot use `{file}`: {why}"), None);
            Authorities::default()
        })
    }

    fn limit(&mut self, typed: Option<String>, usual: Duration) -> Duration {
        let mut limit = usual;
        if let Some(text) = typed {
            limit_of(&format!("{}/timeout", self.at), &text, &mut limit, self.findings);
        }
        limit
    }
}

/// An address that every mail server takes.
fn mailbox(text: &str) -> Result<Mailbox, String> {
    let mailbox: Mailbox = text.parse().map_err(|_| format!("`{text}` is not a mail address"))?;
    if mailbox.email.to_string().is_ascii() {
        Ok(mailbox)
    } else {
        Err(format!("`{text}` has letters in its address that not every mail server takes"))
    }
}

fn is_host(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name = !text.is_empty() && text.len() < 254 && text.chars().all(plain);
    name || text.parse::<std::net::IpAddr>().is_ok()
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
