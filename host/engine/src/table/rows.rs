//! A table's rows: where each begins, and reading one.
//!
//! In memory a row is the hash of its key and the place where it stands, 16 bytes, so that a
//! million rows cost 16 MB whatever is in them. Hash and key are looked at again when a row is read.

use std::fs::File;
use std::hash::{DefaultHasher, Hasher as _};
use std::io;
use std::sync::{Mutex, PoisonError};

use csv::{ByteRecord, Position, ReaderBuilder};
use domain::document::suggestion;
use domain::id::Digest;
use domain::table::{Table, Unreadable, key};

use super::guard::{Guard, LONGEST_CELL, Trouble};
use super::mistakes::{MOST, Mistake, Wrong, lines};
use super::{Encoding, Source};

/// A table of which every row is right.
#[derive(Debug)]
pub struct CsvTable {
    columns: Vec<String>,
    key_column: usize,
    encoding: Encoding,
    digest: Digest,
    mark: Digest,
    slots: Vec<Slot>,
    unkeyed: u64,
    first_row: u64,
    reader: Mutex<csv::Reader<File>>,
}

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    hash: u64,
    place: u64,
}

/// A mistake, by its place in the file.
struct Found {
    place: Option<u64>,
    /// Another place, whose line the message tells in place of `{}`.
    other: Option<u64>,
    message: String,
    help: Option<String>,
}

impl CsvTable {
    /// Reads all of a file once. `shown` is how the operator calls it.
    pub(super) fn read(
        file: &File,
        reread: File,
        digest: Digest,
        source: &Source,
        shown: &str,
    ) -> Result<Self, Wrong> {
        let failed = |error: io::Error| Wrong::whole(shown, format!("cannot be read: {error}"), "try again");
        let mut building = Building::default();
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(source.delimiter)
            .buffer_capacity(1 << 16)
            .from_reader(Guard::new(file, source.delimiter));
        let read = building.all(&mut reader, source);
        // What the guard saw explains what the parser made of it.
        if let Some(trouble) = reader.get_ref().trouble() {
            building.found = vec![told(trouble)];
        } else {
            read.map_err(|error| failed(error.into()))?;
        }
        drop(reader);
        let parser = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(source.delimiter)
            .buffer_capacity(1 << 12)
            .from_reader(reread);
        let Building { columns, key_column, mut slots, unkeyed, first_row, found } = building;
        slots.sort_unstable();
        slots.shrink_to_fit();
        let reader = Mutex::new(parser);
        let Source { path: _, key, delimiter, encoding } = source;
        let mark = Digest::of(format!("{digest}\n{key}\n{delimiter}\n{encoding:?}").as_bytes());
        let encoding = *encoding;
        let table = Self { columns, key_column, encoding, digest, mark, slots, unkeyed, first_row, reader };
        let found = if found.is_empty() { table.duplicates().map_err(failed)? } else { found };
        if found.is_empty() {
            return Ok(table);
        }
        let again = table.reader.into_inner().unwrap_or_else(PoisonError::into_inner).into_inner();
        Err(wrong(again, shown, found).map_err(failed)?)
    }

    /// How many rows can be looked up.
    pub fn rows(&self) -> u64 {
        self.slots.len() as u64
    }

    /// How many rows cannot, because their key is empty.
    pub fn rows_without_key(&self) -> u64 {
        self.unkeyed
    }

    /// The name of the column that is the key.
    pub fn key_column(&self) -> &str {
        &self.columns[self.key_column]
    }

