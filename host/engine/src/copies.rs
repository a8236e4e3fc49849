//! Private copies of files that the operator may change under us: tables while a run looks into
//! them, plugins that are to be compared with what comes after them.
//!
//! A copy is called by the digest of what is in it, so what it was made of cannot change unseen. It
//! is used by setting its time; what nobody has used for long is deleted, whoever it was for, and so
//! is what was used longest ago when there is too much. Nothing else in the folder is touched.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File};
use std::io::{self, BufReader, Read, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use domain::id::Digest;
use sha2::Digest as _;
use tempfile::NamedTempFile;

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// How long the copy of a table is kept after it was last used: runs of that time can be repeated.
const TABLES_KEPT: Duration = DAY.saturating_mul(30);
/// The same for plugins. A daemon uses one when it starts, and may run for a year before another follows.
const PLUGINS_KEPT: Duration = DAY.saturating_mul(400);
/// So many bytes are kept besides what was used within a day: a large table may change every minute.
const MOST: u64 = 1 << 30;
/// How the names of files begin that are being written.
const DRAFT: &str = ".draft-";

/// A folder of copies.
#[derive(Clone, Debug)]
pub struct Copies {
    folder: PathBuf,
    suffix: &'static str,
    kept: Duration,
    most: u64,
}

/// A copy that does not have its name yet; gone if it never gets one.
pub(crate) struct Draft {
    file: NamedTempFile,
    pub(crate) digest: Digest,
}

impl Copies {
    /// The copies of the operator's tables that belong to a store.
    pub fn of_tables(store: &Path) -> Self {
        Self { folder: store.with_file_name("table-copies"), suffix: "csv", kept: TABLES_KEPT, most: MOST }
    }

    /// The copies of plugins that belong to a store.
    pub fn of_plugins(store: &Path) -> Self {
        Self { folder: store.with_file_name("plugin-copies"), suffix: "wasm", kept: PLUGINS_KEPT, most: MOST }
    }

    /// Where the copy with this digest is, or would be.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("{digest}.{}", self.suffix))
    }

    /// Keeps these bytes, unless they are there already.
    pub fn keep(&self, bytes: &[u8]) -> io::Result<Digest> {
        let digest = Digest::of(bytes);
        if self.read(&digest)?.is_none() {
            let draft = self.draft(bytes)?;
            self.name(draft)?;
        }
        self.used(&digest)?;
        Ok(digest)
    }

    /// What the copy holds; none if there is no copy, or it is not what its name says.
    pub fn read(&self, digest: &Digest) -> io::Result<Option<Vec<u8>>> {
        match std::fs::read(self.path(digest)) {
            Ok(bytes) => Ok((Digest::of(&bytes) == *digest).then_some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Copies all of it. Memory stays the same however much it is.
    pub(crate) fn draft(&self, from: impl Read) -> io::Result<Draft> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let mut file = tempfile::Builder::new().prefix(DRAFT).tempfile_in(&self.folder)?;
        let (mut from, mut hash) = (BufReader::with_capacity(1 << 16, from), sha2::Sha256::new());
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = from.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            hash.update(&buffer[..read]);
            file.write_all(&buffer[..read])?;
        }
        let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let digest = hex.parse().map_err(io::Error::other)?;
        Ok(Draft { file, digest })
    }

    /// Gives a draft its name, in place of whatever had it, and makes room for it.
    pub(crate) fn name(&self, draft: Draft) -> io::Result<()> {
        draft.file.as_file().sync_all()?;
        draft.file.persist(self.path(&draft.digest)).map_err(|error| error.error)?;
        if let Err(error) = self.clean() {
            tracing::warn!("old copies in {} are not deleted: {error}", self.folder.display());
        }
        Ok(())
    }

    /// Notes that a copy is used.
    pub(crate) fn used(&self, digest: &Digest) -> io::Result<()> {
        File::options().append(true).open(self.path(digest))?.set_modified(SystemTime::now())
    }

    /// Deletes the copies that nobody has used for long, but none of these.
    pub fn tidy<'a>(&self, referred_to: impl IntoIterator<Item = &'a Digest>) -> io::Result<()> {
        for digest in referred_to {
            match self.used(digest) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.clean()
    }

    /// Deletes the copies that nobody has used for long, those that are too many, and drafts that were
    /// left behind.
    fn clean(&self) -> io::Result<()> {
        let entries = match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        let mut ours = Vec::new();
        for entry in entries {
            let entry = entry?;
            if let Ok(data) = entry.metadata()
                && self.is_ours(&entry.file_name())
            {
                let age = data.modified()?.elapsed().unwrap_or_default();
                ours.push((age, data.len(), entry.path()));
            }
        }
        ours.sort();
        let mut so_far = 0;
        for (age, size, path) in ours {
            so_far += size;
            if age > self.kept || (so_far > self.most && age > DAY) {
                // Only tidiness: whoever reads it has it open.
                let _ = std::fs::remove_file(path);
            }
        }
        Ok(())
    }

    /// An operator may keep files of their own in the folder.
    fn is_ours(&self, name: &OsStr) -> bool {
        let Some(name) = name.to_str() else { return false };
        let copy = name.strip_suffix(self.suffix).and_then(|name| name.strip_suffix('.'));
        name.starts_with(DRAFT) || copy.is_some_and(|digest| digest.parse::<Digest>().is_ok())
    }
}

impl Draft {
    /// The copy, to be read from its beginning.
    pub(crate) fn open(&self) -> io::Result<File> {
        self.file.reopen()
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// Copies of files of three bytes that were last used so many days ago, and a file of the operator's:
    /// what is left of them when one more is kept.
    #[track_caller]
    fn check(days: &[u32], most: u64, expected: Expect) {
        let folder = tempfile::tempdir().unwrap();
        let copies = Copies { most, ..Copies::of_tables(&folder.path().join("deputy.db")) };
        let age = |path: &Path, days: u32| {
            File::options()
                .append(true)
                .open(path)
                .unwrap()
                .set_modified(SystemTime::now() - DAY * days)
                .unwrap();
        };
        for day in days {
            let digest = copies.keep(format!("{day:03}").as_bytes()).unwrap();
            age(&copies.path(&digest), *day);
        }
        for name in ["assets.csv", "deadbeef.csv", ".draft-left"] {
            let path = copies.folder.join(name);
            std::fs::write(&path, name).unwrap();
            age(&path, 900);
        }
        copies.keep(b"new").unwrap();
        let mut left: Vec<String> = std::fs::read_dir(&copies.folder)
            .unwrap()
            .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
            .collect();
        left.sort();
        expected.assert_eq(&left.join(" "));
    }

    #[test]
    fn copies_are_kept_while_they_are_used_and_what_is_not_ours_for_ever() {
        check(&[0, 29, 31], MOST, expect!["000 029 assets.csv deadbeef.csv new"]);
    }

    #[test]
    fn of_too_many_copies_those_used_longest_ago_go() {
        check(&[20, 2, 10, 0], 9, expect!["000 002 assets.csv deadbeef.csv new"]);
        check(&[0, 0, 0, 2], 3, expect!["000 assets.csv deadbeef.csv new"]);
    }

    #[test]
    fn what_is_referred_to_is_kept_however_long_ago_it_was_used() {
        let folder = tempfile::tempdir().unwrap();
        let copies = Copies::of_plugins(&folder.path().join("deputy.db"));
        let (pinned, old) = (copies.keep(b"pinned").unwrap(), copies.keep(b"old").unwrap());
        let long_ago = SystemTime::now() - PLUGINS_KEPT - Duration::from_secs(60);
        for copy in [&pinned, &old] {
            File::options().append(true).open(copies.path(copy)).unwrap().set_modified(long_ago).unwrap();
        }
        let never_copied = Digest::of(b"never copied");
        copies.tidy([&pinned, &never_copied]).unwrap();
        assert!(copies.read(&pinned).unwrap().is_some());
        assert_eq!(copies.read(&old).unwrap(), None);
    }

    #[test]
    fn a_copy_that_is_not_what_its_name_says_is_none_and_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let copies = Copies::of_plugins(&folder.path().join("deputy.db"));
        let digest = copies.keep(b"trusted").unwrap();
        std::fs::write(copies.path(&digest), b"another").unwrap();
        assert_eq!(copies.read(&digest).unwrap(), None);
        copies.keep(b"trusted").unwrap();
        assert!(copies.read(&digest).unwrap().is_some());
    }
}
