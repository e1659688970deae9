//! PgBouncer's console grammar, and ours beside it. Next: [`super`], which runs the commands.
//!
//! PgBouncer's is `WORD [WORD] [;]` and `SET WORD =|TO WORD|STRING [;]`, without regard to case, where a word is
//! `[0-9a-z_]+` or double-quoted (PGBOUNCER.md section 7). Names of nodes have dots and colons, and SQL is SQL, so
//! FAILOVER, SWITCHOVER, MAINTENANCE and EXPLAIN ROUTE have a tokenizer of their own, which is tried only for
//! texts that begin with those words: none of them is a command of PgBouncer's.

use super::command::{Action, Command, Show, Variable};
use crate::pooler::Shutdown;

/// A command's longest word, in bytes, quotes included.
const COMMAND_MAX: usize = 15;
/// An argument's, and a setting's name.
const ARGUMENT_MAX: usize = 63;
/// A setting's value.
const VALUE_MAX: usize = 255;
/// An error's longest text, in bytes: PgBouncer cuts there too, and an answer must not grow with the question.
const ERROR_MAX: usize = 1023;

/// Why a text is no command. `Display` is PgBouncer's text; the SQLSTATE is 08P01.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConsoleError {
    /// No command looks like that.
    #[error("{}", cut(&format!("invalid command '{text}', use SHOW HELP;", text = .0)))]
    Invalid(String),
    /// A word is too long.
    #[error("bad arguments")]
    BadArguments,
}

/// `text` without what exceeds [`ERROR_MAX`].
fn cut(text: &str) -> &str {
    let mut end = text.len().min(ERROR_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Reads one command. A NUL ends the text; what is not UTF-8 is replaced.
///
/// # Errors
/// [`ConsoleError`], which is what the client is to read.
pub fn parse(query: &[u8]) -> Result<Command, ConsoleError> {
    let text = query.split(|&byte| byte == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    let invalid = || ConsoleError::Invalid(text.clone().into_owned());
    if let Some(command) = ours(&text) {
        return command.ok_or_else(invalid);
    }
    if let Some((verb, argument)) = words(&text) {
        let verb = verb.unquoted(COMMAND_MAX)?;
        let argument = argument.map(|word| word.unquoted(ARGUMENT_MAX)).transpose()?.unwrap_or_default();
        return command(&verb, argument).ok_or_else(invalid);
    }
    match setting(&text, Some('\'')).or_else(|| setting(&text, None)) {
        Some((key, value)) => set(key, value),
        None => Err(invalid()),
    }
}

/// A word or string as it stands in the text.
#[derive(Clone, Copy)]
struct Word<'a> {
    raw: &'a str,
    quote: char,
}

impl Word<'_> {
    /// The word without its quotes, or `BadArguments` when it is longer than `most` bytes.
    fn unquoted(self, most: usize) -> Result<String, ConsoleError> {
        if self.raw.len() > most {
            return Err(ConsoleError::BadArguments);
        }
        let inside = self.raw.strip_prefix(self.quote).and_then(|rest| rest.strip_suffix(self.quote));
        let Some(inside) = inside else { return Ok(self.raw.to_owned()) };
        let doubled: String = [self.quote, self.quote].iter().collect();
        Ok(inside.replace(&doubled, &self.quote.to_string()))
    }
}

/// The text without the blanks that it begins with.
fn blanks(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r'])
}

/// Whether nothing follows but blanks and at most one semicolon.
fn at_end(text: &str) -> bool {
    let rest = blanks(text);
    blanks(rest.strip_prefix(';').unwrap_or(rest)).is_empty()
}

/// How many bytes of the text are a bare word.
fn bare(text: &str) -> usize {
    text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count()
}

/// How many bytes of the text are a quoted string, both quotes included. A doubled quote stands for one.
fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut rest = text.strip_prefix(quote)?;
    loop {
        rest = rest.split_once(quote)?.1;
        match rest.strip_prefix(quote) {
            Some(after) => rest = after,
            None => return Some(text.len() - rest.len()),
        }
    }
}

/// The word that the text begins with, and the rest.
fn word(text: &str) -> Option<(Word<'_>, &str)> {
    let length = quoted(text, '"').unwrap_or_else(|| bare(text));
    let (raw, rest) = text.split_at(length);
    (length > 0).then_some((Word { raw, quote: '"' }, rest))
}

/// `WORD [WORD] [;]`, or `None`.
fn words(text: &str) -> Option<(Word<'_>, Option<Word<'_>>)> {
    let (verb, rest) = word(blanks(text))?;
    if at_end(rest) {
        return Some((verb, None));
    }
    let after = blanks(rest);
    let (argument, end) = word(after)?;
    // A quoted word right behind a word is no second word.
    (after.len() < rest.len() && at_end(end)).then_some((verb, Some(argument)))
}

