//! A guest's text, made fit for a terminal, a log and a message.

/// One line of at most `bytes`, without characters that control or reorder what is shown.
pub(crate) fn clean(text: &str, bytes: usize) -> String {
    cut(text.chars().filter_map(|c| if is_blank(c) { Some(' ') } else { shown(c) }), bytes)
}

/// The same with its line breaks; no line ends in blanks, and no more than one in a row is empty.
pub(crate) fn clean_lines(text: &str, bytes: usize) -> String {
    let mut cleaned = String::new();
    let mut empty = 0;
    for line in text.lines() {
        let line = clean(line, usize::MAX);
        match line.trim_end() {
            "" => empty += 1,
            line => {
                let breaks = if cleaned.is_empty() { 0 } else { 1 + empty.min(1) };
                cleaned.extend(std::iter::repeat_n('\n', breaks));
                cleaned.push_str(line);
                empty = 0;
            }
        }
    }
    cut(cleaned.chars(), bytes)
}

fn cut(characters: impl Iterator<Item = char>, bytes: usize) -> String {
    let mut cleaned = String::new();
    for c in characters {
        if cleaned.len() + c.len_utf8() > bytes {
            cleaned.truncate(cleaned.floor_char_boundary(bytes.saturating_sub('…'.len_utf8())));
            cleaned.push('…');
            break;
        }
        cleaned.push(c);
    }
    cleaned
}

fn is_blank(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\t')
}

fn shown(c: char) -> Option<char> {
    let reorders = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (!reorders && !c.is_control()).then_some(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters_and_says_so() {
        assert_eq!(clean("ééé", 6), "ééé");
        assert_eq!(clean("éééé", 6), "é…");
        assert_eq!(clean("abcdefg", 6), "abc…");
    }

    #[test]
    fn text_cannot_control_a_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\r\nc\u{0}\u{202e}d", 99), "a[31mb  cd");
    }

    #[test]
    fn several_lines_stay_several_lines() {
        assert_eq!(clean_lines("a \r\n\tb\n\n\n\nc\u{1b}\n\n", 99), "a\n b\n\nc");
        assert_eq!(clean_lines("\n \n", 99), "");
    }

    #[test]
    fn several_lines_are_cut_like_one() {
        assert_eq!(clean_lines("one\ntwo\nthree", 10), "one\ntwo…");
        assert_eq!(clean_lines("one\ntwo", 7), "one\ntwo");
        assert!(clean_lines(&"é\n".repeat(10_000), 8_192).len() <= 8_192);
    }
}
