//! What is wrong with a table's file, with the line and what to do.

use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read};

/// So many mistakes of one file are told; a file with more has one cause.
pub(super) const MOST: usize = 10;

/// Why a table cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Wrong {
    /// The file, as the operator wrote it.
    pub path: String,
    /// What is wrong with it.
    pub mistakes: Vec<Mistake>,
    /// There are more.
    pub more: bool,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// In which line, from 1; none if it concerns the file as a whole.
    pub line: Option<u64>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl Wrong {
    /// One thing that is wrong with the file as a whole.
    pub(super) fn whole(path: &str, message: impl Into<String>, help: impl Into<String>) -> Self {
        let mistake = Mistake { line: None, message: message.into(), help: Some(help.into()) };
        Self { path: path.to_owned(), mistakes: vec![mistake], more: false }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, Mistake { line, message, help }) in self.mistakes.iter().enumerate() {
            let line = line.map_or(String::new(), |line| format!(":{line}"));
            let gap = if nth == 0 { "" } else { "\n\n" };
            write!(f, "{gap}error: {message}\n --> {}{line}", self.path)?;
            if let Some(help) = help {
                write!(f, "\n  = help: {help}")?;
            }
        }
        if self.more { f.write_str("\n\nand more of the kind") } else { Ok(()) }
    }
}

/// The numbers of the lines that these places are in, in the same order. A place between two lines,
/// where a row is looked for after the end of the last, belongs to the next that is not empty.
pub(super) fn lines(file: impl Read, places: &[u64]) -> io::Result<Vec<u64>> {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|nth| places[*nth]);
    let mut found = vec![0; places.len()];
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let (mut line, mut at) = (1, 0);
    for nth in order {
        loop {
            let buffer = reader.fill_buf()?;
            let Some(first) = buffer.first().copied() else { break };
            if at >= places[nth] {
                // Blank lines before a row are not the row's.
                if first != b'\n' && first != b'\r' {
                    break;
                }
                line += u64::from(first == b'\n');
                reader.consume(1);
                at += 1;
                continue;
            }
            let most = usize::try_from(places[nth] - at).unwrap_or(usize::MAX).min(buffer.len());
            line += buffer[..most].iter().filter(|byte| **byte == b'\n').count() as u64;
            reader.consume(most);
            at += most as u64;
        }
        found[nth] = line;
    }
    Ok(found)
}
