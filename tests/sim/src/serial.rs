//! A serial number, small and in place: a million of them need not be a million allocations.

use std::fmt;
use std::ops::Deref;

/// The text of a serial number.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Serial(Text);

/// Apple's have ten to twelve characters; whatever is longer is kept elsewhere.
#[derive(Clone, PartialEq, Eq)]
#[expect(clippy::box_collection, reason = "a pointer is all that a short text leaves room for")]
enum Text {
    Short { length: u8, bytes: [u8; 14] },
    Long(Box<String>),
}

impl From<&str> for Serial {
    fn from(text: &str) -> Self {
        let mut bytes = [0; 14];
        match bytes.get_mut(..text.len()) {
            None => Self(Text::Long(Box::new(text.into()))),
            Some(here) => {
                here.copy_from_slice(text.as_bytes());
                Self(Text::Short { length: text.len() as u8, bytes })
            }
        }
    }
}

impl Deref for Serial {
    type Target = str;

    fn deref(&self) -> &str {
        match &self.0 {
            // Made from a text, so it is one.
            Text::Short { length, bytes } => {
                str::from_utf8(&bytes[..usize::from(*length)]).unwrap_or_default()
            }
            Text::Long(text) => text,
        }
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// Which slot a serial number is in: a hash table of slots that asks the slots for their serial numbers.
///
/// Nothing is ever taken out; a device that left stays findable, and one that comes back gets a new slot.
#[derive(Debug, Default)]
pub(crate) struct Index {
    cells: Vec<u32>,
    used: usize,
}

const FREE: u32 = u32::MAX;

impl Index {
    /// The slot of a serial number.
    pub(crate) fn find<'a>(&self, serial: &str, at: impl Fn(u32) -> &'a str) -> Option<u32> {
        let slot = *self.cells.get(self.cell(serial, at)?)?;
        (slot != FREE).then_some(slot)
    }

    /// Puts a serial number into a slot, whichever it was in before.
    pub(crate) fn put<'a>(&mut self, serial: &str, slot: u32, at: impl Fn(u32) -> &'a str + Copy) {
        if self.cells.len() < (self.used + 1) * 3 / 2 {
            self.grow(at);
        }
        if let Some(cell) = self.cell(serial, at) {
            self.used += usize::from(self.cells[cell] == FREE);
            self.cells[cell] = slot;
        }
    }

    fn grow<'a>(&mut self, at: impl Fn(u32) -> &'a str + Copy) {
        let more = vec![FREE; (self.cells.len() * 2).max(64)];
        for slot in std::mem::replace(&mut self.cells, more).into_iter().filter(|slot| *slot != FREE) {
            // No two of them are the same, so a free cell is all that is looked for.
            if let Some(cell) = self.cell(at(slot), |_| "") {
                self.cells[cell] = slot;
            }
        }
    }

    /// Where a serial number is or would be; nowhere in an empty table.
    fn cell<'a>(&self, serial: &str, at: impl Fn(u32) -> &'a str) -> Option<usize> {
        let last = self.cells.len().checked_sub(1)?;
        let mut cell = hash(serial) as usize & last;
        while self.cells[cell] != FREE && at(self.cells[cell]) != serial {
            cell = (cell + 1) & last;
        }
        Some(cell)
    }
}

/// FNV-1a, its upper half folded in: tables look at the lower bits only.
fn hash(text: &str) -> u64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_of_any_length_is_kept_in_sixteen_bytes() {
        assert_eq!(size_of::<Serial>(), 16);
        for text in ["", "A", "C02ZQ1XAMD6T", "14CHARACTERS14", "MORE-THAN-FOURTEEN-CHARACTERS"] {
            assert_eq!(&*Serial::from(text), text);
        }
    }

    #[test]
    fn every_serial_number_is_found_and_no_other() {
        let serials = (0..1000).map(|nth| format!("SERIAL{nth}")).collect::<Vec<_>>();
        let at = |slot: u32| serials[slot as usize % 1000].as_str();
        let mut index = Index::default();
        assert_eq!(index.find("SERIAL0", at), None);
        for (slot, serial) in (0..).zip(&serials) {
            assert_eq!(index.find(serial, at), None);
            index.put(serial, slot, at);
        }
        assert!((0..).zip(&serials).all(|(slot, serial)| index.find(serial, at) == Some(slot)));
        index.put("SERIAL7", 1007, at);
        assert_eq!((index.find("SERIAL7", at), index.used), (Some(1007), 1000));
    }
}
