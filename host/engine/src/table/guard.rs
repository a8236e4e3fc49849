//! Looks at a table's bytes on their way to the parser, which forgives what a person would not mean.
//!
//! Half a quote makes one cell of everything up to the next quote; the parser takes it, and a
//! thousand rows are gone. Here it ends the reading, with the place where the quote opened.

use std::io::{self, Read};

/// A longer cell is a mistake: half a quote, or a file that is no table.
pub(super) const LONGEST_CELL: u64 = 64 * 1024;

/// Bytes that pass through, looked at.
pub(super) struct Guard<R> {
    inner: R,
    delimiter: u8,
    at: u64,
    state: State,
    /// Where the cell began.
    began: u64,
    trouble: Option<Trouble>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Plain,
    Quoted,
    /// A quote in a quoted cell: its end, or the first of two.
    Closed,
}

/// What ended the reading, by the bytes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// A quote that opens here and never closes.
    Open { opened: u64 },
    /// Text after the quote that closes a cell.
    After { opened: u64, closed: u64 },
    /// A cell that is longer than any cell.
    Long { began: u64 },
}

const BOM: &[u8] = b"\xef\xbb\xbf";

impl<R: Read> Guard<R> {
    pub(super) fn new(inner: R, delimiter: u8) -> Self {
        Self { inner, delimiter, at: 0, state: State::Start, began: 0, trouble: None }
    }

    /// What ended the reading too early, if anything did.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }

    fn step(&mut self, byte: u8) -> Option<Trouble> {
        let (at, ends) = (self.at, byte == self.delimiter || byte == b'\n' || byte == b'\r');
        self.at += 1;
        if at < 3 && self.state == State::Start && BOM.get(at as usize) == Some(&byte) {
            return None;
        }
        if self.state == State::Start {
            self.began = at;
        }
        self.state = match (self.state, byte) {
            (State::Start, b'"') | (State::Closed, b'"') => State::Quoted,
            (State::Quoted, b'"') => State::Closed,
            (State::Quoted, _) => State::Quoted,
            (State::Closed, _) if !ends => {
                return Some(Trouble::After { opened: self.began, closed: at });
            }
            (_, _) if ends => State::Start,
            (_, _) => State::Plain,
        };
        if at - self.began < LONGEST_CELL {
            None
        } else if self.state == State::Plain {
            Some(Trouble::Long { began: self.began })
        } else {
            Some(Trouble::Open { opened: self.began })
        }
    }
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.trouble.is_some() {
            return Ok(0);
        }
        let read = self.inner.read(buffer)?;
        if read == 0 && self.state == State::Quoted && !buffer.is_empty() {
            self.trouble = Some(Trouble::Open { opened: self.began });
        }
        for byte in &buffer[..read] {
            self.trouble = self.step(*byte);
            if self.trouble.is_some() {
                return Ok(0);
            }
        }
        Ok(read)
    }
}
