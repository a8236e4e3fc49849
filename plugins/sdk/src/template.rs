//! Texts with gaps: `the token {token} ends on {date}`.

use std::fmt::Write as _;

/// A text with named gaps, checked when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(&'static str),
    Gap(&'static str),
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// A gap with a name that nothing has.
    Unknown(&'static str),
    /// A brace without its other half.
    Unpaired,
}

impl Template {
    /// Takes a text apart. `{name}` is a gap, `{{` and `}}` are braces; names not in `known` are mistakes.
    pub fn parse(mut text: &'static str, known: &[&str]) -> Result<Self, Mistake> {
        let mut parts = Vec::new();
        while let Some(brace) = text.find(['{', '}']) {
            let (before, rest) = text.split_at(brace);
            parts.push(Part::Text(before));
            if rest.starts_with("{{") || rest.starts_with("}}") {
                parts.push(Part::Text(&rest[..1]));
                text = &rest[2..];
                continue;
            }
            let (name, rest) =
                rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).ok_or(Mistake::Unpaired)?;
            if !known.contains(&name) {
                return Err(Mistake::Unknown(name));
            }
            parts.push(Part::Gap(name));
            text = rest;
        }
        parts.push(Part::Text(text));
        Ok(Self(parts))
    }

    /// The text with its gaps filled. A gap that `fill` has nothing for stays empty.
    pub fn fill(&self, fill: &dyn Fn(&str) -> String) -> String {
        let mut filled = String::new();
        for part in &self.0 {
            let _ = match part {
                Part::Text(text) => filled.write_str(text),
                Part::Gap(name) => filled.write_str(&fill(name)),
            };
        }
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_filled_and_doubled_braces_are_braces() {
        let template = Template::parse("{a} and {{{a}}}: {b}", &["a", "b"]).unwrap();
        assert_eq!(template.fill(&|name| name.to_uppercase()), "A and {A}: B");
    }

    #[test]
    fn what_nothing_fills_and_what_does_not_end_are_mistakes() {
        assert_eq!(Template::parse("{c}", &["a"]), Err(Mistake::Unknown("c")));
        assert_eq!(Template::parse("{a", &["a"]), Err(Mistake::Unpaired));
        assert_eq!(Template::parse("a}", &["a"]), Err(Mistake::Unpaired));
    }
}
