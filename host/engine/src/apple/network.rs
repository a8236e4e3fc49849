//! The way to Apple: how long to wait, which proxy to go through, and whose certificates to trust.
//!
//! The same for every token. A proxy's address may hold a password, so its type prints without.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openssl::x509::X509;
use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

/// How Apple is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// For reaching the server, name resolution and TLS included: 10 seconds.
    pub connect_timeout: Duration,
    /// For each wait until more of an answer comes: 60 seconds.
    pub read_timeout: Duration,
    /// For one call, all in all: 5 minutes. An answer that comes a byte at a time never meets the
    /// read timeout; it meets this one.
    pub call_timeout: Duration,
    /// Which proxy to go through.
    pub proxy: Proxy,
    /// Whose certificates to trust, besides those that the system trusts.
    pub authorities: Authorities,
}

/// Connections to Apple that several clients share, and with them what TLS needs to know of every
/// authority of the system: a megabyte for each client otherwise.
#[derive(Clone, Debug, Default)]
pub struct Connections(Arc<Mutex<Vec<(Network, HeaderMap, reqwest::Client)>>>);

impl Connections {
    /// The connection pool for this network and these headers.
    pub(super) fn to(&self, network: &Network, headers: HeaderMap) -> reqwest::Result<reqwest::Client> {
        let mut pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((.., pool)) = pools.iter().find(|(to, with, _)| to == network && *with == headers) {
            return Ok(pool.clone());
        }
        let pool = network.http(headers.clone())?;
        // What the configuration said before it changed is of no use any more.
        pools.retain(|(to, ..)| to == network);
        pools.push((network.clone(), headers, pool.clone()));
        Ok(pool)
    }
}

/// Which proxy to go through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Proxy {
    /// What `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say, as for most programs.
    #[default]
    Environment,
    /// None, whatever the environment says.
    None,
    /// This one, for every call, whatever the environment says.
    At(ProxyUrl),
}

/// Where a proxy is, and what lets us in. Prints without the latter.
#[derive(Clone)]
pub struct ProxyUrl {
    whole: SecretString,
    shown: String,
}

/// Certificate authorities, in addition to the system's. Of a company's own, perhaps, that looks
/// into TLS on its way out.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Authorities(Arc<[Vec<u8>]>);

impl Default for Network {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(60),
            call_timeout: Duration::from_secs(300),
            proxy: Proxy::default(),
            authorities: Authorities::default(),
        }
    }
}

impl Network {
    /// A connection pool that sends these headers with every request and tries nothing twice.
    pub(crate) fn http(&self, headers: HeaderMap) -> reqwest::Result<reqwest::Client> {
        let builder = reqwest::Client::builder()
            .default_headers(headers)
            .connect_timeout(self.connect_timeout)
            .read_timeout(self.read_timeout)
            .timeout(self.call_timeout)
            .http1_only()
            // A redirect would carry the session to wherever it points.
            .redirect(reqwest::redirect::Policy::none())
            // Whether to try again is not decided here.
            .retry(reqwest::retry::never())
            .tls_certs_merge(self.authorities.certificates()?);
        match &self.proxy {
            // The HTTP library reads it by itself.
            Proxy::Environment => builder,
            Proxy::None => builder.no_proxy(),
            Proxy::At(url) => builder.proxy(reqwest::Proxy::all(url.whole.expose_secret())?),
        }
        .build()
    }

    /// The proxy that is configured, for words; not one of the environment.
    pub(super) fn proxy_in_words(&self) -> Option<String> {
        match &self.proxy {
            Proxy::At(url) => Some(format!("the proxy {url}")),
            Proxy::Environment | Proxy::None => None,
        }
    }
}

impl Authorities {
    /// One or more certificates in PEM form, or why the text holds none. It may hold anything, so
    /// it is not quoted.
    pub fn from_pem(pem: &[u8]) -> Result<Self, String> {
        let certificates = X509::stack_from_pem(pem).unwrap_or_default();
        let der: Result<Vec<_>, _> = certificates.iter().map(|certificate| certificate.to_der()).collect();
        match der {
            Ok(der) if !der.is_empty() => Ok(Self(der.into())),
            _ if X509::from_der(pem).is_ok() => {
                Err("it is a certificate in binary form (DER), and must be PEM: \
                     `openssl x509 -inform der -in FILE -out FILE.pem` converts it"
                    .to_owned())
            }
            _ => Err("it holds no certificate in PEM form".to_owned()),
        }
    }

