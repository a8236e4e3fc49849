//! What is wrong or doubtful with a profile, told before anything is sent.
//!
//! An error is something Apple refuses, answers with a bare 500, or that cannot do what it says. A
//! warning is something that works, though perhaps not as meant. Each has the name of its rule; what
//! day it is, what is in certificate files and which platforms there are is told by the caller.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::certificate::Certificate;
use super::file::{CertificateFile, PairingMode, ProfileFile, UserAffinity};
use super::panes::Platform;
use crate::document::Findings;

mod certificates;
mod locale;
mod panes;
mod platforms;
mod url;

pub(super) use certificates::certificates;

/// What a check needs to know besides the file.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// What is in each certificate file, or why it cannot be read. Of a PKCS#12 file the certificate
    /// of its key comes first.
    pub certificates: BTreeMap<CertificateFile, Result<Vec<Certificate>, String>>,
    /// The time, for what expires; without it that is not checked.
    pub now: Option<Timestamp>,
    /// The platforms of the devices there are; without them that is not checked.
    pub platforms: Option<BTreeSet<Platform>>,
}

/// A rule: its name, whether breaking it is an error, and what it asks.
pub type Rule = (&'static str, bool, &'static str);

/// All rules, in the order of the reference page.
pub const RULES: &[Rule] = &[
    ("extends-unknown", true, "`extends` names a profile that is there"),
    ("extends-circle", true, "profiles do not extend each other in a circle"),
    ("empty", true, "a text that is given is not empty: for Apple that is a mistake, not an absence"),
    ("too-long", true, "a text is not longer than Apple takes, in characters"),
    ("email-odd", false, "an e-mail address has an `@`"),
    ("url-https", true, "URLs begin with `https://`"),
    ("url-host", true, "URLs have a host that a device can find: no spaces, not `localhost`"),
    ("url-local", true, "no URL has a host under `.local`, which Apple answers with a bare 500"),
    ("url-placeholder", true, "no URL has a placeholder left in it, which Apple answers with a bare 500"),
    ("url-length", true, "URLs have at most 2,000 characters once encoded"),
    ("url-address", false, "URLs name a host, not an IP address"),
    (
        "web-url-host",
        true,
        "`web_url` and `url` are on the same host; a warning if only the last two labels are the same",
    ),
    ("web-url-unused", true, "there is no `web_url` when nobody signs in"),
    ("affinity-without-page", true, "user affinity has a `web_url` that authenticates the user"),
    ("locked-unsupervised", true, "a profile that cannot be removed is for supervised devices"),
    ("await-unsupervised", false, "`await_configured` is for supervised devices; iOS ignores it on others"),
    ("shared-unsupervised", true, "a shared iPad is supervised"),
    ("shared-return-to-service", true, "a shared iPad does not return to service"),
    ("pairing-without-certificates", true, "USB pairing by certificate has certificates"),
    ("pairing-certificates-unused", true, "there are no certificates when pairing does not ask for them"),
    ("pairing-unsupervised", true, "USB pairing by certificate is for supervised devices"),
    ("deprecated", false, "no key is used that Apple has deprecated"),
    ("ignored", false, "no value is used that devices have ignored for years"),
    ("language-code", true, "a language is one of ISO 639-1 or 639-2"),
    ("region-code", true, "a region is one of ISO 3166-1"),
    (
        "auto-advance-locale",
        false,
        "auto-advance has a language and a region, else Setup Assistant stops to ask",
    ),
    ("locale-unused", false, "language and region come with auto-advance, else they have no effect"),
    ("pane-unknown", true, "panes are ones Apple knows: of others nobody would be told"),
    ("pane-former", false, "panes are ones Apple still lists"),
    ("pane-deprecated", false, "panes are in the newest system of some platform"),
    ("pane-twice", false, "a pane is skipped once"),
    ("pane-both", true, "a pane is not both skipped and shown"),
    ("show-unused", false, "what `show` names is in a group that `skip` names"),
    ("no-effect", false, "keys and panes have an effect on some platform in the inventory"),
    ("certificate-unreadable", true, "certificate files can be read"),
    ("certificate-expired", true, "certificates have not expired; a profile that Apple has goes on working"),
    ("certificate-expires", false, "certificates are valid for 30 days more"),
    ("certificate-not-yet", false, "certificates are valid already"),
    ("anchor-no-authority", false, "anchors are certificates of an authority"),
    ("url-unreachable", true, "only when asked: a device would reach the URL and trust its certificate"),
    ("url-answer", false, "only when asked: what answers knows the URL"),
];

/// Rules about the day rather than the file. A file that was right goes on being used.
pub(super) const RULES_OF_TIME: &[&str] = &["certificate-expired"];

/// Adds what is wrong or doubtful with a profile.
pub(super) fn check(file: &ProfileFile, given: &Given, findings: &mut Findings<'_>) {
    texts(file, findings);
    url::check(file, findings);
    people(file, findings);
    supervision(file, given, findings);
    pairing(file, findings);
    locale::check(file, findings);
    panes::check(file, findings);
    certificates::check(file, given, findings);
    if let Some(platforms) = &given.platforms {
        platforms::check(file, platforms, findings);
    }
}

