//! Who works on what, between processes of one machine.
//!
//! A lock is an advisory lock on a file beside the store. The operating system lets go of it when
//! the process ends, however it ends, so there is nothing to clean up after a crash: a run that is
//! open in the store and whose lock is free was interrupted.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use tokio::sync::OwnedMutexGuard;

/// A folder of locks.
#[derive(Clone, Debug)]
pub struct Locks {
    folder: PathBuf,
}

/// A lock that is held; dropping it lets go.
#[derive(Debug)]
pub struct Held {
    _file: File,
    path: Option<PathBuf>,
    /// Let go of after the file: whoever is next in this process finds it free.
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Locks {
    /// The locks that belong to a store.
    pub fn beside(store: &Path) -> io::Result<Self> {
        let folder = store.with_extension("locks");
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// Takes a lock; none if somebody holds it.
    pub fn try_hold(&self, name: &str) -> io::Result<Option<Held>> {
        let path = self.folder.join(name);
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Held { _file: file, path: None, _turn: None })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Takes a lock that nobody will want again; its file goes with it.
    pub fn hold_once(&self, name: &str) -> io::Result<Option<Held>> {
        let held = self.try_hold(name)?;
        Ok(held.map(|mut held| {
            held.path = Some(self.folder.join(name));
            held
        }))
    }
}

impl Held {
    /// The same, for whoever's turn it was in this process.
    pub(crate) fn in_turn(self, turn: OwnedMutexGuard<()>) -> Self {
        let mut held = self;
        held._turn = Some(turn);
        held
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Only tidiness: an unlocked file that stays behind means nothing.
            let _ = std::fs::remove_file(path);
        }
    }
}