    /// The first rows of the file.
    pub fn first(&self, most: usize) -> Result<Vec<Vec<String>>, Unreadable> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut record, mut rows) = (ByteRecord::new(), Vec::new());
        seek(&mut reader, self.first_row).map_err(unreadable)?;
        while rows.len() < most && reader.read_byte_record(&mut record).map_err(unreadable)? {
            rows.push(self.cells(&record));
        }
        Ok(rows)
    }

    /// All rows, each with the number of its line.
    pub fn numbered(&self) -> Result<Vec<(u64, Vec<String>)>, Unreadable> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut record, mut rows, mut places) = (ByteRecord::new(), Vec::new(), Vec::new());
        seek(&mut reader, self.first_row).map_err(unreadable)?;
        while reader.read_byte_record(&mut record).map_err(unreadable)? {
            rows.push(self.cells(&record));
            places.push(record.position().map_or(0, Position::byte));
        }
        // Whoever reads rows next moves to where they are.
        let file = reader.get_mut();
        let numbers = io::Seek::rewind(file).and_then(|()| lines(file, &places));
        Ok(numbers.map_err(|error| unreadable(error.into()))?.into_iter().zip(rows).collect())
    }

    fn at(&self, place: u64, record: &mut ByteRecord) -> Result<(), csv::Error> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        seek(&mut reader, place)?;
        reader.read_byte_record(record)?;
        Ok(())
    }

    fn key_of(&self, record: &ByteRecord) -> String {
        key(&self.encoding.text(record.get(self.key_column).unwrap_or_default()))
    }

    fn cells(&self, record: &ByteRecord) -> Vec<String> {
        record.iter().map(|cell| self.encoding.text(cell)).collect()
    }

    /// Rows whose key another row has. Rows with the same hash stand side by side.
    fn duplicates(&self) -> io::Result<Vec<Found>> {
        let (mut one, mut other) = (ByteRecord::new(), ByteRecord::new());
        let mut found = Vec::new();
        for pair in self.slots.windows(2).filter(|pair| pair[0].hash == pair[1].hash) {
            self.at(pair[0].place, &mut one)?;
            self.at(pair[1].place, &mut other)?;
            let key = self.key_of(&one);
            if key == self.key_of(&other) {
                found.push(Found {
                    place: Some(pair[1].place),
                    other: Some(pair[0].place),
                    message: format!("line {{}} has the key `{}` already", brief(&key)),
                    help: Some("keep one of the two rows".to_owned()),
                });
                if found.len() > MOST {
                    break;
                }
            }
        }
        Ok(found)
    }
}

impl Table for CsvTable {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn digest(&self) -> &Digest {
        &self.digest
    }

    fn mark(&self) -> Digest {
        self.mark.clone()
    }

    fn row(&self, wanted: &str) -> Result<Option<Vec<String>>, Unreadable> {
        let wanted = key(wanted);
        let hash = hash(&wanted);
        let first = self.slots.partition_point(|slot| slot.hash < hash);
        let mut record = ByteRecord::new();
        for slot in self.slots[first..].iter().take_while(|slot| slot.hash == hash) {
            self.at(slot.place, &mut record).map_err(unreadable)?;
            let found = self.key_of(&record);
            if record.len() != self.columns.len() || self::hash(&found) != hash {
                return Err(Unreadable("the private copy of the table has been changed".to_owned()));
            }
            if found == wanted {
                return Ok(Some(self.cells(&record)));
            }
        }
        Ok(None)
    }
}

/// A table that is being read.
#[derive(Default)]
struct Building {
    columns: Vec<String>,
    key_column: usize,
    slots: Vec<Slot>,
    unkeyed: u64,
    first_row: u64,
    found: Vec<Found>,
}

impl Building {
    fn all(&mut self, reader: &mut csv::Reader<Guard<&File>>, source: &Source) -> Result<(), csv::Error> {
        let mut record = ByteRecord::new();
        if !reader.read_byte_record(&mut record)? {
            let help = "its first line names the columns, the others are the rows";
            self.find(None, "the file is empty".to_owned(), Some(help.to_owned()));
            return Ok(());
        }
        if !self.header(&record, source) {
            return Ok(());
        }
        self.first_row = reader.position().byte();
        loop {
            let place = reader.position().byte();
            if self.found.len() > MOST || !reader.read_byte_record(&mut record)? {
                return Ok(());
            }
            self.row(place, &record, source.encoding);
        }
    }

