//! A profile's file as it is typed: every key, with the words that editors show for it and the name
//! Apple has for it.
//!
//! The reference page is made from these types; what is said of a key is said here.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::document::Version1;

/// An enrolment profile: what a device is told in Setup Assistant.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Deputy enrolment profile")]
#[allow(missing_docs, reason = "documented by the format's own schema")]
pub struct ProfileFile {
    #[allow(dead_code, reason = "read for its check alone")]
    version: Version1,
    /// The profile whose keys count where this file has none, by the name of its file.
    #[serde(default)]
    #[schemars(example = &"base")]
    #[allow(dead_code, reason = "followed before the file is read as a whole")]
    extends: Option<String>,
    /// Only for others to extend: not a profile by itself, and keys may be missing.
    #[serde(default)]
    pub(super) base: bool,
    /// The profile's name at Apple, 1 to 125 characters.
    #[schemars(example = "Lab iPad", extend("x-apple" = "profile_name"))]
    pub(super) name: String,
    /// What it is for. Not sent to Apple.
    #[serde(default)]
    pub(super) description: Option<String>,
    /// Where the device enrols: the MDM's enrolment URL, https, at most 2,000 characters once encoded.
    #[schemars(example = "https://mdm.example.com/enroll", extend("x-apple" = "url"))]
    pub(super) url: String,
    /// A page where the user signs in before enrolling, https, on the host of `url`. Needs
    /// `user_affinity = "required"`.
    #[serde(default)]
    #[schemars(extend("x-apple" = "configuration_web_url"))]
    pub(super) web_url: Option<String>,
    /// The certificates to trust for `url` and `web_url`, instead of those that the device comes with.
    #[serde(default)]
    #[schemars(extend("x-apple" = "anchor_certs"))]
    pub(super) anchor_certificates: Vec<CertificateEntry>,
    /// The department shown during activation, at most 125 characters.
    #[serde(default)]
    #[schemars(extend("x-apple" = "department"))]
    pub(super) department: Option<String>,
    /// The phone number shown during activation, at most 50 characters.
    #[serde(default)]
    #[schemars(extend("x-apple" = "support_phone_number"))]
    pub(super) support_phone: Option<String>,
    /// The e-mail address shown during activation, at most 250 characters.
    #[serde(default)]
    #[schemars(extend("x-apple" = "support_email_address"))]
    pub(super) support_email: Option<String>,
    /// Groups several services of one organisation; at most 256 characters, the same in all profiles.
    #[serde(default)]
    #[schemars(extend("x-apple" = "org_magic"))]
    pub(super) organization_magic: Option<String>,
    /// Whether a person signs in when the device enrols.
    #[serde(default)]
    pub(super) user_affinity: UserAffinity,
    /// The device is supervised. Always so from iOS 13 on.
    #[serde(default = "yes")]
    #[schemars(extend("x-apple" = "is_supervised"))]
    pub(super) supervised: bool,
    /// The user cannot skip enrolment. Always so from iOS 13 on.
    #[serde(default = "yes")]
    #[schemars(extend("x-apple" = "is_mandatory"))]
    pub(super) mandatory: bool,
    /// The user may remove management later. `false` needs `supervised = true`.
    #[serde(default)]
    #[schemars(extend("x-apple" = "is_mdm_removable"))]
    pub(super) removable: bool,
    /// Hold Setup Assistant until the MDM says the device is configured. An MDM that never says so
    /// keeps the user waiting.
    #[serde(default)]
    #[schemars(extend("x-apple" = "await_device_configured"))]
    pub(super) await_configured: bool,
    /// Shared iPad: several users, one after the other. For iPads alone.
    #[serde(default)]
    #[schemars(extend("x-apple" = "is_multi_user"))]
    pub(super) shared_ipad: bool,
    /// The device can be erased and enrols again by itself. iOS and visionOS 26.
    #[serde(default)]
    #[schemars(extend("x-apple" = "is_return_to_service"))]
    pub(super) return_to_service: bool,
    /// A device restored from a backup keeps the profile that was in it; `false`: it asks for the
    /// one of today. iOS and visionOS 26.
    #[serde(default = "yes")]
    #[schemars(extend("x-apple" = "do_not_use_profile_from_backup"))]
    pub(super) profile_from_backup: bool,
    /// Go through Setup Assistant without a touch. Apple TV, and Macs on a cable from macOS 11 on.
    #[serde(default)]
    #[schemars(extend("x-apple" = "auto_advance_setup"))]
    pub(super) auto_advance: bool,
    /// The language to set with `auto_advance`: ISO 639-1, or 639-2 where that has none.
    #[serde(default)]
    #[schemars(example = &"fr", extend("x-apple" = "language"))]
    pub(super) language: Option<String>,
    /// The region to set with `auto_advance`: two capital letters of ISO 3166-1.
    #[serde(default)]
    #[schemars(example = &"FR", extend("x-apple" = "region"))]
    pub(super) region: Option<String>,
    /// Which computers the device pairs with over USB. Deprecated by Apple since iOS 13.
    #[serde(default)]
    #[schemars(extend("x-apple" = "allow_pairing"))]
    pub(super) usb_pairing: Option<UsbPairing>,
    /// What Setup Assistant leaves out.
    #[serde(default)]
    pub(super) setup_assistant: Option<SetupAssistant>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum UserAffinity {
    /// Nobody signs in.
    #[default]
    None,
    /// A user signs in at `web_url`.
    Required,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UsbPairing {
    /// `allow` every computer, `forbid` all, or only those with a `certificate`.
    pub(super) mode: PairingMode,
    /// Files with the certificates of the computers that may pair. For mode `certificate`.
    #[serde(default)]
    #[schemars(extend("x-apple" = "supervising_host_certs"))]
    pub(super) certificates: Vec<CertificateEntry>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum PairingMode {
    Allow,
    Forbid,
    Certificate,
}

/// A file with certificates, relative to the folder of the profiles: PEM, one or several; DER; or
/// PKCS#12, written as a table.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum CertificateEntry {
    /// A PEM or DER file.
    File(String),
    /// A file that a password opens.
    Sealed(CertificateFile),
}

/// A file with certificates and what opens it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
#[serde(deny_unknown_fields)]
pub struct CertificateFile {
    /// The file, relative to the folder of the profiles.
    #[schemars(example = "certs/configurator.p12")]
    pub file: String,
    /// The environment variable with the password of a PKCS#12 file. The file's private key is not used.
    #[serde(default)]
    #[schemars(example = &"CONFIGURATOR_P12_PASSWORD")]
    pub password_env: Option<String>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetupAssistant {
    /// The panes not to show, by Apple's names, and groups of them: `all`, `privacy`.
    #[serde(default)]
    #[schemars(extend("x-apple" = "skip_setup_items"))]
    pub(super) skip: Skip,
    /// Panes to show although `skip` names a group they are in.
    #[serde(default)]
    pub(super) show: Vec<String>,
}

/// One name or several.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Skip {
    /// A pane or a group.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl ProfileFile {
    /// What is to be skipped, and where in the file each of it stands.
    pub(super) fn skip(&self) -> Vec<(String, &str)> {
        let at = "/setup_assistant/skip";
        match self.setup_assistant.as_ref().map(|assistant| &assistant.skip) {
            None => Vec::new(),
            Some(Skip::One(one)) => vec![(at.to_owned(), one)],
            Some(Skip::Several(several)) => {
                let entries = several.iter().enumerate();
                entries.map(|(index, name)| (format!("{at}/{index}"), name.as_str())).collect()
            }
        }
    }

    pub(super) fn show(&self) -> &[String] {
        self.setup_assistant.as_ref().map_or(&[], |assistant| &assistant.show)
    }

    pub(super) fn pairing(&self) -> PairingMode {
        self.usb_pairing.as_ref().map_or(PairingMode::Allow, |pairing| pairing.mode)
    }

    pub(super) fn host_certificates(&self) -> &[CertificateEntry] {
        self.usb_pairing.as_ref().map_or(&[], |pairing| &pairing.certificates)
    }
}

impl CertificateEntry {
    pub(super) fn file(&self) -> CertificateFile {
        match self {
            Self::File(file) => CertificateFile { file: file.clone(), password_env: None },
            Self::Sealed(sealed) => sealed.clone(),
        }
    }
}

impl Default for Skip {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

fn yes() -> bool {
    true
}
