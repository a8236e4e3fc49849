//! What there is in the empty world, for one call: a time, randomness that only looks like it, and two
//! streams that lead to the plugin's log.

use domain::id::Digest;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::log::{Level, Log};

/// The most randomness in one call, in bytes.
const RANDOM: u64 = 64 << 10;

/// The most handles in one call. They are kept in our memory, not the guest's.
const HANDLES: u32 = 10_000;

/// A line that goes on longer than this is ended for it, in bytes.
const LINE: usize = 1 << 10;

/// What everything in the empty world follows from. Not the devices: the same plugin in the same run sees the
/// same world, however its devices are put into batches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed<'a> {
    pub(crate) plugin: &'a Digest,
    pub(crate) now: Timestamp,
}

impl<'a> Seed<'a> {
    /// While it is loaded or looked at. A start at another time must not end otherwise.
    pub(crate) fn before_any_run(plugin: &'a Digest) -> Self {
        Self { plugin, now: Timestamp::UNIX_EPOCH }
    }
}

/// The empty world of one call.
#[derive(Debug)]
pub(crate) struct World {
    now: Timestamp,
    seed: [u8; 32],
    /// How many blocks were made of the seed, and what is left of the last.
    blocks: u64,
    rest: Vec<u8>,
    random_left: u64,
    handles_left: u32,
    output: Vec<u8>,
    errors: Vec<u8>,
}

/// A stream that a guest may write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Output,
    Errors,
}

/// Why a guest was ended by the empty world. Displayed, it continues "the plugin …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// It wanted to end the process, of which there is none.
    #[error("called `{function}`; a policy ends by answering")]
    Exit { function: String },
    /// It called what has no meaning here, and cannot be told so.
    #[error("called `{function}`; there is no such thing in a policy's world")]
    Absent { function: String },
    /// It called something with what that does not take.
    #[error("declares `{function}` otherwise than WASI does")]
    Shape { function: String },
    #[error("wanted more than {RANDOM} bytes of randomness in a call")]
    Random,
    #[error("wanted more than {HANDLES} handles in a call")]
    Handles,
}

impl World {
    pub(crate) fn new(seed: Seed<'_>) -> Self {
        let Seed { plugin, now } = seed;
        let hashed = Sha256::new()
            .chain_update(b"deputy: randomness of a plugin\0")
            .chain_update(plugin.as_str())
            .chain_update(now.as_second().to_le_bytes());
        Self {
            now,
            seed: hashed.finalize().into(),
            blocks: 0,
            rest: Vec::new(),
            random_left: RANDOM,
            handles_left: HANDLES,
            output: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// When it is, all the time: seconds since 1970.
    pub(super) fn seconds(&self) -> u64 {
        u64::try_from(self.now.as_second()).unwrap_or(0)
    }

    /// So many bytes that nobody would guess who does not know the plugin's digest and the run's start.
    pub(super) fn random(&mut self, bytes: u64) -> Result<Vec<u8>, Refused> {
        self.random_left = self.random_left.checked_sub(bytes).ok_or(Refused::Random)?;
        let bytes = usize::try_from(bytes).map_err(|_| Refused::Random)?;
        while self.rest.len() < bytes {
            let block = Sha256::new().chain_update(self.seed).chain_update(self.blocks.to_le_bytes());
            self.rest.extend(block.finalize());
            self.blocks += 1;
        }
        let rest = self.rest.split_off(bytes);
        Ok(std::mem::replace(&mut self.rest, rest))
    }

    /// Counts a handle.
    pub(super) fn handle(&mut self) -> Result<(), Refused> {
        self.handles_left = self.handles_left.checked_sub(1).ok_or(Refused::Handles)?;
        Ok(())
    }

    /// Takes what was written, and logs what are lines of it.
    pub(super) fn write(&mut self, stream: Stream, bytes: impl Iterator<Item = u8>, log: &mut Log) {
        let (text, level) = self.stream(stream);
        for byte in bytes {
            if byte == b'\n' || text.len() >= LINE {
                log.push(level, &String::from_utf8_lossy(text));
                text.clear();
            }
            if byte != b'\n' {
                text.push(byte);
            }
        }
    }

    /// Logs what was written and never ended.
    pub(crate) fn end(&mut self, log: &mut Log) {
        for stream in [Stream::Output, Stream::Errors] {
            let (text, level) = self.stream(stream);
            if !text.is_empty() {
                log.push(level, &String::from_utf8_lossy(text));
            }
        }
    }

    fn stream(&mut self, stream: Stream) -> (&mut Vec<u8>, Level) {
        match stream {
            Stream::Output => (&mut self.output, Level::Info),
            // Where languages say why they give up.
            Stream::Errors => (&mut self.errors, Level::Warn),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(plugin: &str, now: i64) -> World {
        let now = Timestamp::from_second(now).unwrap();
        World::new(Seed { plugin: &Digest::of(plugin.as_bytes()), now })
    }

    #[test]
    fn randomness_is_the_same_for_a_plugin_in_a_run_however_it_is_taken() {
        let mut at_once = world("a", 7);
        let mut in_pieces = world("a", 7);
        let pieces =
            [in_pieces.random(1).unwrap(), in_pieces.random(40).unwrap(), in_pieces.random(23).unwrap()];
        assert_eq!(at_once.random(64).unwrap(), pieces.concat());
        assert_ne!(world("a", 7).random(8).unwrap(), world("a", 8).random(8).unwrap());
        assert_ne!(world("a", 7).random(8).unwrap(), world("b", 7).random(8).unwrap());
    }

    #[test]
    fn randomness_has_an_end() {
        let mut world = world("a", 7);
        world.random(RANDOM - 1).unwrap();
        assert_eq!(world.random(2), Err(Refused::Random));
        assert_eq!(world.random(u64::MAX), Err(Refused::Random));
    }

    #[test]
    fn what_is_written_becomes_lines_of_the_log() {
        let mut world = world("a", 7);
        let mut log = Log::new(8 << 10);
        world.write(Stream::Output, b"one\ntw".iter().copied(), &mut log);
        world.write(Stream::Output, b"o\n\xff".iter().copied(), &mut log);
        world.write(Stream::Errors, std::iter::repeat_n(b'x', LINE + 1), &mut log);
        world.end(&mut log);
        let lines: Vec<_> = log.into_lines().into_iter().map(|line| (line.level, line.text)).collect();
        let (info, warn) = (Level::Info, Level::Warn);
        let expected = [
            (info, "one".to_owned()),
            (info, "two".to_owned()),
            (warn, "x".repeat(LINE)),
            (info, "\u{fffd}".to_owned()),
            (warn, "x".to_owned()),
        ];
        assert_eq!(lines, expected);
    }
}
