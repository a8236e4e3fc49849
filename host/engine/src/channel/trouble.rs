//! What keeps us from a channel, in words, and what a person can do.

use super::{Next, Undelivered};
use crate::apple::Trouble;

impl Undelivered {
    /// We could not get to `host`, or got no answer.
    pub(super) fn unreachable(trouble: &Trouble, host: &str) -> Self {
        let advice = match trouble {
            Trouble::Name => "look at the spelling of the host, and after this machine's name servers",
            Trouble::Refused => {
                "look whether the server runs, whether the port is right, and whether a firewall is in between"
            }
            Trouble::SlowConnection => {
                "look whether a firewall is in between; if this machine gets out through a proxy only, name it as \
                 `proxy` of the channel (mail goes through none)"
            }
            Trouble::Untrusted(why) if why.contains("expired") || why.contains("not yet valid") => {
                "look at this machine's clock; if it is right, the server's certificate is to be renewed"
            }
            Trouble::Untrusted(why) if why.contains("mismatch") => {
                "the server's certificate is for another name: write the name that is in it in deputy.toml"
            }
            Trouble::Untrusted(_) => {
                "if the server's certificate is by an authority of your own, write that authority's (PEM) as \
                 `ca_file` of the channel"
            }
            Trouble::NoTls => {
                "look at the port and at `tls`: 587 goes with \"starttls\", 465 with \"implicit\"; for a webhook, \
                 whether its address begins with the right one of http and https"
            }
            Trouble::NoTunnel => "ask whoever runs the proxy to let this host through",
            Trouble::ProxyCredentials => {
                "correct the user name and the password in `proxy` of the channel, or in HTTPS_PROXY"
            }
            Trouble::SlowAnswer | Trouble::Other => {
                "it is tried again; should the message have arrived all the same, the second has the same id"
            }
        };
        Self::new(Next::Later(None), trouble.with(host), Some(advice))
    }
}
