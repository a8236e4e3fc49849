//! What kept us from Apple: from what the HTTP library says to what a person can look after.
//!
//! Its errors nest those of the layers below it, some of whose types are not for others to name.
//! Those are known by their words, and the tests below hold them to it.

use std::error::Error as StdError;
use std::io;

/// What kept us from Apple, or an answer from us.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// The name of the host has no address, or nobody could be asked for it.
    Name,
    /// Nobody listens there, or a firewall says so.
    Refused,
    /// It took too long to connect.
    SlowConnection,
    /// Who answers has a certificate that we do not trust, and why, in OpenSSL's words.
    Untrusted(String),
    /// Who answers does not speak TLS, or breaks it off.
    NoTls,
    /// The proxy does not let us through.
    NoTunnel,
    /// The proxy wants to know who we are, or does not believe it.
    ProxyCredentials,
    /// Connected, but the answer, or the rest of it, took too long.
    SlowAnswer,
    /// The connection was cut, or something we have no name for.
    Other,
}

impl Trouble {
    pub(crate) fn of(error: &reqwest::Error) -> Self {
        let (timeout, connecting) = (error.is_timeout(), error.is_connect());
        Self::told_by(error, timeout, connecting)
    }

    /// The same for an error of TLS itself, while it is being agreed upon.
    pub(crate) fn in_words_of(error: &(dyn StdError + 'static)) -> Self {
        match Self::told_by(error, false, true) {
            // Whatever else keeps TLS from beginning.
            Self::Other => Self::NoTls,
            trouble => trouble,
        }
    }

    fn told_by(error: &(dyn StdError + 'static), timeout: bool, connecting: bool) -> Self {
        let (mut layers, mut layer) = (Vec::new(), Some(error));
        while let Some(error) = layer {
            layers.push(error);
            layer = error.source();
        }
        let words: Vec<String> = layers.iter().map(ToString::to_string).collect();
        let has = |word: &str| words.iter().any(|said| said.contains(word));
        let of_system = |error: &&(dyn StdError + 'static)| error.downcast_ref().map(io::Error::kind);
        let refused =
            layers.iter().filter_map(of_system).any(|kind| kind == io::ErrorKind::ConnectionRefused);
        if has("proxy authorization required") {
            Self::ProxyCredentials
        } else if timeout {
            if connecting { Self::SlowConnection } else { Self::SlowAnswer }
        } else if has("dns error") {
            Self::Name
        } else if let Some(untrusted) = words.iter().find(|said| said.contains("certificate verify failed")) {
            Self::Untrusted(reason(untrusted))
        } else if refused {
            Self::Refused
        } else if has("SSL routines") || (connecting && has("unexpected EOF")) {
            Self::NoTls
        } else if has("tunnel error: unsuccessful") || has("tunnel error: unexpected end of file") {
            Self::NoTunnel
        } else {
            Self::Other
        }
    }

    /// Whether the request may have reached Apple all the same: only the answer is missing.
    pub fn may_be_after_sending(&self) -> bool {
        matches!(self, Self::SlowAnswer | Self::Other)
    }

    /// The trouble in words, with the `host` that was to be reached.
    pub(crate) fn with(&self, host: &str) -> String {
        match self {
            Self::Name => format!("the name of {host} cannot be resolved"),
            Self::Refused => format!("{host} refuses the connection"),
            Self::SlowConnection => format!("no connection to {host} in time"),
            Self::Untrusted(why) => format!("the certificate of {host} is not trusted ({why})"),
            Self::NoTls => format!("{host} does not speak TLS"),
            Self::NoTunnel => format!("the proxy does not connect us to {host}"),
            Self::ProxyCredentials => format!("the proxy on the way to {host} does not let us in"),
            Self::SlowAnswer => format!("no answer from {host} in time"),
            Self::Other => format!("no answer from {host}"),
        }
    }

    /// Whether time alone will not mend it.
    pub(super) fn needs_person(&self) -> bool {
        matches!(self, Self::Untrusted(_) | Self::ProxyCredentials)
    }

    /// What a person can do or look after.
    pub(super) fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Self::Name => {
                "look after this machine's network and name servers; if it gets out through a proxy only, \
                 name it as `proxy` under `[apple]`"
            }
            Self::NoTunnel => "ask whoever runs the proxy to let mdmenrollment.apple.com through",
            Self::Refused | Self::SlowConnection => {
                "look whether a firewall is in between; if this machine gets out through a proxy only, name it as \
                 `proxy` under `[apple]`"
            }
            Self::Untrusted(why) if why.contains("expired") || why.contains("not yet valid") => {
                "look at this machine's clock; if it is right, the certificate is to be renewed"
            }
            Self::Untrusted(why) if why.contains("mismatch") => {
                "somebody else answers under this name: look at `apple_url` and at this machine's name servers"
            }
            Self::Untrusted(_) => {
                "if your network looks into TLS, write its certificate authority (PEM) as `ca_file` under `[apple]`"
            }
            Self::NoTls => {
                "look whether a proxy or firewall answers in Apple's place; the address of a simulator begins with \
                 http://"
            }
            Self::ProxyCredentials => {
                "correct the user name and the password in `proxy` under `[apple]`, or in HTTPS_PROXY"
            }
            Self::SlowAnswer | Self::Other => return None,
        })
    }
}

/// `…:certificate verify failed:… (self-signed certificate)`: what is in the last brackets.
fn reason(words: &str) -> String {
    let inside = words.rsplit_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inside.unwrap_or("for a reason unknown").chars().take(100).collect()
}

#[cfg(test)]
mod tests;
