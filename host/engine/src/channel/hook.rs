//! Webhooks: of Slack, of Teams, and of whoever wants the message as JSON.
//!
//! The last can be signed as the Standard Webhooks specification says, for which there are libraries in
//! most languages. An address is a secret: whoever has it can write there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::message::Message;
use jiff::Timestamp;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER, USER_AGENT};
use reqwest::{Response, StatusCode};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::{Next, SecretSource, Undelivered};
use crate::apple::{Network, Trouble, retry_after};

/// So much of an answer is looked at. The rest is not even fetched.
const LOOKED_AT: usize = 1024;

/// A webhook.
#[derive(Clone, Debug)]
pub struct Hook {
    /// What it wants.
    pub format: Format,
    /// Where it is.
    pub url: HookUrl,
    /// How to get there.
    pub network: Network,
}

/// What a webhook wants.
#[derive(Clone, Debug)]
pub enum Format {
    /// Blocks, as an incoming webhook of Slack takes them.
    Slack,
    /// A message with an Adaptive Card, as a webhook of a Teams workflow takes it.
    Teams,
    /// The message as JSON, signed if there is a secret.
    Json {
        /// What it is signed with.
        secret: Option<SecretSource>,
    },
}

/// Where a webhook is.
#[derive(Clone, Debug)]
pub enum HookUrl {
    /// Here.
    Written(SecretString),
    /// Somewhere that others cannot look.
    From(SecretSource),
}

impl HookUrl {
    /// An address as it is typed. Whatever is wrong, it is not quoted.
    pub fn parse(text: &str) -> Result<Url, &'static str> {
        let url: Url = text.trim().parse().map_err(|_| "not a URL")?;
        let good = matches!(url.scheme(), "http" | "https") && url.has_host();
        if good { Ok(url) } else { Err("not an http or https URL") }
    }

    fn url(&self) -> Result<Url, Undelivered> {
        let wrong = |why: String| {
            let advice = "write the whole address of the webhook there, on one line";
            Undelivered::new(Next::Later(None), why, Some(advice))
        };
        match self {
            Self::Written(text) => {
                Self::parse(text.expose_secret()).map_err(|why| wrong(format!("`url` is {why}")))
            }
            Self::From(source) => {
                let text = source.read().map_err(|reason| Undelivered { reason, next: Next::Later(None) })?;
                Self::parse(text.expose_secret())
                    .map_err(|why| wrong(format!("what {} holds is {why}", source.place())))
            }
        }
    }
}

impl Hook {
    pub(super) fn kind(&self) -> &'static str {
        match self.format {
            Format::Slack => "slack",
            Format::Teams => "teams",
            Format::Json { .. } => "webhook",
        }
    }

    pub(super) fn place(&self) -> String {
        match &self.url {
            HookUrl::Written(_) => self.url.url().map_or_else(|_| "-".to_owned(), |url| host(&url)),
            HookUrl::From(source) => format!("the address in {}", source.place()),
        }
    }

    pub(super) async fn send(&self, message: &Message) -> Result<(), Undelivered> {
        let url = self.url.url()?;
        let host = host(&url);
        let (body, headers) = self.request(message)?;
        let http = self.network.http(headers).map_err(|error| {
            Undelivered::new(
                Next::Later(None),
                format!("TLS could not be set up: {}", error.without_url()),
                None,
            )
        })?;
        let sent = http.post(url).body(body).send().await;
        let answer =
            sent.map_err(|error| Undelivered::unreachable(&Trouble::of(&error.without_url()), &host))?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(refusal(answer, &host).await)
    }

    fn request(&self, message: &Message) -> Result<(String, HeaderMap), Undelivered> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("deputy/", env!("CARGO_PKG_VERSION"))));
        let secret = match &self.format {
            Format::Slack => return Ok((message.slack().to_string(), headers)),
            Format::Teams => return Ok((message.teams().to_string(), headers)),
            Format::Json { secret } => secret,
        };
        let body = message.json().to_string();
        let (id, now) = (message.id.as_str(), Timestamp::now().as_second().to_string());
        let value = |text: &str| HeaderValue::from_str(text).expect("letters and digits make a header");
        headers.insert("webhook-id", value(id));
        headers.insert("webhook-timestamp", value(&now));
        if let Some(source) = secret {
            let secret = source.read().map_err(|reason| Undelivered { reason, next: Next::Later(None) })?;
            let signature = signature(&secret, &format!("{id}.{now}.{body}")).map_err(|why| {
                let why = format!("cannot sign with what {} holds: {why}", source.place());
                Undelivered::new(
                    Next::Later(None),
                    why,
                    Some("`openssl rand -base64 32` makes a good secret"),
                )
            })?;
            headers.insert("webhook-signature", value(&signature));
        }
        Ok((body, headers))
    }
}

