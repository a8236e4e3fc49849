//! Serial numbers on a command line, in a file, or from standard input.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use domain::id::SerialNumber;
use domain::serials;

use crate::exit::{Exit, Outcome, Problem};

/// The largest list that is read, in bytes.
const LARGEST: u64 = 64 << 20;

/// The devices a command is about.
#[derive(clap::Args)]
pub(crate) struct Serials {
    /// The devices
    #[arg(value_name = "SERIAL")]
    serials: Vec<SerialNumber>,
    /// More of them: a line for each, or a CSV file with a column `serial_number`; `-` is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Serials {
    /// Each once, in the order of the command line and of the file.
    pub(crate) fn read(&self) -> Outcome<Vec<SerialNumber>> {
        let mut all = self.serials.clone();
        if let Some(path) = &self.file {
            all.extend(list(path)?);
        }
        let mut seen = BTreeSet::new();
        all.retain(|serial| seen.insert(serial.clone()));
        if all.is_empty() {
            return Err(Problem::usage("no device is named").hint(
                "name serial numbers, or a list of them: `--file FILE`, `--file -` for standard input",
            ));
        }
        Ok(all)
    }
}

fn list(path: &Path) -> Outcome<Vec<SerialNumber>> {
    let (name, bytes) = if path == Path::new("-") {
        ("standard input".to_owned(), bounded(std::io::stdin().lock()))
    } else {
        let bytes = std::fs::File::open(path).map_err(|error| Problem::file("read", path, &error))?;
        (path.display().to_string(), bounded(bytes))
    };
    let bytes = bytes.map_err(|error| Problem::new(Exit::Failure, format!("cannot read {name}: {error}")))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Problem::usage(format!("{name} has more than {LARGEST} bytes, too many for a list")));
    }
    serials::parse(&bytes).map_err(|error| {
        Problem::usage(format!("{name}: {error}; nothing was changed"))
            .hint("a line for each device, or a CSV file whose first line names a column `serial_number`")
    })
}

fn bounded(from: impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
