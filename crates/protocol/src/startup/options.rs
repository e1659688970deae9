//! The startup parameter `options`: settings in the form of a server's command line.
//!
//! Words are split at white space; a backslash takes the next character as it is. Only settings are accepted, as
//! `-c name=value`, `-cname=value` and `--name=value` (PGBOUNCER_BEHAVIOUR.md §8). Which names are allowed is for
//! the caller to decide. A replication client's `options` are not read at all: they go to the server untouched.

/// A switch that is not a setting, or a setting without `=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unsupported options startup parameter: only '-c config=val' and '--config=val' are allowed")]
pub struct OptionsError;

impl OptionsError {
    /// `protocol_violation`, for the ErrorResponse that says so.
    pub const fn sqlstate(&self) -> &'static str {
        crate::PROTOCOL_VIOLATION
    }
}

/// Names and values in their order, duplicates kept. In a name given with `--`, a `-` means `_`, as in PostgreSQL.
///
/// # Errors
/// There is something that is not a setting.
///
/// ```
/// use howdah_protocol::startup::options;
/// let settings = options::parse(r"-c search_path=a,\ b --statement-timeout=5s")?;
/// assert_eq!(settings[0], ("search_path".into(), "a, b".into()));
/// assert_eq!(settings[1], ("statement_timeout".into(), "5s".into()));
/// # Ok::<(), options::OptionsError>(())
/// ```
pub fn parse(options: &str) -> Result<Vec<(String, String)>, OptionsError> {
    let mut words = words(options).into_iter();
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let setting = if word == "-c" {
            split(&words.next().ok_or(OptionsError)?)?
        } else if let Some(setting) = word.strip_prefix("--") {
            let (name, value) = split(setting)?;
            (name.replace('-', "_"), value)
        } else if let Some(setting) = word.strip_prefix("-c") {
            split(setting)?
        } else {
            return Err(OptionsError);
        };
        settings.push(setting);
    }
    Ok(settings)
}

/// Splits a setting at its first `=`.
fn split(setting: &str) -> Result<(String, String), OptionsError> {
    match setting.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(OptionsError),
    }
}

/// Splits at white space, and takes what follows a backslash as it is.
fn words(options: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = options.chars();
    while let Some(char) = chars.next() {
        // C's isspace, which is what PostgreSQL splits at.
        if matches!(char, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c') {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_default();
        match char {
            // A backslash at the very end stands for nothing.
            '\\' => word.extend(chars.next()),
            _ => word.push(char),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod options_tests;
