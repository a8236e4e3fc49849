//! Why somebody does something, as it is typed: one line that goes into the record and comes out again on terminals.

use crate::exit::{Outcome, Problem};

/// The most bytes of it.
const LONGEST: usize = 1_000;

/// The reason, without blanks around it, if it is one line that neither controls nor reorders what a terminal shows.
pub(crate) fn one_line(typed: &str) -> Outcome<&str> {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if typed.contains(steers) || typed.len() > LONGEST {
        return Err(Problem::usage("the reason is to be one line of at most 1,000 bytes"));
    }
    Ok(typed.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_that_leaves_the_terminal_alone() {
        assert_eq!(one_line(" café is closed ").ok(), Some("café is closed"));
        let long = "x".repeat(1_001);
        for typed in ["two\nlines", "a\r", "\u{1b}[2Jgone", "\u{202e}txet", "tab\t", &long] {
            assert!(one_line(typed).is_err(), "{typed:?}");
        }
    }
}
