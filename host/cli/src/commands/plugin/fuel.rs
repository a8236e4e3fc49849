//! The fuel that cases took when somebody last looked, in `fuel.toml` beside them.
//!
//! Fuel is the same on every machine, so a policy that takes more than it did has become slower for a
//! reason that is in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::exit::{Outcome, Problem};

/// The name of the file.
pub(super) const FILE: &str = "fuel.toml";
/// How much more than recorded is too much, in a hundred.
const TOLERANCE: u64 = 10;

const HEAD: &str = "\
# The fuel that each case took when `deputy plugin test --update` was typed last; roughly, instructions.
# A case that takes 10 % more than this fails.
";

/// What is recorded, by file and case.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recorded {
    version: u32,
    cases: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Recorded {
    /// What the folder of cases has; nothing if it has no such file.
    pub(super) fn read(folder: &Path) -> Outcome<Self> {
        let path = folder.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Problem::file("read", &path, &error)),
        };
        let wrong = |why: String| {
            Problem::usage(format!("{} cannot be read: {why}", path.display()))
                .hint("delete it; `--update` writes it anew")
        };
        let recorded: Self = toml::from_str(&text).map_err(|error| wrong(error.message().to_owned()))?;
        match recorded.version {
            1 => Ok(recorded),
            version => Err(wrong(format!("it is version {version}, and this Deputy knows version 1"))),
        }
    }

    /// What is wrong with the fuel a case took, if it was recorded and is exceeded.
    pub(super) fn exceeded(&self, file: &str, case: &str, fuel: u64) -> Option<String> {
        let recorded = *self.cases.get(file)?.get(case)?;
        let limit = recorded.saturating_add(recorded.saturating_mul(TOLERANCE) / 100);
        (fuel > limit).then(|| {
            let more = (fuel - recorded).saturating_mul(100) / recorded.max(1);
            format!("took {fuel} fuel, {more} % more than the {recorded} recorded in {FILE}")
        })
    }

    /// Records what a case took now.
    pub(super) fn record(&mut self, file: &str, case: &str, fuel: u64) {
        self.version = 1;
        self.cases.entry(file.to_owned()).or_default().insert(case.to_owned(), fuel);
    }

    /// Writes it beside the cases.
    pub(super) fn write(&self, folder: &Path) -> Outcome<PathBuf> {
        let path = folder.join(FILE);
        let text = toml::to_string(self).expect("text and numbers are always TOML");
        std::fs::write(&path, format!("{HEAD}{text}"))
            .map_err(|error| Problem::file("write", &path, &error))?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_more_is_too_much_and_what_is_not_recorded_is_not_judged() {
        let mut recorded = Recorded::default();
        recorded.record("a.toml", "one", 1_000);
        assert_eq!(recorded.exceeded("a.toml", "one", 1_100), None);
        assert_eq!(
            recorded.exceeded("a.toml", "one", 1_101).unwrap(),
            "took 1101 fuel, 10 % more than the 1000 recorded in fuel.toml"
        );
        assert_eq!(recorded.exceeded("a.toml", "two", 9_999), None);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Recorded::read(folder.path()).unwrap(), Recorded::default());
        let mut recorded = Recorded::default();
        recorded.record("a.toml", "it is \"quoted\"", 7);
        recorded.write(folder.path()).unwrap();
        assert_eq!(Recorded::read(folder.path()).unwrap(), recorded);
    }
}
