//! Locking a device for its organisation, and what came of it.

use domain::id::SerialNumber;
use serde::Serialize;

use super::object;
use super::outcome::said;

/// Body of `POST /device/activationlock`.
#[derive(Serialize)]
pub(in crate::apple) struct LockRequest<'a> {
    pub(in crate::apple) device: &'a SerialNumber,
    pub(in crate::apple) escrow_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::apple) lost_message: Option<&'a str>,
}

/// What became of an Activation Lock. (Apple: "Activation Lock a Device".)
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockStatus {
    /// Locked.
    Locked,
    /// Somebody locked it before; the first lock counts.
    AlreadyLocked,
    /// Not a device of this server.
    NotAccessible,
    /// Not for organisations of this kind.
    OrganisationNotSupported,
    /// Not for devices of this kind.
    DeviceNotSupported,
    /// Not done, and why, as far as Apple says.
    Failed(String),
}

/// The answer to `POST /device/activationlock`.
pub(in crate::apple) fn locked(body: &[u8]) -> Result<LockStatus, String> {
    let answer = object(body)?;
    let Some(word) = answer.get("response_status").and_then(|word| word.as_str()) else {
        return Err("it lacks response_status".to_owned());
    };
    Ok(match word {
        "SUCCESS" => LockStatus::Locked,
        "DEVICE_ALREADY_LOCKED" => LockStatus::AlreadyLocked,
        "NOT_ACCESSIBLE" => LockStatus::NotAccessible,
        "ORG_NOT_SUPPORTED" => LockStatus::OrganisationNotSupported,
        "DEVICE_NOT_SUPPORTED" => LockStatus::DeviceNotSupported,
        word => LockStatus::Failed(said(word)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_apples_is_known_and_another_is_quoted() {
        let status = |word: &str| locked(format!(r#"{{"response_status":"{word}"}}"#).as_bytes()).unwrap();
        assert_eq!(status("SUCCESS"), LockStatus::Locked);
        assert_eq!(status("DEVICE_ALREADY_LOCKED"), LockStatus::AlreadyLocked);
        assert_eq!(status("NOT_ACCESSIBLE"), LockStatus::NotAccessible);
        assert_eq!(status("ORG_NOT_SUPPORTED"), LockStatus::OrganisationNotSupported);
        assert_eq!(status("DEVICE_NOT_SUPPORTED"), LockStatus::DeviceNotSupported);
        assert_eq!(status("FAILED"), LockStatus::Failed("Apple gave no reason".to_owned()));
        assert_eq!(status("LATER"), LockStatus::Failed("Apple answered \"LATER\"".to_owned()));
        assert_eq!(locked(b"{}"), Err("it lacks response_status".to_owned()));
        assert_eq!(locked(br#"{"response_status":null}"#), Err("it lacks response_status".to_owned()));
    }
}
