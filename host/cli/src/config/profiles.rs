//! The folder with the profiles: each file read with what it extends and the certificates it names,
//! and checked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use domain::document::{Findings, Mistake, Mistakes, Severity, Source};
use domain::id::{BadName, ProfileName};
use domain::profile::panes::Platform;
use domain::profile::{CertificateFile, Definition, Draft, File, Files, Given, Profile};
use jiff::Timestamp;

use super::certificates::certificates;
use super::folders::{read, toml_files};
use crate::exit::Outcome;

/// A profile's file, and all that is known of it.
pub(crate) struct Read {
    /// The name of the file.
    pub name: ProfileName,
    /// The file, if it has the right shape.
    pub draft: Option<Draft>,
    /// What was found besides the file.
    pub given: Given,
    /// The profile, if it can be sent.
    pub profile: Option<(Profile, Definition)>,
    /// What is wrong or doubtful.
    pub found: Mistakes,
}

impl Read {
    /// Whether it is a profile, right or wrong, and not only what others extend.
    pub(super) fn is_profile(&self) -> bool {
        self.profile.is_some() || self.stops()
    }

    /// Whether something keeps it from being used. A certificate that expired does not.
    fn stops(&self) -> bool {
        self.profile.is_none() && self.found.has_errors()
    }
}

/// The profiles in the folder beside `deputy.toml`, by name; files that are none go to `wrong`.
pub(crate) fn read_profiles(
    folder: &Path,
    platforms: Option<&BTreeSet<Platform>>,
    wrong: &mut Vec<Mistakes>,
) -> Outcome<Vec<Read>> {
    let folder = folder.join("profiles");
    let (mut names, mut files) = (Vec::<ProfileName>::new(), Files::new());
    for file in toml_files(&folder)? {
        let path = file.display().to_string();
        let text = match read(&file)? {
            Ok(text) => text,
            Err(mistakes) => {
                wrong.push(mistakes);
                continue;
            }
        };
        let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        match stem.parse() {
            Ok(name) => names.push(name),
            Err(error) => {
                let error: BadName = error;
                let mut findings = Findings::new(Source { path: &path, text: &text });
                let help = "a profile is called as its file is, without `.toml`: give the file another name";
                findings.at("", error.to_string(), Some(help.to_owned()));
                wrong.push(findings.into_mistakes());
                continue;
            }
        }
        files.insert(stem.to_owned(), File { path, text });
    }
    Ok(names.into_iter().map(|name| read_one(name, &files, &folder, platforms)).collect())
}

fn read_one(name: ProfileName, files: &Files, folder: &Path, platforms: Option<&BTreeSet<Platform>>) -> Read {
    let mut given = Given { now: Some(Timestamp::now()), platforms: platforms.cloned(), ..Given::default() };
    match Draft::read(&name, files) {
        Err(found) => Read { name, draft: None, given, profile: None, found },
        Ok(draft) => {
            let read = |file: CertificateFile| (file.clone(), certificates(&file, folder));
            given.certificates = draft.certificate_files().into_iter().map(read).collect();
            let checked = draft.check(&given);
            Read { name, draft: Some(draft), given, profile: checked.profile, found: checked.found }
        }
    }
}

/// The profiles that can be used, and what is doubtful with them; what keeps others from being used
/// goes to `wrong`, once where several extend the same file.
pub(super) fn usable(
    reads: Vec<Read>,
    wrong: &mut Vec<Mistakes>,
) -> (Profiles, BTreeMap<ProfileName, Mistakes>) {
    let (mut profiles, mut doubts) = (BTreeMap::new(), BTreeMap::new());
    let mut told = BTreeSet::new();
    for read in reads {
        if read.stops() {
            let found = read.found.clone();
            let news =
                |mistake: &Mistake| mistake.severity == Severity::Error && told.insert(found.show(mistake));
            let errors = read.found.only(news);
            if !errors.list().is_empty() {
                wrong.push(errors);
            }
        } else if let Some(profile) = read.profile {
            profiles.insert(read.name.clone(), profile);
            doubts.insert(read.name, read.found);
        }
    }
    (profiles, doubts)
}

/// Profiles by the name of their file.
pub(super) type Profiles = BTreeMap<ProfileName, (Profile, Definition)>;
