//! The panes of Setup Assistant that a profile can skip, as data, and groups of them.
//!
//! Apple documents no error for a name it does not know: the pane is shown and nobody is told. So
//! names are held against this table, and what the table says of platforms and versions is what
//! warnings are made of.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;

mod table;

pub use table::PANES;

/// What a device runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// iOS and iPadOS.
    Ios,
    /// macOS.
    Macos,
    /// tvOS.
    Tvos,
    /// visionOS.
    Visionos,
}

/// Something Setup Assistant shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Pane {
    /// Apple's name; case matters.
    pub key: &'static str,
    /// What the user no longer sees.
    pub unseen: &'static str,
    /// What else to know.
    pub note: Option<&'static str>,
    /// It asks the user to share something or to let it be used.
    pub privacy: bool,
    /// Why Apple no longer lists it, if it does not.
    pub former: Option<&'static str>,
    /// Since when it can be skipped on iOS and iPadOS.
    pub ios: Option<Support>,
    /// The same for macOS.
    pub macos: Option<Support>,
    /// The same for tvOS.
    pub tvos: Option<Support>,
    /// The same for visionOS.
    pub visionos: Option<Support>,
}

/// Which versions of a system have a pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Support {
    /// The first in which it can be skipped.
    pub first: &'static str,
    /// The one in which Apple deprecated or removed it; the pane is gone from there on.
    pub until: Option<&'static str>,
    /// It may come before the device has its profile, and then it is not skipped.
    pub may_show: bool,
}

/// Several panes under one name.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// How it is written.
    pub name: &'static str,
    /// What is in it.
    pub meaning: &'static str,
    has: fn(&Pane) -> bool,
}

/// The groups `skip` may name.
pub const GROUPS: &[Group] = &[
    Group {
        name: "all",
        meaning: "every pane Apple lists today. A newer Deputy may know more panes; the profile is then a new one",
        has: |pane| pane.former.is_none(),
    },
    Group {
        name: "privacy",
        meaning: "panes that ask the user to share something with Apple or to let it be used: what is skipped stays off",
        has: |pane| pane.privacy && pane.former.is_none(),
    },
];

impl Group {
    /// The panes in it.
    pub fn panes(&self) -> impl Iterator<Item = &'static Pane> {
        let has = self.has;
        PANES.iter().filter(move |pane| has(pane))
    }
}

impl Pane {
    /// Its versions on a platform, if it has any there.
    pub fn on(&self, platform: Platform) -> Option<Support> {
        match platform {
            Platform::Ios => self.ios,
            Platform::Macos => self.macos,
            Platform::Tvos => self.tvos,
            Platform::Visionos => self.visionos,
        }
    }

    /// Gone from the newest system of every platform that ever had it.
    pub fn is_deprecated(&self) -> bool {
        Platform::ALL.iter().filter_map(|platform| self.on(*platform)).all(|support| support.until.is_some())
    }
}

impl Support {
    /// `12.0`, `9.3.2 until 15.0`, `11.0 (not always)`.
    pub fn in_words(&self) -> String {
        let until = self.until.map(|version| format!(" until {version}")).unwrap_or_default();
        format!("{}{until}{}", self.first, if self.may_show { " (not always)" } else { "" })
    }
}

impl Platform {
    /// All that Apple has panes for.
    pub const ALL: [Self; 4] = [Self::Ios, Self::Macos, Self::Tvos, Self::Visionos];

    /// What a device of this family, in Apple's words, runs.
    pub fn of_family(family: &str) -> Option<Self> {
        let family = family.to_ascii_lowercase();
        let is = |part: &str| family.contains(part);
        match () {
            () if is("ipad") || is("iphone") || is("ipod") => Some(Self::Ios),
            () if is("mac") => Some(Self::Macos),
            () if is("tv") => Some(Self::Tvos),
            () if is("vision") || is("reality") => Some(Self::Visionos),
            () => None,
        }
    }

    /// As Apple writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ios => "iOS",
            Self::Macos => "macOS",
            Self::Tvos => "tvOS",
            Self::Visionos => "visionOS",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = |platform: &&Self| platform.name().eq_ignore_ascii_case(text);
        let found = if text.eq_ignore_ascii_case("ipados") {
            Some(Self::Ios)
        } else {
            Self::ALL.iter().find(wanted).copied()
        };
        found.ok_or_else(|| "must be ios, macos, tvos or visionos".to_owned())
    }
}

/// The pane of this name.
pub fn pane(key: &str) -> Option<&'static Pane> {
    PANES.iter().find(|pane| pane.key == key)
}

/// The group of this name.
pub fn group(name: &str) -> Option<&'static Group> {
    GROUPS.iter().find(|group| group.name == name)
}

/// The panes to skip, by Apple's names: as they were written, then what groups add to them.
pub(super) fn chosen(skip: &[&str], show: &[String]) -> Vec<String> {
    let mut chosen: Vec<&str> = skip.iter().copied().filter(|name| group(name).is_none()).collect();
    let mut seen: BTreeSet<&str> = chosen.iter().copied().collect();
    for pane in skip.iter().filter_map(|name| group(name)).flat_map(Group::panes) {
        if !show.iter().any(|key| key == pane.key) && seen.insert(pane.key) {
            chosen.push(pane.key);
        }
    }
    chosen.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apple_lists_51_panes_and_the_table_is_in_order() {
        let (former, current): (Vec<&Pane>, Vec<&Pane>) =
            PANES.iter().partition(|pane| pane.former.is_some());
        assert_eq!((current.len(), former.len()), (51, 6));
        for list in [former, current] {
            let keys: Vec<String> = list.iter().map(|pane| pane.key.to_lowercase()).collect();
            assert!(keys.is_sorted(), "{keys:?}");
        }
    }

    #[test]
    fn every_pane_is_somewhere_and_says_what_is_no_longer_seen() {
        for pane in PANES {
            let places = Platform::ALL.iter().filter(|platform| pane.on(**platform).is_some()).count();
            assert!(places > 0 || pane.former.is_some(), "{} is nowhere", pane.key);
            assert!(pane.unseen.len() > 10 && !pane.unseen.ends_with('.'), "{}", pane.key);
        }
    }

    #[test]
    fn a_group_adds_what_was_not_written_and_is_not_to_be_shown() {
        let chosen = chosen(&["Zoom", "privacy"], &["Siri".to_owned(), "Location".to_owned()]);
        assert_eq!(
            chosen,
            ["Zoom", "Diagnostics", "iCloudDiagnostics", "Intelligence", "Privacy", "SpokenLanguage"]
        );
    }

    #[test]
    fn what_is_written_without_groups_is_left_as_it_is() {
        assert_eq!(chosen(&["Siri", "Zoom", "Siri"], &[]), ["Siri", "Zoom", "Siri"]);
    }

    #[test]
    fn families_are_known_by_apples_words() {
        let of = |family| Platform::of_family(family).map(Platform::name);
        assert_eq!(
            ["iPad", "iPhone", "iPod", "Mac", "AppleTV", "Apple TV", "Vision", "Watch"].map(of),
            ["iOS", "iOS", "iOS", "macOS", "tvOS", "tvOS", "visionOS", ""]
                .map(|name| { if name.is_empty() { None } else { Some(name) } })
        );
    }
}