/// `v1,` and the HMAC-SHA256 in Base64. A secret with `whsec_` before it is Base64 as well; any other is
/// taken as it is.
fn signature(secret: &SecretString, content: &str) -> Result<String, String> {
    let text = secret.expose_secret();
    let key = Zeroizing::new(match text.strip_prefix("whsec_") {
        Some(encoded) => STANDARD.decode(encoded).map_err(|_| "after `whsec_` comes no Base64".to_owned())?,
        None => text.as_bytes().to_vec(),
    });
    if key.len() < 16 {
        return Err("it is shorter than 16 bytes".to_owned());
    }
    let sign = || -> Result<Vec<u8>, openssl::error::ErrorStack> {
        let key = PKey::hmac(&key)?;
        Signer::new(MessageDigest::sha256(), &key)?.sign_oneshot_to_vec(content.as_bytes())
    };
    let signed = sign().map_err(|_| "OpenSSL does not take it".to_owned())?;
    Ok(format!("v1,{}", STANDARD.encode(signed)))
}

/// An answer that is no thanks.
async fn refusal(answer: Response, host: &str) -> Undelivered {
    let status = answer.status();
    let asked = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let asked = asked.and_then(|value| retry_after(value, Timestamp::now()));
    let to = answer.headers().get(LOCATION).and_then(|value| Url::parse(value.to_str().ok()?).ok());
    let to = to.as_ref().map(self::host).filter(|to| to != host);
    let code = code(answer).await.map_or(String::new(), |code| format!(" ({code})"));
    let why = format!("{host} answered {status}{code}");
    match status {
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            Undelivered::unreachable(&Trouble::ProxyCredentials, host)
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            Undelivered::new(Next::Later(asked), why, None)
        }
        _ if status.is_client_error() => Undelivered::new(Next::Refused, why, Some(advice(status))),
        // Not followed: the message, and perhaps its signature, would go where nobody configured.
        _ if status.is_redirection() => {
            let to = to.map_or(String::new(), |to| format!(", to {to}"));
            let advice =
                "it was not followed; if the webhook has moved, write its new address into the configuration";
            Undelivered::new(Next::Later(None), format!("{why}, a redirect{to}"), Some(advice))
        }
        _ => Undelivered::new(Next::Later(asked), why, None),
    }
}

fn advice(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            "the webhook is gone: make a new one, write its address into the configuration, and type `deputy outbox retry`"
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "the address or the secret is not accepted any more: make a new webhook or correct the secret, and type \
             `deputy outbox retry`"
        }
        StatusCode::PAYLOAD_TOO_LARGE => "the message is too large for it: `deputy outbox show` still has it",
        _ => {
            "look whether the address is that of a webhook, and whether `kind` is the right one; then type `deputy outbox retry`"
        }
    }
}

/// The short word that chats answer, such as `channel_is_archived`. Anything else may hold anything.
async fn code(mut answer: Response) -> Option<String> {
    let mut body = Vec::new();
    while body.len() < LOOKED_AT {
        match answer.chunk().await {
            Ok(Some(piece)) => body.extend_from_slice(&piece[..piece.len().min(LOOKED_AT)]),
            _ => break,
        }
    }
    let text = str::from_utf8(&body).ok()?.trim();
    let is_code = (3..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    is_code.then(|| text.to_owned())
}

fn host(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}", url.host_str().unwrap_or_default())
}
