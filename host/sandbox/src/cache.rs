//! Compiled code, kept between starts; and for an hour, of what could not be compiled, why not.
//!
//! The engine executes what is in these files as it is, so they are trusted like the program itself: they
//! are in a folder that only we can enter, and each begins with a checksum that needs a key from that folder.
//! A file that is not exactly what we wrote is ignored and made again. Nothing here is ever an error:
//! without a cache, plugins are compiled at every start.

use std::fs::{self, DirBuilder, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use domain::id::Digest;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;

use crate::limits::Limits;

const CHECKSUM: usize = 32;

/// How much code is kept, in bytes; what was used longest ago goes first. Ten Python policies fit.
const KEPT: u64 = 512 << 20;

/// A file that is being written is younger than this; an older one was left behind by a crash, or is a
/// failure that is tried again.
const STRAY: Duration = Duration::from_secs(3_600);

pub(crate) struct Cache {
    folder: PathBuf,
    key: [u8; CHECKSUM],
    kept: u64,
}

impl Cache {
    /// The cache in a folder of its own, which is made if need be.
    pub(crate) fn open(folder: PathBuf) -> Option<Self> {
        match private_folder(&folder).and_then(|was_private| key(&folder, was_private)) {
            Ok(key) => Some(Self { folder, key, kept: KEPT }),
            Err(error) => {
                let folder = folder.display();
                tracing::warn!(
                    "no cache for compiled plugins in {folder}, compiling at every start: {error}"
                );
                None
            }
        }
    }

    /// The code that was made of this component for an engine like this one.
    pub(crate) fn load(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.folder.join(name);
        let mut file = open_own(&path).ok()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).ok()?;
        let (checksum, code) = bytes.split_at_checked(CHECKSUM)?;
        if checksum != self.checksum(name, code) {
            tracing::warn!("compiled plugin {name} was changed by somebody, compiling it again");
            return None;
        }
        // So that it is not the first to go. If that fails, it may be.
        let _ = file.set_modified(SystemTime::now());
        bytes.drain(..CHECKSUM);
        Some(bytes)
    }

    /// Keeps the code. It appears whole or not at all.
    pub(crate) fn store(&self, name: &str, code: &[u8]) {
        let stored = write_private(&self.folder, name, &[&self.checksum(name, code), code]);
        if let Err(error) = stored {
            tracing::warn!("compiled plugin {name} could not be kept in {}: {error}", self.folder.display());
        }
        if let Err(error) = self.clean() {
            tracing::warn!("old compiled plugins in {} were not removed: {error}", self.folder.display());
        }
    }

    /// When a component could not be compiled, and why, if that was within the last hour.
    pub(crate) fn failure(&self, name: &str, now: Timestamp) -> Option<(Timestamp, String)> {
        let text = String::from_utf8(self.load(name)?).ok()?;
        let (at, reason) = text.split_once('\n')?;
        let at: Timestamp = at.parse().ok()?;
        // A clock that was set back makes no hour longer.
        let age = now.duration_since(at).unsigned_abs();
        (age < STRAY).then(|| (at, reason.to_owned()))
    }

    /// Keeps that a component could not be compiled, and why.
    pub(crate) fn remember(&self, name: &str, now: Timestamp, reason: &str) {
        self.store(name, format!("{now}\n{reason}").as_bytes());
    }

    /// Forgets that a component could not be compiled.
    pub(crate) fn forget(&self, name: &str) {
        // Where there is none, there is none.
        let _ = fs::remove_file(self.folder.join(name));
    }

    /// Removes what was used longest ago, as long as there is too much, and what a crash left behind.
    fn clean(&self) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let (entry, path) = entry.map(|entry| (entry.metadata(), entry.path()))?;
            let Ok(metadata) = entry else { continue };
            let used = metadata.modified()?;
            if path.extension().is_some_and(|extension| extension == "cwasm") {
                entries.push((used, metadata.len(), path));
            } else if path.file_name().is_some_and(|name| name != "key")
                && used.elapsed().is_ok_and(|age| age > STRAY)
            {
                remove(&path)?;
            }
        }
        entries.sort();
        let mut kept = 0;
        for (_, size, path) in entries.into_iter().rev() {
            kept += size;
            if kept > self.kept {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// Two hashes, one in the other: a single one could be continued by somebody without the key.
    fn checksum(&self, name: &str, code: &[u8]) -> [u8; CHECKSUM] {
        let code = Sha256::digest(code);
        Sha256::new().chain_update(self.key).chain_update(code).chain_update(name).finalize().into()
    }
}

/// Another program may clean at the same time.
fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })
}

