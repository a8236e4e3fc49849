//! The operator's tables: files that other people rewrite while we look things up in them.
//!
//! A file is copied before it is read, under the digest of what is in it, so that a run sees one
//! state of it from beginning to end. At the start of a run it is looked at again. A file that went
//! wrong meanwhile is said once and does not count: what was right last is used on. Taking a column
//! away is such a mistake, since a policy was told which there are when it was loaded.

mod guard;
mod mistakes;
mod rows;

use std::borrow::Cow;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use domain::id::{Digest, TableName};
use domain::table::Table as _;

use crate::copies::Copies;

pub use mistakes::{Mistake, Wrong};
pub use rows::CsvTable;

/// What the operator wrote of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// The column that rows are looked up by.
    pub key: String,
    /// What stands between two cells.
    pub delimiter: u8,
    /// How its text is encoded.
    pub encoding: Encoding,
}

/// How the text of a file is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, with or without a mark at the beginning.
    #[default]
    Utf8,
    /// What Excel on Windows writes in Western Europe and the Americas; Latin-1 is part of it.
    Windows1252,
}

/// A table's file and what was read of it last.
#[derive(Debug)]
pub struct TableFile {
    name: TableName,
    source: Source,
    copies: Copies,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What the file looked like from outside when it was read and was right. One that was not is read again
    /// every time: the trouble may have been the disk's.
    stamp: Option<Stamp>,
    /// The operator has said since that columns may be missing.
    columns_may_go: bool,
    good: Option<Arc<CsvTable>>,
    /// What was good before the reload that let columns go.
    before: Option<Arc<CsvTable>>,
    wrong: Option<Wrong>,
    /// Whether it is right or wrong has changed since somebody was told.
    untold: bool,
}

/// A file that still looks like this has not been changed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: SystemTime,
    changed: (i64, i64),
    inode: u64,
}

/// A file changed so lately may be changed once more without looking it: clocks of file systems are coarse.
const RACY: Duration = Duration::from_secs(2);

/// Somebody may be writing the file: it is read so often before that is said.
const READS: usize = 3;

impl TableFile {
    /// The table of this name. Nothing is read yet.
    pub fn new(name: TableName, source: Source, copies: Copies) -> Self {
        Self { name, source, copies, state: Mutex::default() }
    }

    /// What the operator calls it.
    pub fn name(&self) -> &TableName {
        &self.name
    }

    /// What the operator wrote of it.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What is wrong with the file as it was found last, if anything.
    pub fn wrong(&self) -> Option<Wrong> {
        self.state().wrong.clone()
    }

    /// The configuration is read again, and policies are loaded again: a column that is missing now is meant
    /// to be.
    pub fn reloaded(&self) {
        let mut state = self.state();
        (state.columns_may_go, state.before) = (true, None);
    }

    /// A policy that is used on looks at a column that was not meant to go, then: what the table held before the reload
    /// is used on as well. False if no column went.
    pub fn take_back(&self) -> bool {
        let mut state = self.state();
        let Some(before) = state.before.take() else { return false };
        // Looked at again, the file is wrong: a column of it is gone.
        (state.good, state.stamp) = (Some(before), None);
        true
    }

    /// The state of the table that counts now: the file's, or, if that is wrong, the last that was
    /// right. Reads the file if it has changed: not for an async thread. None if it never was right.
    pub fn now(&self) -> Option<Arc<CsvTable>> {
        let mut state = self.state();
        let wrong = self.look(&mut state).err();
        state.untold |= state.wrong != wrong;
        state.wrong = wrong;
        if let Some(good) = &state.good
            && let Err(error) = self.copies.used(good.digest())
        {
            tracing::warn!(table = %self.name, "the private copy of the table `{}` is gone: {error}", self.name);
            // It is open, so this run has it; the next makes another.
            state.stamp = None;
        }
        state.good.clone()
    }

    /// Logs that the file went wrong, or is right again, if nobody was told yet.
    pub(crate) fn tell(&self) {
        let (mut state, name) = (self.state(), &self.name);
        if !std::mem::take(&mut state.untold) {
            return;
        }
        match &state.wrong {
            None => tracing::info!(table = %name, "the table `{name}` is right again"),
            Some(wrong) if state.good.is_some() => {
                tracing::error!(table = %name, "the table `{name}` went wrong; what it held before is used on\n{wrong}");
            }
            Some(wrong) => tracing::error!(table = %name, "the table `{name}` cannot be used\n{wrong}"),
        }
    }