    /// The first line. False if the rest is not worth reading.
    fn header(&mut self, record: &ByteRecord, source: &Source) -> bool {
        let bytes = record.as_slice();
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") || bytes.contains(&0) {
            let help = "save it as UTF-8: in Excel, as `CSV UTF-8 (comma delimited)`";
            self.find(Some(0), "this is UTF-16, not UTF-8".to_owned(), Some(help.to_owned()));
            return false;
        }
        if record.iter().any(|cell| !source.encoding.has(cell)) {
            self.find(Some(0), not_utf8(), Some(OTHER_ENCODING.to_owned()));
            return false;
        }
        self.columns = record.iter().map(|cell| source.encoding.text(cell).trim().to_owned()).collect();
        for (nth, column) in self.columns.iter().enumerate() {
            if !column.is_empty() && self.columns[..nth].contains(column) {
                let help = Some("give one of them another name".to_owned());
                let message = format!("two columns are called `{}`", brief(column));
                self.found.push(Found { place: Some(0), other: None, message, help });
            }
        }
        match self.columns.iter().position(|column| *column == source.key) {
            Some(column) => self.key_column = column,
            None => {
                let help = self.key_help(source);
                self.find(
                    Some(0),
                    format!("the first line names no column `{}`, which is to be the key", source.key),
                    Some(help),
                );
            }
        }
        self.found.is_empty()
    }

    /// What the operator may have meant by the key.
    fn key_help(&self, source: &Source) -> String {
        let only = self.columns.first().filter(|_| self.columns.len() == 1);
        for (delimiter, shown) in [(';', ";"), ('\t', "\\t"), ('|', "|"), (',', ",")] {
            if only.is_some_and(|line| line.contains(delimiter)) {
                return format!("write `delimiter = \"{shown}\"` if cells are separated so");
            }
        }
        let names: Vec<&str> = self.columns.iter().map(String::as_str).collect();
        let meant = suggestion(&source.key, &names).filter(|it| it.starts_with("did you mean"));
        meant.unwrap_or_else(|| {
            let named: Vec<String> =
                names.iter().take(MOST).map(|name| format!("`{}`", brief(name))).collect();
            let more = if names.len() > MOST { ", …" } else { "" };
            format!("the first line has to name the columns; it says {}{more}", named.join(", "))
        })
    }

    fn row(&mut self, place: u64, record: &ByteRecord, encoding: Encoding) {
        if record.len() != self.columns.len() {
            // Sheets are exported with rows that are nothing but delimiters.
            if record.iter().all(|cell| cell.trim_ascii().is_empty()) {
                return;
            }
            let (cells, columns) = (record.len(), self.columns.len());
            let help = if cells > columns {
                "put a cell that contains the delimiter in quotes"
            } else {
                "an empty cell needs its delimiter all the same"
            };
            let message = format!(
                "{cells} cell{}, and the first line names {columns} columns",
                if cells == 1 { "" } else { "s" }
            );
            return self.find(Some(place), message, Some(help.to_owned()));
        }
        if record.iter().any(|cell| !encoding.has(cell)) {
            return self.find(Some(place), not_utf8(), Some(OTHER_ENCODING.to_owned()));
        }
        let key = key(&encoding.text(&record[self.key_column]));
        if key.is_empty() {
            self.unkeyed += 1;
        } else {
            self.slots.push(Slot { hash: hash(&key), place });
        }
    }

    fn find(&mut self, place: Option<u64>, message: String, help: Option<String>) {
        self.found.push(Found { place, other: None, message, help });
    }
}

const OTHER_ENCODING: &str =
    "save the file as UTF-8, or write `encoding = \"windows-1252\"` if that is what it is";

fn not_utf8() -> String {
    "this line is not UTF-8".to_owned()
}

fn told(trouble: Trouble) -> Found {
    let help = Some("close the quote; a quote within a quoted cell is written twice".to_owned());
    match trouble {
        Trouble::Open { opened } => Found {
            place: Some(opened),
            other: None,
            message: "the quote that opens a cell here is not closed".to_owned(),
            help,
        },
        Trouble::After { opened, closed } => Found {
            place: Some(opened),
            other: Some(closed),
            message: "the quote that opens a cell here closes in line {}, and text follows it".to_owned(),
            help,
        },
        Trouble::Long { began } => Found {
            place: Some(began),
            other: None,
            message: format!("a cell of more than {} KiB begins here", LONGEST_CELL / 1024),
            help: Some("see whether the file is a table".to_owned()),
        },
    }
}

/// The mistakes with the lines they are in.
fn wrong(mut file: File, shown: &str, mut found: Vec<Found>) -> io::Result<Wrong> {
    use std::io::Seek as _;
    let more = found.len() > MOST;
    found.truncate(MOST);
    let places: Vec<u64> =
        found.iter().flat_map(|it| [it.place.unwrap_or_default(), it.other.unwrap_or_default()]).collect();
    file.rewind()?;
    let numbers = lines(file, &places)?;
    let mut mistakes: Vec<Mistake> = found
        .into_iter()
        .zip(numbers.chunks(2))
        .map(|(it, lines)| Mistake {
            line: it.place.map(|_| lines[0]),
            message: it.message.replace("{}", &lines[1].to_string()),
            help: it.help,
        })
        .collect();
    mistakes.sort_by_key(|mistake| mistake.line);
    Ok(Wrong { path: shown.to_owned(), mistakes, more })
}

fn seek(reader: &mut csv::Reader<File>, place: u64) -> Result<(), csv::Error> {
    let mut position = Position::new();
    position.set_byte(place);
    // The parser takes the same place for no move at all.
    reader.seek_raw(io::SeekFrom::Start(place), position)
}

fn unreadable(error: csv::Error) -> Unreadable {
    Unreadable(format!("the private copy of the table cannot be read: {error}"))
}

/// The same on every machine and in every version: it is not kept, but duplicates are told in its order.
fn hash(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(key.as_bytes());
    hasher.finish()
}

/// Enough of a text to find it by, on one line.
fn brief(text: &str) -> String {
    text.chars().take(64).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
