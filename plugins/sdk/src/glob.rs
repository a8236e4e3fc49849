//! Patterns with `*` (any text, also none) and `?` (one character), blind to the case of A–Z.

/// One pattern, taken apart once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// A byte, lower-case if it is a letter of A–Z.
    Byte(u8),
    /// `?`
    One,
    /// `*`
    Any,
}

impl Glob {
    /// Every text is a pattern; one without `*` and `?` fits itself only.
    pub fn new(pattern: &str) -> Self {
        let parts = pattern.bytes().map(|byte| match byte {
            b'*' => Part::Any,
            b'?' => Part::One,
            byte => Part::Byte(byte.to_ascii_lowercase()),
        });
        Self(parts.collect())
    }

    /// Whether the pattern fits the whole text.
    ///
    /// On a mismatch, the last `*` takes one more byte: linear for most patterns, and never worse
    /// than pattern times text.
    pub fn matches(&self, text: &str) -> bool {
        let (parts, text) = (&self.0, text.as_bytes());
        let (mut part, mut byte) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        loop {
            let advanced = match parts.get(part) {
                Some(Part::Any) => {
                    retry = Some((part + 1, byte));
                    Some((part + 1, byte))
                }
                Some(Part::One) if byte < text.len() => Some((part + 1, next_character(text, byte))),
                Some(Part::Byte(wanted))
                    if text.get(byte).is_some_and(|b| b.to_ascii_lowercase() == *wanted) =>
                {
                    Some((part + 1, byte + 1))
                }
                None if byte == text.len() => return true,
                _ => None,
            };
            (part, byte) = match (advanced, &mut retry) {
                (Some(advanced), _) => advanced,
                (None, Some((after_star, start))) if *start < text.len() => {
                    *start += 1;
                    (*after_star, *start)
                }
                (None, _) => return false,
            };
        }
    }
}

/// Whether a text is a pattern at all, rather than just a text.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

fn next_character(text: &[u8], mut byte: usize) -> usize {
    byte += 1;
    // The bytes of a character after its first all look like 10xxxxxx.
    while text.get(byte).is_some_and(|b| b & 0xc0 == 0x80) {
        byte += 1;
    }
    byte
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, fits: &[&str], does_not: &[&str]) {
        let glob = Glob::new(pattern);
        for text in fits {
            assert!(glob.matches(text), "`{pattern}` should fit `{text}`");
        }
        for text in does_not {
            assert!(!glob.matches(text), "`{pattern}` should not fit `{text}`");
        }
    }

    #[test]
    fn a_pattern_fits_the_whole_text_whatever_its_case() {
        check("LIB-*", &["LIB-1", "lib-", "Lib-x-y"], &["LIB", "XLIB-1", ""]);
        check("*-gbr", &["MBP/M4-GBR", "-GBR"], &["-GBR2"]);
    }

    #[test]
    fn a_star_in_the_middle_tries_every_length() {
        check("a*b*c", &["abc", "aXbXbXc", "abbc"], &["ab", "acb", "abcX"]);
    }

    #[test]
    fn a_question_mark_is_one_character_of_any_language() {
        check("?-1", &["a-1", "é-1"], &["-1", "ab-1"]);
        check("*?x", &["éx", "aéx"], &["x"]);
    }

    #[test]
    fn nothing_fits_only_nothing_and_stars() {
        check("", &[""], &["a"]);
        check("**", &["", "a"], &[]);
        check("?*", &["a"], &[""]);
    }
}
