//! Serial numbers in a list that people keep: a line for each, or a column of a CSV file.
//!
//! What comes out of a spreadsheet is read as it is: `,`, `;` or a tab between cells, quotes around them, a
//! byte-order mark, cells of other columns in any encoding. What cannot be a serial number is told with its
//! line, all of it at once; nothing is guessed.

use std::collections::BTreeSet;
use std::fmt;

use crate::id::SerialNumber;

/// The most mistakes of one list that are told.
const MOST: usize = 10;

/// What the first line may call the column.
const HEADINGS: [&str; 5] = ["serial_number", "serial", "serialnumber", "serial_no", "device_serial_number"];

/// All that is wrong with a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadList {
    /// The line, counted from 1, and what is wrong there.
    pub mistakes: Vec<(usize, String)>,
    /// How many more there are.
    pub more: usize,
}

impl fmt::Display for BadList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<String> =
            self.mistakes.iter().map(|(line, message)| format!("line {line}: {message}")).collect();
        if self.more > 0 {
            lines.push(format!("and {} more", self.more));
        }
        f.write_str(&lines.join("; "))
    }
}

impl std::error::Error for BadList {}

/// The serial numbers of a list, each once, in their order. `#` begins a comment where a cell would begin.
pub fn parse(bytes: &[u8]) -> Result<Vec<SerialNumber>, BadList> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut wrong = BadList { mistakes: Vec::new(), more: 0 };
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    // The delimiter and the column, once the first line has told.
    let mut shape: Option<(char, usize)> = None;
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    for (number, line) in
        lines.filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
    {
        let (delimiter, column) = match shape {
            Some(shape) => shape,
            None => {
                let delimiter = [',', ';', '\t'].into_iter().find(|it| line.contains(*it)).unwrap_or(',');
                let headings = cells(line, delimiter).unwrap_or_default();
                match headings.iter().position(|cell| is_heading(cell)) {
                    Some(column) => {
                        shape = Some((delimiter, column));
                        continue;
                    }
                    None if headings.len() > 1 => {
                        let message = "of several columns none is called `serial_number`";
                        return Err(BadList { mistakes: vec![(number, message.to_owned())], more: 0 });
                    }
                    None => *shape.insert((delimiter, 0)),
                }
            }
        };
        let serial = cells(line, delimiter).and_then(|cells| {
            let cell =
                cells.get(column).ok_or_else(|| "the cell of the serial number is missing".to_owned())?;
            let serial: SerialNumber = cell.parse().map_err(|error| format!("{error}"))?;
            Ok(serial)
        });
        match serial {
            Ok(serial) => {
                if seen.insert(serial.clone()) {
                    found.push(serial);
                }
            }
            Err(message) if wrong.mistakes.len() < MOST => wrong.mistakes.push((number, message)),
            Err(_) => wrong.more += 1,
        }
    }
    if wrong.mistakes.is_empty() { Ok(found) } else { Err(wrong) }
}

fn is_heading(cell: &str) -> bool {
    let cell = cell.trim().to_lowercase().replace([' ', '-'], "_");
    HEADINGS.contains(&cell.as_str())
}

/// The cells of a line. Quotes may stand around a cell, doubled inside it.
fn cells(line: &str, delimiter: char) -> Result<Vec<String>, String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if cell.trim().is_empty() => quoted = true,
            _ if character == delimiter && !quoted => cells.push(std::mem::take(&mut cell)),
            _ => cell.push(character),
        }
    }
    if quoted {
        return Err("a quote is not closed".to_owned());
    }
    cells.push(cell);
    Ok(cells)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(list: &[u8], expected: Expect) {
        let found = match parse(list) {
            Ok(serials) => serials.iter().map(SerialNumber::as_str).collect::<Vec<_>>().join(" "),
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&found);
    }

    #[test]
    fn a_line_for_each_with_comments_and_empty_lines() {
        check(b"# the board\nc02aa\n\n  C02AB  \r\nC02AA\n", expect!["C02AA C02AB"]);
    }

    #[test]
    fn a_column_of_a_table_whatever_is_between_its_cells() {
        check(b"name,Serial Number\n\"Doe, Jo\",C02AA\nx,\"C02AB\"\n", expect!["C02AA C02AB"]);
        check(b"\xef\xbb\xbfserial;owner\nC02AA;J\xf6rg\n", expect!["C02AA"]);
        check(b"asset\tserialnumber\n1\tC02AA\n", expect!["C02AA"]);
    }

    #[test]
    fn nothing_is_an_empty_list() {
        check(b"", expect![""]);
        check(b"serial_number\n", expect![""]);
    }

    #[test]
    fn several_columns_want_a_name() {
        check(b"C02AA,C02AB\n", expect!["line 1: of several columns none is called `serial_number`"]);
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        check(
            b"serial_number,owner\nC02 AA,x\n\"C02AB,y\n,z\nC02AD\n",
            expect![
                "line 2: `C02 AA` is not a serial number: letters and digits, at most 64; line 3: a quote is not closed; line 4: `` is not a serial number: letters and digits, at most 64"
            ],
        );
        let many: String = (0..15).map(|_| "no serial\n").collect();
        assert_eq!(parse(many.as_bytes()).unwrap_err().more, 5);
    }
}
