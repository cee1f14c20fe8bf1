//! Names and texts as they stand in statements.
//!
//! Statements that create and alter roles and databases take no parameters, so what is put into them is quoted here and
//! nowhere else.

use std::fmt::{self, Write};

/// A name, in double quotes.
#[derive(Clone, Copy)]
pub(crate) struct Ident<'a>(pub(crate) &'a str);

impl fmt::Display for Ident<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        quoted(f, self.0, '"')
    }
}

/// A text, in single quotes. It relies on `standard_conforming_strings`, which each session turns on: a backslash means
/// itself.
#[derive(Clone, Copy)]
pub(crate) struct Literal<'a>(pub(crate) &'a str);

impl fmt::Display for Literal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        quoted(f, self.0, '\'')
    }
}

/// Names with commas between them.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| Ident(name).to_string()).collect::<Vec<_>>().join(", ")
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str, quote: char) -> fmt::Result {
    f.write_char(quote)?;
    for character in text.chars() {
        if character == quote {
            f.write_char(quote)?;
        }
        f.write_char(character)?;
    }
    f.write_char(quote)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_inside_are_doubled() {
        assert_eq!(Ident(r#"x"; drop role y; --"#).to_string(), r#""x""; drop role y; --""#);
        assert_eq!(Literal(r"it's \' so").to_string(), r"'it''s \'' so'");
        assert_eq!(list(["a", "B b"]), r#""a", "B b""#);
    }
}