/// `SET WORD =|TO value [;]` with a value in the quotes given, or a word; or `None`.
fn setting(text: &str, quote: Option<char>) -> Option<(Word<'_>, Word<'_>)> {
    let text = blanks(text);
    let rest = text.get(3..).filter(|_| text[..3].eq_ignore_ascii_case("set"))?;
    let start = blanks(rest);
    if start.len() == rest.len() {
        return None;
    }
    let (longest, _) = word(start)?;
    // The grammar lets TO follow without a blank (`keyto value`), so shorter names are tried as well, those
    // that a setting may have; a quoted name has one length only.
    let whole = longest.raw.len();
    let shorter = if longest.raw.starts_with('"') { 0 } else { (whole - 1).min(ARGUMENT_MAX) };
    std::iter::once(whole).chain((1..=shorter).rev()).find_map(|length| {
        let (raw, rest) = start.split_at(length);
        let value = assigned(blanks(rest), quote)?;
        Some((Word { raw, quote: '"' }, value))
    })
}

/// What follows a name in SET: `=|TO value [;]`.
fn assigned(text: &str, quote: Option<char>) -> Option<Word<'_>> {
    let sign = if text.starts_with('=') { 1 } else { 2 };
    let (operator, rest) = text.split_at_checked(sign)?;
    if operator != "=" && !operator.eq_ignore_ascii_case("to") {
        return None;
    }
    let rest = blanks(rest);
    let (value, end) = match quote {
        None => word(rest)?,
        Some(quote) => {
            let (raw, end) = rest.split_at(quoted(rest, quote)?);
            (Word { raw, quote }, end)
        }
    };
    at_end(end).then_some(value)
}

/// A SET out of its two words.
fn set(key: Word<'_>, value: Word<'_>) -> Result<Command, ConsoleError> {
    let key = key.unquoted(ARGUMENT_MAX)?;
    if key.is_empty() {
        return Err(ConsoleError::BadArguments);
    }
    Ok(Command::Set { key, value: value.unquoted(VALUE_MAX)? })
}

/// The command of a verb and its argument, empty for none; `None` when there is no such command.
fn command(verb: &str, argument: String) -> Option<Command> {
    match verb.to_ascii_lowercase().as_str() {
        "show" | "select" => match Variable::from_word(&argument) {
            Some(variable) => Some(Command::ShowVariable(variable)),
            None => Show::from_word(&argument).map(Command::Show),
        },
        verb => action(verb, argument).map(Command::Act),
    }
}

fn action(verb: &str, argument: String) -> Option<Action> {
    let database = (!argument.is_empty()).then(|| argument.clone());
    Some(match verb {
        "pause" => Action::Pause(database),
        "resume" => Action::Resume(database),
        "disable" => Action::Disable(database),
        "enable" => Action::Enable(database),
        "reconnect" => Action::Reconnect(database),
        "kill" => Action::Kill(database),
        "kill_client" => Action::KillClient(argument),
        "wait_close" => Action::WaitClose(database),
        "suspend" if database.is_none() => Action::Suspend,
        "reload" if database.is_none() => Action::Reload,
        "shutdown" => Action::Shutdown(match argument.to_ascii_lowercase().as_str() {
            "" => Shutdown::Immediate,
            "wait_for_servers" => Shutdown::WaitForServers,
            "wait_for_clients" => Shutdown::WaitForClients,
            _ => return None,
        }),
        _ => return None,
    })
}

/// A command that PgBouncer has not: `None` when the text begins with none of their words, `Some(None)` when
/// the rest of it is wrong.
fn ours(text: &str) -> Option<Option<Command>> {
    let text = blanks(text);
    let (verb, rest) = text.split_at(bare(text));
    let tokens = || rest.trim().trim_end_matches(';').split_ascii_whitespace();
    match verb.to_ascii_lowercase().as_str() {
        "failover" => Some(change_primary(tokens(), false)),
        "switchover" => Some(change_primary(tokens(), true)),
        "maintenance" => Some(maintenance(tokens())),
        "explain" => Some(explain(rest)),
        _ => None,
    }
}

/// A name without the double quotes around it, at most [`ARGUMENT_MAX`] bytes.
fn name(token: &str) -> Option<String> {
    let bare = token.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(token);
    (!bare.is_empty() && bare.len() <= ARGUMENT_MAX).then(|| bare.to_owned())
}

/// `cluster [TO node] [FORCE]`.
fn change_primary<'a>(mut tokens: impl Iterator<Item = &'a str>, planned: bool) -> Option<Command> {
    let cluster = name(tokens.next()?)?;
    let (mut to, mut force) = (None, false);
    while let Some(token) = tokens.next() {
        if token.eq_ignore_ascii_case("to") && to.is_none() && !force {
            to = Some(name(tokens.next()?)?);
        } else if token.eq_ignore_ascii_case("force") && planned && !force {
            force = true;
        } else {
            return None;
        }
    }
    Some(Command::Act(Action::ChangePrimary { cluster, to, planned, force }))
}

/// `cluster ON|OFF`.
fn maintenance<'a>(mut tokens: impl Iterator<Item = &'a str>) -> Option<Command> {
    let cluster = name(tokens.next()?)?;
    let on = match tokens.next()?.to_ascii_lowercase().as_str() {
        "on" => true,
        "off" => false,
        _ => return None,
    };
    tokens.next().is_none().then_some(Command::Act(Action::Maintenance { cluster, on }))
}

/// `ROUTE sql`: the rest of the text as it is.
fn explain(rest: &str) -> Option<Command> {
    let rest = blanks(rest);
    let (route, sql) = rest.split_at(bare(rest));
    let sql = blanks(sql).trim_end();
    (route.eq_ignore_ascii_case("route") && !sql.is_empty()).then(|| Command::ExplainRoute(sql.to_owned()))
}
