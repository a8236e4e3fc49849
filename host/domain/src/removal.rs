//! What takes something away: a device's profile, or the device itself.
//!
//! Only a person does either, by name and after confirming it; no policy can ask for it and no
//! workflow file can say it.

use serde::{Deserialize, Serialize};

use crate::id::SerialNumber;

/// What is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Hash)]
#[serde(rename_all = "kebab-case")]
pub enum Removal {
    /// The profile of devices: they stay on the server and have none.
    Unassign,
    /// Devices, from the organisation, for good.
    Disown,
}

/// What removing came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// What was to be taken away.
    pub what: Removal,
    /// Calls that removed.
    pub calls: u64,
    /// Devices of which Apple says that it is done.
    pub succeeded: u64,
    /// Devices of which Apple says that it is not done.
    pub failed: u64,
    /// Devices that are not this server's.
    pub not_accessible: u64,
    /// Devices sent of which nobody can say yet what became; asked about at the next run.
    pub in_flight: u64,
}

impl Removal {
    /// The word for it in commands, runs and the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unassign => "unassign",
            Self::Disown => "disown",
        }
    }

    /// What was attempted, in a device's history.
    pub fn attempted(self) -> &'static str {
        match self {
            Self::Unassign => "removal of its profile",
            Self::Disown => "release from the organisation",
        }
    }

    /// What it means, for whoever is to confirm it.
    pub fn consequence(self) -> &'static str {
        match self {
            Self::Unassign => {
                "They get no profile when they are set up. A device that has fetched its profile keeps it until it is \
                 erased. A workflow whose policy wants them on a profile assigns it again at its next run."
            }
            Self::Disown => {
                "They leave the organisation for good, and no later sync brings them back. Only their seller or Apple \
                 Configurator can add them again; then their user may leave management for 30 days."
            }
        }
    }
}

impl std::str::FromStr for Removal {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        [Self::Unassign, Self::Disown].into_iter().find(|it| it.as_str() == word).ok_or(())
    }
}

impl Removed {
    /// Nothing done yet.
    pub fn none(what: Removal) -> Self {
        Self { what, calls: 0, succeeded: 0, failed: 0, not_accessible: 0, in_flight: 0 }
    }

    /// It was done for every device that was named.
    pub fn is_complete(&self) -> bool {
        self.failed + self.not_accessible + self.in_flight == 0
    }
}

/// What a person types to confirm: the device, if there is one, else how many there are.
pub fn to_be_typed(serials: &[SerialNumber]) -> String {
    match serials {
        [only] => only.to_string(),
        several => several.len().to_string(),
    }
}

/// Whether what was typed confirms it.
pub fn is_confirmed(serials: &[SerialNumber], typed: &str) -> bool {
    !serials.is_empty() && typed.trim().eq_ignore_ascii_case(&to_be_typed(serials))
}

/// Whether the devices named a second time are the very same.
pub fn is_named_again(serials: &[SerialNumber], again: &[SerialNumber]) -> bool {
    let sorted = |list: &[SerialNumber]| list.iter().cloned().collect::<std::collections::BTreeSet<_>>();
    !serials.is_empty() && sorted(serials) == sorted(again)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serials(words: &str) -> Vec<SerialNumber> {
        words.split_whitespace().map(|word| word.parse().unwrap()).collect()
    }

    #[test]
    fn one_device_is_confirmed_by_its_serial_number() {
        let one = serials("C02AA");
        assert!(is_confirmed(&one, " c02aa\n"));
        for typed in ["", "y", "yes", "1", "C02AB", "C02AA C02AA"] {
            assert!(!is_confirmed(&one, typed), "{typed}");
        }
    }

    #[test]
    fn several_devices_are_confirmed_by_their_number() {
        let three = serials("C02AA C02AB C02AC");
        assert!(is_confirmed(&three, "3"));
        for typed in ["", "y", "2", "C02AA", "03"] {
            assert!(!is_confirmed(&three, typed), "{typed}");
        }
        assert!(!is_confirmed(&[], "0"));
    }

    #[test]
    fn a_script_names_every_device_twice() {
        assert!(is_named_again(&serials("C02AA C02AB"), &serials("C02AB C02AA")));
        assert!(!is_named_again(&serials("C02AA C02AB"), &serials("C02AA")));
        assert!(!is_named_again(&serials("C02AA"), &serials("C02AA C02AB")));
        assert!(!is_named_again(&[], &[]));
    }
}
