//! Words of a line: bare, in double quotes, and the comma between the members of a list. Next: `parse.rs`.

/// One word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// A word without quotes: it may be a keyword, and `@name` a file.
    Bare(String),
    /// A word in quotes: a literal name.
    Quoted(String),
    /// `,`
    Comma,
}

impl Token {
    /// The text of a word, quoted or not.
    pub(crate) fn word(&self) -> Option<&str> {
        match self {
            Self::Bare(word) | Self::Quoted(word) => Some(word),
            Self::Comma => None,
        }
    }
}

/// The words of a line up to its comment; `Err` when a quote is not closed.
pub(crate) fn tokens(line: &str) -> Result<Vec<Token>, ()> {
    Ok(placed(line)?.into_iter().map(|(token, _)| token).collect())
}

/// The same, each word with where it ends (bytes of the line).
pub(crate) fn placed(line: &str) -> Result<Vec<(Token, usize)>, ()> {
    let mut found = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '#' => break,
            ',' => (Token::Comma, &rest[1..]),
            '"' => {
                let (word, after) = quoted(&rest[1..]).ok_or(())?;
                (Token::Quoted(word), after)
            }
            _ => {
                let end = rest
                    .find(|c: char| c.is_whitespace() || matches!(c, ',' | '#' | '"'))
                    .unwrap_or(rest.len());
                (Token::Bare(rest[..end].to_owned()), &rest[end..])
            }
        };
        found.push((token, line.len() - after.len()));
        rest = after.trim_start();
    }
    Ok(found)
}

/// The text up to the closing quote, in which a doubled quote is one, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut word = String::new();
    let mut rest = text;
    loop {
        let at = rest.find('"')?;
        word.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                word.push('"');
                rest = after;
            }
            None => return Some((word, rest)),
        }
    }
}
