//! Just enough of the Bolt file format to read one bucket of a database that nobody is writing to.
//!
//! A file of pages. One of the first two is the newest *meta* page and names the root bucket, a B+
//! tree; the value of a bucket in it names that bucket's own tree, or holds it if it is small.
//! Numbers are little-endian: what Go writes on every machine MicroMDM runs on. Nothing in the file
//! is believed: lengths, depth and the number of pages are bounded. (boltdb/bolt: page.go, bucket.go, db.go)

use std::fs::File;
use std::os::unix::fs::FileExt as _;

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
/// Page header: number (8), kind (2), count (2), further pages it goes on over (4).
const HEADER: usize = 16;
/// An element of a leaf or branch page.
const ELEMENT: usize = 16;
/// The head of a bucket: its root page, a sequence number.
const BUCKET: usize = 16;
/// Behind the page's header, up to and with the checksum.
const META: usize = 64;

const BRANCH: u16 = 1;
const LEAF: u16 = 2;
const IS_BUCKET: u32 = 1;

const DEEPEST: usize = 32;
const MOST_PAGES: usize = 100_000;
const LARGEST_PAGE: usize = 16 << 20;
/// Keys and values in all: elements may overlap, so a small file can claim to hold any amount.
const MOST_BYTES: usize = 64 << 20;

type Values = Vec<(Vec<u8>, Vec<u8>)>;
/// Is given flags, key and value.
type Take<'a> = dyn FnMut(u32, &[u8], &[u8]) + 'a;

/// Whether a file begins like a Bolt database.
pub(super) fn is_one(file: &File) -> bool {
    let mut magic = [0; 4];
    file.read_exact_at(&mut magic, HEADER as u64).is_ok() && u32::from_le_bytes(magic) == MAGIC
}

/// Every key and value of a bucket of the root. None if there is no such bucket.
pub(super) fn bucket(file: &File, name: &[u8]) -> Result<Option<Values>, &'static str> {
    let meta = Meta::newest(file)?;
    let mut reader = Reader { file, page_size: meta.page_size, pages: 0, bytes: 0 };
    let mut found = None;
    reader.walk(meta.root, 0, &mut |flags, key, value| {
        if flags & IS_BUCKET != 0 && key == name {
            found = Some(value.to_vec());
        }
    })?;
    let Some(head) = found else { return Ok(None) };
    let mut values = Values::new();
    let mut take = |flags: u32, key: &[u8], value: &[u8]| {
        if flags & IS_BUCKET == 0 {
            values.push((key.to_vec(), value.to_vec()));
        }
    };
    match number(&head, 0)? {
        0 => reader.page(head.get(BUCKET..).ok_or(CUT)?, 0, &mut take)?,
        root => reader.walk(root, 0, &mut take)?,
    }
    Ok(Some(values))
}

struct Meta {
    page_size: usize,
    root: u64,
    transaction: u64,
}

impl Meta {
    /// Of the two, the one that was written last and whole.
    fn newest(file: &File) -> Result<Self, &'static str> {
        let first = Self::at(file, 0);
        // The second is a page further on; where the first is broken, its size is not known.
        let sizes = match &first {
            Some(first) => vec![first.page_size],
            None => vec![4096, 8192, 16_384, 65_536],
        };
        let second = sizes.into_iter().find_map(|size| Self::at(file, size as u64));
        [first, second].into_iter().flatten().max_by_key(|meta| meta.transaction).ok_or("its head is damaged")
    }

    fn at(file: &File, offset: u64) -> Option<Self> {
        let mut meta = [0; META];
        file.read_exact_at(&mut meta, offset + HEADER as u64).ok()?;
        let word = |at: usize| Some(u32::from_le_bytes(meta.get(at..at + 4)?.try_into().ok()?));
        let long = |at: usize| Some(u64::from_le_bytes(meta.get(at..at + 8)?.try_into().ok()?));
        let is_whole = word(0)? == MAGIC && word(4)? == VERSION && long(56)? == checksum(&meta[..56]);
        let page_size = word(8)? as usize;
        let fits = (512..=LARGEST_PAGE).contains(&page_size);
        (is_whole && fits).then_some(Self { page_size, root: long(16)?, transaction: long(48)? })
    }
}

const CUT: &str = "it is damaged, or was copied while it was written to";

struct Reader<'a> {
    file: &'a File,
    page_size: usize,
    pages: usize,
    bytes: usize,
}

