//! Compiled code, kept between starts.
//!
//! The engine executes what is in these files as it is, so they are trusted like the program itself: they
//! are in a folder that only we can enter, and each begins with a checksum that needs a key from that folder.
//! A file that is not exactly what we wrote is ignored and made again. Nothing here is ever an error:
//! without a cache, plugins are compiled at every start.

use std::fs::{self, DirBuilder};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use domain::id::Digest;
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

const CHECKSUM: usize = 32;

pub(crate) struct Cache {
    folder: PathBuf,
    key: [u8; CHECKSUM],
}

impl Cache {
    /// The cache in a folder of its own, which is made if need be.
    pub(crate) fn open(folder: PathBuf) -> Option<Self> {
        match private_folder(&folder).and_then(|()| key(&folder)) {
            Ok(key) => Some(Self { folder, key }),
            Err(error) => {
                let folder = folder.display();
                tracing::warn!(
                    "no cache for compiled plugins in {folder}, compiling at every start: {error}"
                );
                None
            }
        }
    }

    /// The code that was made of this component by an engine like this one.
    pub(crate) fn load(&self, engine: &Engine, digest: &Digest) -> Option<Component> {
        let name = self.name(engine, digest);
        let bytes = fs::read(self.folder.join(&name)).ok()?;
        let (checksum, code) = bytes.split_at_checked(CHECKSUM)?;
        if checksum != self.checksum(&name, code) {
            tracing::warn!("compiled plugin {name} was changed by somebody, compiling it again");
            return None;
        }
        #[allow(unsafe_code, reason = "the one way to code that is compiled already")]
        // SAFETY: the checksum shows that these are the bytes we once serialised, for an engine that
        // would have compiled the same; nobody who lacks the key could have made it.
        unsafe { Component::deserialize(engine, code) }
            .inspect_err(|error| tracing::debug!("compiled plugin {name} is of no use: {error:#}"))
            .ok()
    }

    /// Keeps the code. It appears whole or not at all.
    pub(crate) fn store(&self, engine: &Engine, digest: &Digest, component: &Component) {
        let name = self.name(engine, digest);
        let stored = component
            .serialize()
            .map_err(io::Error::other)
            .and_then(|code| write_private(&self.folder, &name, &[&self.checksum(&name, &code), &code]));
        if let Err(error) = stored {
            tracing::warn!("compiled plugin {name} could not be kept in {}: {error}", self.folder.display());
        }
    }

    /// Names everything that the code depends on: the component, and the engine's version, settings and machine.
    fn name(&self, engine: &Engine, digest: &Digest) -> String {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        format!("{digest}-{:016x}.cwasm", hasher.finish())
    }

    /// Two hashes, one in the other: a single one could be continued by somebody without the key.
    fn checksum(&self, name: &str, code: &[u8]) -> [u8; CHECKSUM] {
        let code = Sha256::digest(code);
        Sha256::new().chain_update(self.key).chain_update(code).chain_update(name).finalize().into()
    }
}

/// The key of this folder; made on first use.
fn key(folder: &Path) -> io::Result<[u8; CHECKSUM]> {
    let path = folder.join("key");
    match fs::read(&path).map(<[u8; CHECKSUM]>::try_from) {
        Ok(Ok(key)) => Ok(key),
        // Without its key the rest is worthless, and is made again.
        Ok(Err(_)) => new_key(folder),
        Err(error) if error.kind() == io::ErrorKind::NotFound => new_key(folder),
        Err(error) => Err(error),
    }
}

fn new_key(folder: &Path) -> io::Result<[u8; CHECKSUM]> {
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

/// Makes the folder, and closes it to others. Fails if it is somebody else's.
#[cfg(unix)]
fn private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

/// Makes the folder; who may enter it is inherited.
#[cfg(not(unix))]
fn private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).create(folder)
}
