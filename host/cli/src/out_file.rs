//! Where a command writes what it was asked for: a file that is whole at any moment, or what a path leads to.
//!
//! It is opened before the work begins, so that nobody waits for a result that has no place. A regular file is
//! replaced by a whole new one, made under a name that nothing else has. Whatever else is there, a device, a
//! pipe or a link, is written to and stays what it is.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use crate::exit::{Outcome, Problem};

/// A place that can be written to.
pub(crate) struct OutFile {
    path: PathBuf,
    place: Place,
}

enum Place {
    StandardOutput,
    /// A new file, which is to take the place of a regular one or of none.
    New(NamedTempFile),
    /// Something else than a regular file.
    There(File),
}

impl OutFile {
    /// The place of this path, ready to be written to; `-` is standard output.
    pub(crate) fn open(path: &Path) -> Outcome<Self> {
        let place = Self::place(path).map_err(|error| Problem::file("write", path, &error))?;
        Ok(Self { path: path.to_owned(), place })
    }

    fn place(path: &Path) -> io::Result<Place> {
        if path == Path::new("-") {
            return Ok(Place::StandardOutput);
        }
        match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // As any new file: what the user's mask leaves of it.
                Ok(Place::New(beside(path, Permissions::from_mode(0o666))?))
            }
            Err(error) => Err(error),
            Ok(found) if found.is_file() => {
                // One that may not be written to is not replaced either.
                let permissions = OpenOptions::new().write(true).open(path)?.metadata()?.permissions();
                let new = beside(path, permissions.clone())?;
                new.as_file().set_permissions(permissions)?;
                Ok(Place::New(new))
            }
            // A link to nothing makes nothing: whoever planted it chose the place.
            Ok(_) => Ok(Place::There(OpenOptions::new().write(true).open(path)?)),
        }
    }

    /// Whether that is standard output.
    pub(crate) fn is_standard_output(&self) -> bool {
        matches!(self.place, Place::StandardOutput)
    }

    /// How to name the place to people.
    pub(crate) fn shown(&self) -> String {
        if self.is_standard_output() { "standard output".to_owned() } else { self.path.display().to_string() }
    }

    /// Writes all of it, or, to a regular file, nothing.
    pub(crate) fn write(self, with: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Outcome<()> {
        let Self { path, place } = self;
        let written = match place {
            Place::StandardOutput => with(&mut io::stdout().lock()),
            Place::New(mut new) => with(new.as_file_mut())
                .and_then(|()| new.as_file().sync_all())
                .and_then(|()| new.persist(&path).map(drop).map_err(|error| error.error)),
            Place::There(mut file) => {
                let emptied = match file.metadata() {
                    Ok(found) if found.is_file() => file.set_len(0),
                    found => found.map(drop),
                };
                emptied.and_then(|()| with(&mut file))
            }
        };
        written.map_err(|error| Problem::file("write", &path, &error))
    }
}

/// An empty file in the folder of this one, under a name that nothing else has.
fn beside(path: &Path, permissions: Permissions) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Told of the folder, and not of a name that nobody knows.
    std::fs::metadata(folder)?;
    let new = Builder::new().prefix(".deputy-").permissions(permissions).tempfile_in(folder);
    new.map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => io::ErrorKind::PermissionDenied.into(),
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt as _, symlink};

    use super::*;

    fn write(path: &Path, text: &str) -> Result<(), String> {
        let written = OutFile::open(path).and_then(|out| out.write(|out| out.write_all(text.as_bytes())));
        written.map_err(|problem| problem.chain.join(": "))
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_regular_file_is_replaced_and_keeps_who_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write(&path, "one").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        write(&path, "two").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(names(folder.path()), ["a.json"]);
    }

    #[test]
    fn what_fails_halfway_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write(&path, "one").unwrap();
        let out = OutFile::open(&path).unwrap_or_else(|_| panic!("it can be written"));
        let failed = out.write(|out| {
            out.write_all(b"tw")?;
            Err(io::Error::other("no more"))
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
        assert_eq!(names(folder.path()), ["a.json"]);
    }

    #[test]
    fn a_link_that_somebody_planted_beside_it_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim.txt");
        std::fs::write(&victim, "precious").unwrap();
        for name in ["a.json.new", "a.new", "a.json.partial"] {
            symlink(&victim, folder.path().join(name)).unwrap();
        }
        write(&folder.path().join("a.json"), "plan").unwrap();
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    }

    #[test]
    fn a_link_and_a_device_are_written_to_and_stay_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a.json"), folder.path().join("link.json"));
        std::fs::write(&file, "a longer text").unwrap();
        symlink(&file, &link).unwrap();
        write(&link, "plan").unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "plan");
        write(Path::new("/dev/null"), "plan").unwrap();
        assert!(std::fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    }

    #[test]
    fn a_place_that_cannot_be_written_to_is_found_before_the_work() {
        let folder = tempfile::tempdir().unwrap();
        let dangling = folder.path().join("dangling.json");
        symlink(folder.path().join("nothing"), &dangling).unwrap();
        for path in [folder.path(), &folder.path().join("no/such/folder.json"), &dangling] {
            assert!(OutFile::open(path).is_err(), "{}", path.display());
        }
        assert_eq!(names(folder.path()), ["dangling.json"]);
    }
}