/// Names everything that code depends on: the component, and the engine's version, settings and machine.
pub(crate) fn name(engine: &Engine, digest: &Digest) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{digest}-{:016x}.cwasm", hasher.finish())
}

/// Names everything that the failure to make code depends on: the same, and what the compiler may use.
pub(crate) fn failure_name(engine: &Engine, digest: &Digest, limits: &Limits) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    (limits.compile_time, limits.compile_bytes).hash(&mut hasher);
    format!("{digest}-{:016x}.failed", hasher.finish())
}

/// The key of this folder; made on first use, and when others may have seen or made it. Without its key the
/// rest is worthless, and is made again.
fn key(folder: &Path, was_private: bool) -> io::Result<[u8; CHECKSUM]> {
    let mut key = Vec::new();
    if was_private && let Ok(file) = open_own(&folder.join("key")) {
        file.take(CHECKSUM as u64 + 1).read_to_end(&mut key)?;
    }
    if let Ok(key) = <[u8; CHECKSUM]>::try_from(key) {
        return Ok(key);
    }
    let mut key = [0; CHECKSUM];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    write_private(folder, "key", &[&key])?;
    Ok(key)
}

/// Writes a file that only we can read, whole or not at all.
fn write_private(folder: &Path, name: &str, parts: &[&[u8]]) -> io::Result<()> {
    // A temporary file is made with mode 0600, and keeps it.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.persist(folder.join(name))?;
    Ok(())
}

/// Opens a file of ours: no link to somewhere else, and nobody else's.
#[cfg(unix)]
fn open_own(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::symlink_metadata(path)?;
    let private = metadata.mode() & 0o077 == 0 && metadata.uid() == ourselves();
    if metadata.is_file() && private { File::open(path) } else { Err(not_ours()) }
}

/// Makes the folder, and closes it to others; whether it was closed. Fails if it is somebody else's, or
/// not a folder but a link to one.
#[cfg(unix)]
fn private_folder(folder: &Path) -> io::Result<bool> {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let metadata = fs::symlink_metadata(folder)?;
    if !metadata.is_dir() || metadata.uid() != ourselves() {
        return Err(not_ours());
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    Ok(metadata.mode() & 0o077 == 0)
}

#[cfg(unix)]
fn ourselves() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(unix)]
fn not_ours() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "it is a link, or belongs to somebody else")
}