    /// The certificates in binary form.
    pub(crate) fn ders(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice)
    }

    fn certificates(&self) -> reqwest::Result<Vec<reqwest::Certificate>> {
        self.0.iter().map(|der| reqwest::Certificate::from_der(der)).collect()
    }
}

impl FromStr for Proxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" { Ok(Self::None) } else { text.parse().map(Self::At) }
    }
}

impl FromStr for ProxyUrl {
    type Err = String;

    /// Whatever is wrong, the text is not quoted.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{why}: write `http://HOST:PORT`, or `none`");
        let url: Url = text.parse().map_err(|_| wrong("not the address of a proxy"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("a proxy's address begins with http:// or https://"));
        }
        if !url.has_host() || url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("a proxy's address is a host and a port, and nothing more"));
        }
        let host = url.host_str().unwrap_or_default();
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let shown = format!("{}://{host}{port}", url.scheme());
        Ok(Self { whole: SecretString::from(String::from(url)), shown })
    }
}

impl PartialEq for ProxyUrl {
    fn eq(&self, other: &Self) -> bool {
        self.whole.expose_secret() == other.whole.expose_secret()
    }
}

impl Eq for ProxyUrl {}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::super::token_file;
    use super::*;

    #[track_caller]
    fn check(proxy: &str, expected: Expect) {
        let found = match proxy.parse::<Proxy>() {
            Ok(proxy) => {
                let network = Network { proxy, ..Network::default() };
                network.http(HeaderMap::new()).unwrap();
                format!("{network:?}, {:?}", network.proxy_in_words())
            }
            Err(why) => format!("error: {why}"),
        };
        assert!(!found.contains("hush"), "{found}");
        expected.assert_eq(&found);
    }

    #[test]
    fn a_proxy_prints_without_its_password() {
        check(
            "http://hush:hush%40@proxy.example.com:3128",
            expect![[
                r#"Network { connect_timeout: 10s, read_timeout: 60s, call_timeout: 300s, proxy: At(http://proxy.example.com:3128), authorities: Authorities(0) }, Some("the proxy http://proxy.example.com:3128")"#
            ]],
        );
        check(
            "none",
            expect![
                "Network { connect_timeout: 10s, read_timeout: 60s, call_timeout: 300s, proxy: None, authorities: Authorities(0) }, None"
            ],
        );
    }

    #[test]
    fn what_is_no_proxy_is_refused_and_not_quoted() {
        check("", expect!["error: not the address of a proxy: write `http://HOST:PORT`, or `none`"]);
        check("http://", expect!["error: not the address of a proxy: write `http://HOST:PORT`, or `none`"]);
        check(
            "hush:3128",
            expect![
                "error: a proxy's address begins with http:// or https://: write `http://HOST:PORT`, or `none`"
            ],
        );
        check(
            "socks5://hush:hush@proxy.example.com",
            expect![
                "error: a proxy's address begins with http:// or https://: write `http://HOST:PORT`, or `none`"
            ],
        );
        check(
            "http://proxy.example.com/hush",
            expect![
                "error: a proxy's address is a host and a port, and nothing more: write `http://HOST:PORT`, or `none`"
            ],
        );
    }

    #[test]
    fn another_password_is_another_proxy() {
        let proxy = |text: &str| text.parse::<ProxyUrl>().unwrap();
        assert_eq!(proxy("http://a:b@proxy"), proxy("HTTP://a:b@PROXY:80/"));
        assert_ne!(proxy("http://a:b@proxy"), proxy("http://a:c@proxy"));
    }

    #[test]
    fn a_file_of_certificates_is_read_whole_or_refused() {
        let pair = token_file::request("an authority").unwrap();
        let pem = pair.certificate_pem;
        let count = |pem: &str| Authorities::from_pem(pem.as_bytes()).map(|all| format!("{all:?}"));
        assert_eq!(count(&format!("a comment\n{pem}\n{pem}")), Ok("Authorities(2)".to_owned()));
        let none = Err("it holds no certificate in PEM form".to_owned());
        assert_eq!(count(""), none);
        assert_eq!(count(pair.private_key_pem.expose_secret()), none);
        assert_eq!(count(&pem.replace("MII", "MIX")), none);
        let der = X509::from_pem(pem.as_bytes()).unwrap().to_der().unwrap();
        assert!(Authorities::from_pem(&der).unwrap_err().contains("must be PEM"));
        let network =
            Network { authorities: Authorities::from_pem(pem.as_bytes()).unwrap(), ..Network::default() };
        network.http(HeaderMap::new()).unwrap();
    }
}