impl Reader<'_> {
    /// Everything below a page of the file.
    fn walk(&mut self, page: u64, depth: usize, take: &mut Take<'_>) -> Result<(), &'static str> {
        self.pages += 1;
        if depth > DEEPEST || self.pages > MOST_PAGES {
            return Err(CUT);
        }
        let at = page.checked_mul(self.page_size as u64).ok_or(CUT)?;
        let mut header = [0; HEADER];
        self.file.read_exact_at(&mut header, at).map_err(|_| CUT)?;
        let more = word(&header, 12)? as usize;
        let length = more.checked_add(1).and_then(|pages| pages.checked_mul(self.page_size));
        let length = length.filter(|length| *length <= LARGEST_PAGE).ok_or(CUT)?;
        let mut content = vec![0; length];
        self.file.read_exact_at(&mut content, at).map_err(|_| CUT)?;
        self.page(&content, depth, take)
    }

    /// Everything in a page and below it.
    fn page(&mut self, page: &[u8], depth: usize, take: &mut Take<'_>) -> Result<(), &'static str> {
        // Both in one word: the kind, then how many elements.
        let head = word(page, 8)?;
        let (kind, count) = (head as u16, (head >> 16) as usize);
        for index in 0..count {
            let start = HEADER + index * ELEMENT;
            match kind {
                LEAF => {
                    let (flags, at) = (word(page, start)?, word(page, start + 4)? as usize);
                    let (key, value) = (word(page, start + 8)? as usize, word(page, start + 12)? as usize);
                    let rest = page.get(start.saturating_add(at)..).ok_or(CUT)?;
                    let (key, rest) = rest.split_at_checked(key).ok_or(CUT)?;
                    let value = rest.get(..value).ok_or(CUT)?;
                    self.bytes += key.len() + value.len();
                    if self.bytes > MOST_BYTES {
                        return Err(CUT);
                    }
                    take(flags, key, value);
                }
                BRANCH => self.walk(number(page, start + 8)?, depth + 1, take)?,
                _ => return Err(CUT),
            }
        }
        Ok(())
    }
}

fn word(bytes: &[u8], at: usize) -> Result<u32, &'static str> {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk()).ok_or(CUT)?;
    Ok(u32::from_le_bytes(*word))
}

fn number(bytes: &[u8], at: usize) -> Result<u64, &'static str> {
    let number = bytes.get(at..).and_then(|rest| rest.first_chunk()).ok_or(CUT)?;
    Ok(u64::from_le_bytes(*number))
}

/// FNV-1a, 64 bits.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use expect_test::{Expect, expect};

    use super::*;

    /// Written by boltdb/bolt 1.3.1, as MicroMDM does.
    const REAL: &[u8] = include_bytes!("../../../../../tests/data/micromdm/micromdm.db");

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file
    }

    #[track_caller]
    fn check(content: &[u8], bucket_name: &str, expected: Expect) {
        let found = match bucket(&file(content), bucket_name.as_bytes()) {
            Ok(None) => "no such bucket".to_owned(),
            Ok(Some(values)) => {
                let show = |(key, value): &(Vec<u8>, Vec<u8>)| {
                    format!("{}: {} bytes\n", String::from_utf8_lossy(key), value.len())
                };
                let (first, rest) = values.split_at(values.len().min(4));
                let mut text: String = first.iter().map(show).collect();
                if let Some(last) = rest.last() {
                    text += &format!("… {}", show(last));
                }
                text
            }
            Err(why) => format!("error: {why}"),
        };
        expected.assert_eq(&found);
    }

    #[test]
    fn a_bucket_is_read_whole() {
        check(
            REAL,
            "mdm.DEPToken",
            expect![[r#"
            CK_0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c: 376 bytes
            certificate: 823 bytes
            key: 1193 bytes
        "#]],
        );
    }

    #[test]
    fn a_bucket_within_its_own_entry_and_one_over_many_pages_are_read() {
        check(
            REAL,
            "mdm.DEPConfig",
            expect![[r#"
            configuration: 66 bytes
        "#]],
        );
        check(
            REAL,
            "mdm.Devices",
            expect![[r#"
            device-0001: 36 bytes
            device-0003: 36 bytes
            device-0005: 36 bytes
            device-0007: 36 bytes
            … large: 4200 bytes
        "#]],
        );
    }

    #[test]
    fn a_bucket_that_is_not_there_is_told() {
        check(REAL, "mdm.Nothing", expect!["no such bucket"]);
    }

    #[test]
    fn the_older_head_is_enough() {
        let mut content = REAL.to_vec();
        content[30] ^= 1;
        check(
            &content,
            "mdm.DEPConfig",
            expect![[r#"
            configuration: 66 bytes
        "#]],
        );
        content[4096 + 30] ^= 1;
        check(&content, "mdm.DEPConfig", expect!["error: its head is damaged"]);
    }

    #[test]
    fn a_small_file_that_claims_to_hold_very_much_is_not_believed() {
        // One leaf over 256 pages, in which 60,000 elements share a value of half a page's size.
        const ELEMENTS: usize = 60_000;
        let mut page = vec![0; 256 * 4096];
        page[8..10].copy_from_slice(&LEAF.to_le_bytes());
        page[10..12].copy_from_slice(&(ELEMENTS as u16).to_le_bytes());
        for index in 0..ELEMENTS {
            let start = HEADER + index * ELEMENT;
            let at = (page.len() - 8192 - start) as u32;
            page[start + 4..start + 8].copy_from_slice(&at.to_le_bytes());
            page[start + 12..start + 16].copy_from_slice(&8192_u32.to_le_bytes());
        }
        let file = file(&[]);
        let mut reader = Reader { file: &file, page_size: 4096, pages: 0, bytes: 0 };
        let mut taken = 0;
        let read = reader.page(&page, 0, &mut |_, _, value| taken += value.len());
        assert_eq!(read, Err(CUT));
        assert!(taken <= MOST_BYTES, "{taken}");
    }

    #[test]
    fn what_is_cut_off_or_changed_is_never_a_panic() {
        assert!(is_one(&file(REAL)));
        assert!(!is_one(&file(b"short")));
        for length in (0..REAL.len()).step_by(4099) {
            let _ = bucket(&file(&REAL[..length]), b"mdm.DEPToken");
        }
        // Behind the heads, where no checksum is.
        for at in (8192..REAL.len()).step_by(401) {
            let mut content = REAL.to_vec();
            content[at] = 0xff;
            let _ = bucket(&file(&content), b"mdm.DEPToken");
        }
    }
}