#[cfg(not(unix))]
fn open_own(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Makes the folder; who may enter it is inherited.
#[cfg(not(unix))]
fn private_folder(folder: &Path) -> io::Result<bool> {
    DirBuilder::new().recursive(true).create(folder)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &[u8] = b"what the compiler made, which may be long";

    fn cache(folder: &Path) -> Cache {
        Cache::open(folder.to_owned()).expect("the folder is ours")
    }

    #[test]
    fn what_was_kept_is_found_by_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        cache(folder.path()).store("a.cwasm", CODE);
        assert_eq!(cache(folder.path()).load("a.cwasm").as_deref(), Some(CODE));
        assert_eq!(cache(folder.path()).load("b.cwasm"), None);
    }

    #[test]
    fn a_file_of_which_any_byte_is_another_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, file) = (cache(folder.path()), folder.path().join("a.cwasm"));
        cache.store("a.cwasm", CODE);
        let good = fs::read(&file).unwrap();
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                fs::write(&file, bad).unwrap();
                assert_eq!(cache.load("a.cwasm"), None, "bit {bit} of byte {at}");
            }
            fs::write(&file, &good[..at]).unwrap();
            assert_eq!(cache.load("a.cwasm"), None, "cut after {at} bytes");
        }
        fs::write(&file, [&good[..], b"x"].concat()).unwrap();
        assert_eq!(cache.load("a.cwasm"), None, "something appended");
        fs::write(&file, good).unwrap();
        assert_eq!(cache.load("a.cwasm").as_deref(), Some(CODE));
    }

    #[test]
    fn a_file_under_the_name_of_another_or_with_another_key_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        cache(folder.path()).store("a.cwasm", CODE);
        fs::copy(folder.path().join("a.cwasm"), folder.path().join("b.cwasm")).unwrap();
        assert_eq!(cache(folder.path()).load("b.cwasm"), None);
        fs::remove_file(folder.path().join("key")).unwrap();
        assert_eq!(cache(folder.path()).load("a.cwasm"), None);
    }

    #[test]
    #[cfg(unix)]
    fn what_others_could_write_is_not_believed() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let file = folder.path().join("a.cwasm");
        cache(folder.path()).store("a.cwasm", CODE);
        mode(&file, 0o640);
        assert_eq!(cache(folder.path()).load("a.cwasm"), None, "a file that others may read");
        mode(&file, 0o600);
        assert!(cache(folder.path()).load("a.cwasm").is_some());
        // The key may have been read, or put there.
        mode(folder.path(), 0o755);
        assert_eq!(cache(folder.path()).load("a.cwasm"), None, "a folder that others could enter");
        assert_eq!(fs::metadata(folder.path()).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    #[cfg(unix)]
    fn links_are_not_followed() {
        use std::os::unix::fs::symlink;
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        cache(folder.path()).store("a.cwasm", CODE);
        fs::rename(folder.path().join("a.cwasm"), other.path().join("a.cwasm")).unwrap();
        symlink(other.path().join("a.cwasm"), folder.path().join("a.cwasm")).unwrap();
        assert_eq!(cache(folder.path()).load("a.cwasm"), None);
        let link = other.path().join("link");
        symlink(folder.path(), &link).unwrap();
        assert!(Cache::open(link).is_none(), "the folder itself is a link");
    }

    #[test]
    fn a_failure_counts_for_an_hour_by_any_clock() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path());
        let at = |time: &str| format!("2026-01-09T{time}Z").parse::<Timestamp>().unwrap();
        let failure = |time| cache.failure("a.failed", at(time));
        assert_eq!(failure("09:00:00"), None);
        cache.remember("a.failed", at("09:00:00"), "it takes\ntoo long");
        let known = Some((at("09:00:00"), "it takes\ntoo long".to_owned()));
        assert_eq!(
            [failure("09:00:00"), failure("09:59:59"), failure("08:00:01")],
            [(); 3].map(|()| known.clone())
        );
        assert_eq!([failure("10:00:00"), failure("08:00:00")], [None, None]);
        cache.forget("a.failed");
        assert_eq!(failure("09:00:00"), None);
    }

    #[test]
    fn what_was_used_longest_ago_goes_when_there_is_too_much() {
        let folder = tempfile::tempdir().unwrap();
        let mut cache = cache(folder.path());
        cache.kept = 3 * (CHECKSUM + CODE.len()) as u64;
        let age = |name: &str, seconds| {
            let file = File::open(folder.path().join(name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
        };
        for (name, seconds) in [("a.cwasm", 30), ("b.cwasm", 20), ("c.cwasm", 10)] {
            cache.store(name, CODE);
            age(name, seconds);
        }
        // Used just now, although it was written first.
        cache.load("a.cwasm").unwrap();
        fs::write(folder.path().join(".tmp-of-a-crash"), "half").unwrap();
        age(".tmp-of-a-crash", 7_200);
        cache.store("d.cwasm", CODE);
        let mut left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["a.cwasm", "c.cwasm", "d.cwasm", "key"]);
    }
}