fn texts(file: &ProfileFile, findings: &mut Findings<'_>) {
    let texts = [
        ("/name", Some(&file.name), 125),
        ("/url", Some(&file.url), usize::MAX),
        ("/web_url", file.web_url.as_ref(), usize::MAX),
        ("/department", file.department.as_ref(), 125),
        ("/support_phone", file.support_phone.as_ref(), 50),
        ("/support_email", file.support_email.as_ref(), 250),
        ("/organization_magic", file.organization_magic.as_ref(), 256),
    ];
    for (pointer, text, most) in texts {
        let Some(text) = text else { continue };
        let length = text.chars().count();
        if text.trim().is_empty() {
            let help = match pointer {
                "/name" => "name = \"Lab iPad\"",
                "/url" => "url = \"https://mdm.example.com/enroll\"",
                _ => "leave the key out instead",
            };
            findings.error("empty", pointer, "must not be empty", Some(help.to_owned()));
        } else if length > most {
            let message = format!("Apple takes at most {most} characters, and these are {length}");
            findings.error("too-long", pointer, message, None);
        }
    }
    if let Some(email) = &file.support_email
        && !email.trim().is_empty()
        && !email.contains('@')
    {
        findings.warn("email-odd", "/support_email", "not an e-mail address: it has no `@`", None);
    }
}

fn people(file: &ProfileFile, findings: &mut Findings<'_>) {
    match (file.user_affinity, &file.web_url) {
        (UserAffinity::Required, None) => findings.error(
            "affinity-without-page",
            "/user_affinity",
            "`required` needs a `web_url` where the user signs in",
            Some("web_url = \"https://mdm.example.com/sign-in\"".to_owned()),
        ),
        (UserAffinity::None, Some(_)) => findings.error(
            "web-url-unused",
            "/web_url",
            "nobody signs in with `user_affinity = \"none\"`",
            Some("set `user_affinity = \"required\"` or leave `web_url` out".to_owned()),
        ),
        _ => {}
    }
    if file.shared_ipad && file.return_to_service {
        findings.error(
            "shared-return-to-service",
            "/return_to_service",
            "a shared iPad does not return to service",
            Some("leave out `shared_ipad` or `return_to_service`".to_owned()),
        );
    }
}

fn supervision(file: &ProfileFile, given: &Given, findings: &mut Findings<'_>) {
    let on_ios = given.platforms.as_ref().is_none_or(|present| present.contains(&Platform::Ios));
    if !file.mandatory && on_ios {
        let message = "ignored since iOS 13: enrolment can no longer be skipped";
        findings.warn("ignored", "/mandatory", message, None);
    }
    if file.supervised {
        return;
    }
    if on_ios {
        let message = "ignored since iOS 13: devices that enrol this way are supervised";
        findings.warn("ignored", "/supervised", message, None);
    }
    if !file.removable {
        findings.error(
            "locked-unsupervised",
            "/supervised",
            "a profile that cannot be removed needs a supervised device",
            Some("set `supervised = true` or `removable = true`".to_owned()),
        );
    }
    if file.shared_ipad {
        let help = Some("set `supervised = true`".to_owned());
        findings.error("shared-unsupervised", "/shared_ipad", "a shared iPad is supervised", help);
    }
    if file.await_configured {
        findings.warn(
            "await-unsupervised",
            "/await_configured",
            "has no effect on iOS without supervision",
            Some("set `supervised = true`".to_owned()),
        );
    }
}

fn pairing(file: &ProfileFile, findings: &mut Findings<'_>) {
    let Some(pairing) = &file.usb_pairing else { return };
    let with_certificate = pairing.mode == PairingMode::Certificate;
    if with_certificate && pairing.certificates.is_empty() {
        findings.error(
            "pairing-without-certificates",
            "/usb_pairing/mode",
            "`certificate` needs the certificates of the computers that may pair",
            Some("certificates = [\"certs/configurator.cer\"]".to_owned()),
        );
    }
    if !with_certificate && !pairing.certificates.is_empty() {
        findings.error(
            "pairing-certificates-unused",
            "/usb_pairing/certificates",
            "the certificates have no effect in this mode",
            Some(
                "set `mode = \"certificate\"`, or `certificates = []` over those of another file".to_owned(),
            ),
        );
    }
    if with_certificate && !file.supervised {
        let message = "`certificate` needs `supervised = true`";
        findings.error("pairing-unsupervised", "/usb_pairing/mode", message, None);
    }
    if pairing.mode != PairingMode::Allow {
        findings.warn(
            "deprecated",
            "/usb_pairing/mode",
            "Apple has deprecated `allow_pairing` since iOS 13",
            Some("let the MDM restrict pairing as well (`allowHostPairing`)".to_owned()),
        );
    }
}
