//! What we asked of Apple and what it said, in words.

use std::fmt;

/// One thing we ask of Apple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the words of `Display` say it
pub enum Call {
    Session,
    Account,
    Fetch,
    Sync,
    Devices,
    DefineProfile,
    Profile,
    Assign,
    Clear,
    Disown,
    ActivationLock,
    Replacement,
    BetaTokens,
    Discovery,
    SetDiscovery,
    RemoveDiscovery,
}

/// What Apple said in a refusal: the status and, if the body held one, the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Apple's code, such as `T_C_NOT_SIGNED` or `token_rejected`.
    pub code: Option<String>,
}

impl Answer {
    /// Apple dislikes how the request was signed; a wrong clock does that, too.
    pub(crate) fn is_about_the_request(&self) -> bool {
        matches!(
            self.code.as_deref(),
            Some("oauth_problem_advice" | "timestamp_refused" | "nonce_used" | "parameter_absent")
        )
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{} {code}", self.status),
            None => write!(f, "{} without a code", self.status),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Session => "open a session",
            Self::Account => "read the account",
            Self::Fetch => "fetch the devices",
            Self::Sync => "sync the devices",
            Self::Devices => "look up devices",
            Self::DefineProfile => "define a profile",
            Self::Profile => "read a profile",
            Self::Assign => "assign a profile",
            Self::Clear => "remove the profile of devices",
            Self::Disown => "release devices",
            Self::ActivationLock => "lock a device",
            Self::Replacement => "look up which device was replaced",
            Self::BetaTokens => "read the beta enrolment tokens",
            Self::Discovery => "read where devices find the MDM",
            Self::SetDiscovery => "set where devices find the MDM",
            Self::RemoveDiscovery => "remove where devices find the MDM",
        })
    }
}