    fn look(&self, state: &mut State) -> Result<(), Wrong> {
        let shown = self.source.path.display().to_string();
        let failed = |error: std::io::Error| {
            let help = match error.kind() {
                std::io::ErrorKind::NotFound => "put it there, or change `csv` of the table in deputy.toml",
                _ => "see that Deputy may read it, and may write beside its store",
            };
            Wrong::whole(&shown, format!("cannot be read: {error}"), help)
        };
        for _ in 0..READS {
            let file = File::open(&self.source.path).map_err(failed)?;
            let before = stamp(&file).map_err(failed)?;
            if state.stamp.as_ref() == Some(&before) {
                return Ok(());
            }
            let draft = self.copies.draft(&file).map_err(failed)?;
            if stamp(&file).map_err(failed)? != before {
                continue;
            }
            let settled = before.modified.elapsed().is_ok_and(|age| age > RACY);
            let stamp = settled.then_some(before);
            let same = state.good.as_ref().is_some_and(|good| *good.digest() == draft.digest);
            if same && self.copies.path(&draft.digest).exists() {
                state.stamp = stamp;
                return Ok(());
            }
            let (first, again) = (draft.open().map_err(failed)?, draft.open().map_err(failed)?);
            let table = CsvTable::read(&first, again, draft.digest.clone(), &self.source, &shown)?;
            let lost = state.good.as_ref().map(|good| self.keeps_columns(good, &table, &shown));
            if let Some(Err(gone)) = lost {
                if !state.columns_may_go {
                    return Err(gone);
                }
                state.before.clone_from(&state.good);
            }
            self.copies.name(draft).map_err(failed)?;
            (state.stamp, state.columns_may_go) = (stamp, false);
            if let Some(before) = state.good.replace(Arc::new(table)) {
                tracing::info!(table = %self.name, "the table `{}` has changed; it had {} rows", self.name, before.rows());
            }
            return Ok(());
        }
        let help = "let whoever writes it write another file, and rename that when it is whole";
        Err(Wrong::whole(&shown, "is being written", help))
    }

    fn keeps_columns(&self, before: &CsvTable, now: &CsvTable, shown: &str) -> Result<(), Wrong> {
        let gone = before.columns().iter().find(|column| !now.columns().contains(column));
        let Some(gone) = gone else { return Ok(()) };
        let help = "put it back, or reload the configuration if that is meant";
        let message = format!("the column `{gone}` is gone, and a policy may look at it");
        let mistake = Mistake { line: Some(1), message, help: Some(help.to_owned()) };
        Err(Wrong { path: shown.to_owned(), mistakes: vec![mistake], more: false })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A table as it was when it had this digest, from its private copy; none if there is no copy any more.
pub fn of_copy(copies: &Copies, digest: &Digest, source: &Source) -> Result<Option<Arc<CsvTable>>, Wrong> {
    let path = copies.path(digest);
    let shown = path.display().to_string();
    let failed = |error: std::io::Error| {
        Wrong::whole(&shown, format!("cannot be read: {error}"), "see that Deputy may read it")
    };
    match copies.read(digest) {
        Ok(Some(_)) => {}
        Ok(None) => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    let (file, again) = (File::open(&path).map_err(failed)?, File::open(&path).map_err(failed)?);
    Ok(Some(Arc::new(CsvTable::read(&file, again, digest.clone(), source, &shown)?)))
}

impl Encoding {
    /// Whether these bytes are text in it.
    fn has(self, bytes: &[u8]) -> bool {
        self == Self::Windows1252 || std::str::from_utf8(bytes).is_ok()
    }

    fn text(self, bytes: &[u8]) -> String {
        match self {
            Self::Utf8 => String::from_utf8_lossy(bytes),
            Self::Windows1252 => Cow::Owned(bytes.iter().map(|byte| windows_1252(*byte)).collect()),
        }
        .into_owned()
    }
}

/// Latin-1, except for the places that are control characters there.
fn windows_1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
        '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => HIGH[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

fn stamp(file: &File) -> std::io::Result<Stamp> {
    let data = file.metadata()?;
    Ok(Stamp {
        size: data.len(),
        modified: data.modified()?,
        changed: (data.ctime(), data.ctime_nsec()),
        inode: data.ino(),
    })
}

#[cfg(test)]
mod tests;
