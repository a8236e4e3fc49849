//! Private copies of files that the operator may change under us: tables while a run looks into
//! them, plugins that are to be compared with what comes after them.
//!
//! A copy is called by the digest of what is in it, so what it was made of cannot change unseen. It
//! is used by setting its time; what nobody has used for [`KEPT`] is deleted, whoever it was for.

use std::fs::{DirBuilder, File};
use std::io::{self, BufReader, Read, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use domain::id::Digest;
use sha2::Digest as _;
use tempfile::NamedTempFile;

/// How long a copy is kept after it was last used: runs of that time can be repeated.
pub const KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);

/// A folder of copies.
#[derive(Clone, Debug)]
pub struct Copies {
    folder: PathBuf,
    suffix: &'static str,
}

/// A copy that does not have its name yet; gone if it never gets one.
pub(crate) struct Draft {
    file: NamedTempFile,
    pub(crate) digest: Digest,
}

impl Copies {
    /// The copies of the operator's tables that belong to a store.
    pub fn of_tables(store: &Path) -> Self {
        Self { folder: store.with_file_name("tables"), suffix: "csv" }
    }

    /// The copies of plugins that belong to a store.
    pub fn of_plugins(store: &Path) -> Self {
        Self { folder: store.with_file_name("plugins"), suffix: "wasm" }
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
        let mut file = NamedTempFile::new_in(&self.folder)?;
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

    /// Gives a draft its name, in place of whatever had it.
    pub(crate) fn name(&self, draft: Draft) -> io::Result<()> {
        draft.file.as_file().sync_all()?;
        draft.file.persist(self.path(&draft.digest)).map_err(|error| error.error)?;
        Ok(())
    }

    /// Notes that a copy is used.
    pub(crate) fn used(&self, digest: &Digest) -> io::Result<()> {
        File::options().append(true).open(self.path(digest))?.set_modified(SystemTime::now())
    }

    /// Deletes the copies that nobody has used for [`KEPT`], but none of these.
    pub fn tidy<'a>(&self, referred_to: impl IntoIterator<Item = &'a Digest>) -> io::Result<()> {
        for digest in referred_to {
            match self.used(digest) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.clean()
    }

    /// Deletes the copies that nobody has used for [`KEPT`], and drafts that were left behind.
    pub(crate) fn clean(&self) -> io::Result<()> {
        let entries = match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let age = entry.metadata().and_then(|it| it.modified()).ok().and_then(|it| it.elapsed().ok());
            if age.is_some_and(|age| age > KEPT) {
                // Only tidiness: whoever reads it has it open.
                let _ = std::fs::remove_file(entry.path());
            }
        }
        Ok(())
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
    use super::*;

    #[test]
    fn a_copy_is_kept_while_it_is_used_and_deleted_long_after() {
        let folder = tempfile::tempdir().unwrap();
        let copies = Copies::of_plugins(&folder.path().join("deputy.db"));
        let (old, new) = (copies.keep(b"old").unwrap(), copies.keep(b"new").unwrap());
        let long_ago = SystemTime::now() - KEPT - Duration::from_secs(60);
        File::options().append(true).open(copies.path(&old)).unwrap().set_modified(long_ago).unwrap();
        copies.clean().unwrap();
        assert_eq!(copies.read(&old).unwrap(), None);
        assert_eq!(copies.read(&new).unwrap().as_deref(), Some(&b"new"[..]));
    }

    #[test]
    fn what_is_referred_to_is_kept_however_long_ago_it_was_used() {
        let folder = tempfile::tempdir().unwrap();
        let copies = Copies::of_plugins(&folder.path().join("deputy.db"));
        let (pinned, old) = (copies.keep(b"pinned").unwrap(), copies.keep(b"old").unwrap());
        let long_ago = SystemTime::now() - KEPT - Duration::from_secs(60);
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
