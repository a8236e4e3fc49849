//! Which version of the contract a component keeps to, and how it is asked in that version.
//!
//! Major versions stand beside each other, a file each. Within one, a minor only adds to those before it, so
//! they share their types, and what a component of an older one does not have is not asked. Whatever comes out is converted up
//! to the newest types, so that the rest of the program knows one contract only.

pub(crate) mod v0_1;
pub(crate) mod v1;

use std::fmt;

use domain::policy::Question;
use wasmtime::component::InstancePre;

use crate::call::{Call, Done, Guest};
use crate::convert::v1::Fields;
use crate::error::{Error, SettingsProblem};
use crate::fault::{Fault, Work};
use crate::inspect::{Description, Inspection};
use crate::lookup::TableUse;

/// The interface that says for how long verdicts last.
pub(crate) const LASTING: &str = "lasting";

/// A version of the contract that this host knows. A later patch of one changes words only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    V0_1,
    V1_0,
    V1_1,
}

impl Version {
    /// All of them, the newest first.
    pub(crate) const ALL: [Self; 3] = [Self::V1_1, Self::V1_0, Self::V0_1];

    /// The version in a name such as `deputy:policy/assignment@1.0.0`, and the interface.
    pub(crate) fn of(name: &str) -> Option<(Self, &str)> {
        let (interface, version) = name.strip_prefix("deputy:policy/")?.split_once('@')?;
        let (minor, patch) = version.rsplit_once('.')?;
        let known = Self::ALL.into_iter().find(|known| known.as_str() == minor)?;
        patch.bytes().all(|byte| byte.is_ascii_digit()).then_some((known, interface))
    }

    /// Major and minor.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::V0_1 => "0.1",
            Self::V1_0 => "1.0",
            Self::V1_1 => "1.1",
        }
    }

    /// What a component may import.
    pub(crate) fn grants(self) -> &'static [&'static str] {
        match self {
            Self::V0_1 => &["log"],
            Self::V1_0 | Self::V1_1 => &["log", "tables"],
        }
    }

    /// What a component may be asked.
    pub(crate) fn questions(self) -> &'static [Question] {
        match self {
            Self::V0_1 => &[Question::Assignment],
            Self::V1_0 | Self::V1_1 => &Question::ALL,
        }
    }

    /// Whether a component may say for how long its verdicts last, by exporting the interface [`LASTING`].
    pub(crate) fn has_lasting(self) -> bool {
        match self {
            Self::V0_1 | Self::V1_0 => false,
            Self::V1_1 => true,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The exports of a component, found once.
pub(crate) enum Contract {
    V0_1(v0_1::Exports),
    V1(v1::Exports),
}

/// What a policy said when it was loaded.
pub(crate) struct Loaded {
    pub(crate) description: Option<Description>,
    pub(crate) tables: Vec<TableUse>,
    /// None for a policy that is not asked about devices.
    pub(crate) reads: Fields,
}

impl Contract {
    pub(crate) fn new(
        version: Version,
        inspection: &Inspection,
        component: &InstancePre<Guest>,
    ) -> Result<Self, Error> {
        let found = match version {
            Version::V0_1 => v0_1::Exports::new(component).map(Self::V0_1),
            Version::V1_0 | Version::V1_1 => v1::Exports::new(inspection, component).map(Self::V1),
        };
        found.map_err(|error| {
            // It names what it looked for by our minor; the author knows the one they built against.
            let theirs = inspection.contract.as_deref().unwrap_or(v1::NEWEST);
            let reason = format!("{error:#}").replace(v1::NEWEST, theirs);
            Error::WrongShape { reason }
        })
    }

    /// What the policy is, without any settings. Versions before 1.0 do not say.
    pub(crate) fn describe(&self, call: &Call) -> Option<Done<Description>> {
        match self {
            Self::V0_1(_) => None,
            Self::V1(exports) => {
                Some(call.run(Work::Loading, 0, |store, instance| exports.describe(store, instance)))
            }
        }
    }

    /// Whether the policy accepts its settings, and if so, what it wants.
    pub(crate) fn load(
        &self,
        call: &Call,
        setup: &domain::policy::Setup,
    ) -> Done<Result<Loaded, Vec<SettingsProblem>>> {
        call.run(Work::Loading, 0, |store, instance| match self {
            Self::V0_1(exports) => exports.load(store, instance, call.settings, setup),
            Self::V1(exports) => exports.load(store, instance, call.settings, setup),
        })
    }
}

/// Settings are refused that were accepted before.
fn refused(problems: Vec<SettingsProblem>) -> Fault {
    let first = problems.into_iter().next();
    Fault::Settings { reason: first.map_or_else(|| "for no reason".to_owned(), |it| it.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_belongs_to_its_version_and_a_minor_is_another() {
        assert_eq!(Version::of("deputy:policy/log@1.0.7"), Some((Version::V1_0, "log")));
        assert_eq!(Version::of("deputy:policy/lasting@1.1.0"), Some((Version::V1_1, LASTING)));
        assert_eq!(Version::of("deputy:policy/assignment@0.1.0"), Some((Version::V0_1, "assignment")));
        for stranger in [
            "deputy:policy/log@1.2.0",
            "deputy:policy/log@1.0.0-rc",
            "deputy:policy/log@10.0",
            "deputy:policy/log",
            "acme:policy/log@1.0.0",
        ] {
            assert_eq!(Version::of(stranger), None, "{stranger}");
        }
    }
}
