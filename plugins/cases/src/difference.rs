//! What was expected beside what was found, line by line.

use std::fmt;

/// Two texts that differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    lines: Vec<(Side, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Both,
    Expected,
    Found,
}

impl Difference {
    /// How the texts differ, if they do. What is empty at the end of a line or of the text does not count.
    pub fn between(expected: &str, found: &str) -> Option<Self> {
        let lines = |text: &str| text.trim_end().lines().map(|line| line.trim_end().to_owned()).collect();
        let (expected, found): (Vec<String>, Vec<String>) = (lines(expected), lines(found));
        if expected == found {
            return None;
        }
        // How many lines the rests have in common, from every pair of places on.
        let mut common = vec![vec![0; found.len() + 1]; expected.len() + 1];
        for (e, line) in expected.iter().enumerate().rev() {
            for (f, other) in found.iter().enumerate().rev() {
                common[e][f] = match line == other {
                    true => common[e + 1][f + 1] + 1,
                    false => common[e + 1][f].max(common[e][f + 1]),
                };
            }
        }
        let (mut e, mut f, mut lines) = (0, 0, Vec::new());
        while e < expected.len() || f < found.len() {
            if e < expected.len() && f < found.len() && expected[e] == found[f] {
                lines.push((Side::Both, expected[e].clone()));
                (e, f) = (e + 1, f + 1);
            } else if f == found.len() || (e < expected.len() && common[e + 1][f] >= common[e][f + 1]) {
                lines.push((Side::Expected, expected[e].clone()));
                e += 1;
            } else {
                lines.push((Side::Found, found[f].clone()));
                f += 1;
            }
        }
        Some(Self { lines })
    }
}

/// `-` begins a line that was expected, `+` one that was found.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|(side, line)| {
            let sign = match side {
                Side::Both => ' ',
                Side::Expected => '-',
                Side::Found => '+',
            };
            writeln!(f, "{}", format!("{sign} {line}").trim_end())
        })
    }
}
