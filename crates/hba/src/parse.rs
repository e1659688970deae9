//! An HBA file from its text. What is wrong with a line is said in PgBouncer's words, seen on a running one.

use std::net::IpAddr;

use crate::Warning;
use crate::address::Network;
use crate::ldap::Ldap;
use crate::rules::{Connection, Method, Names, Rule, Rules};
use crate::token::{Token, placed, tokens};

/// Brings the text of an `@file`, or why it cannot.
type Bring<'a> = dyn FnMut(&str) -> Result<String, String> + 'a;

/// What is wrong with a line, besides that it cannot be parsed.
type Mistake = Option<String>;

/// Reads the text of an HBA file. `bring` gets the name behind an `@` as it is written, and returns that file's text.
///
/// The good lines are in force; what is wrong with the others, and what is odd about the good ones, is the second half.
pub fn parse(text: &str, bring: &mut Bring<'_>) -> (Rules, Vec<Warning>) {
    let (mut rules, mut warnings) = (Rules::default(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let mut warn = |sentence, is_skipped| warnings.push(Warning { line: number, sentence, is_skipped });
        match read_line(line, number, bring) {
            Ok(None) => {}
            Ok(Some(rule)) => {
                if let Some((address, mask)) = rule.network.mismatch() {
                    warn(format!("address does not match mask: {address} / {mask}"), false);
                }
                rules.rules.push(rule);
            }
            Err(mistake) => {
                warn(mistake.unwrap_or_else(|| "could not parse hba config line".to_owned()), true);
            }
        }
    }
    (rules, warnings)
}

/// The words of a line that have not been read yet.
struct Words<'a> {
    line: &'a str,
    /// Where the last word that was read ends.
    at: usize,
    tokens: std::iter::Peekable<std::vec::IntoIter<(Token, usize)>>,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<Token> {
        let (token, end) = self.tokens.next()?;
        self.at = end;
        Some(token)
    }

    fn bare(&mut self) -> Option<String> {
        match self.next() {
            Some(Token::Bare(word)) => Some(word),
            _ => None,
        }
    }

    fn comma(&mut self) -> bool {
        let is_next = matches!(self.tokens.peek(), Some((Token::Comma, _)));
        is_next && self.next().is_some()
    }

    /// What has not been read, as it is written, up to the line's comment.
    fn rest(&self) -> &'a str {
        let end = self.tokens.clone().last().map_or(self.at, |(_, end)| end);
        &self.line[self.at..end]
    }
}

fn read_line(line: &str, number: u32, bring: &mut Bring<'_>) -> Result<Option<Rule>, Mistake> {
    let tokens = placed(line).map_err(|()| Some("a quote is not closed".to_owned()))?;
    let mut words = Words { line, at: 0, tokens: tokens.into_iter().peekable() };
    if words.tokens.peek().is_none() {
        return Ok(None);
    }
    let connection = match words.bare().as_deref() {
        Some("local") => Connection::Local,
        Some("host") => Connection::Host,
        Some("hostssl") => Connection::HostSsl,
        Some("hostnossl") => Connection::HostNoSsl,
        _ => return Err(Some("unknown type".to_owned())),
    };
    let databases = names(&mut words, Kind::Databases, bring)?;
    let users = names(&mut words, Kind::Users, bring)?;
    let network = match connection {
        Connection::Local => Network::All,
        _ => network(&mut words)?,
    };
    let (method, map) = match words.bare().unwrap_or_default().as_str() {
        "ldap" => (Method::Ldap(Ldap::parse(words.rest()).map_err(Some)?), None),
        word => options(method(word)?, &mut words)?,
    };
    Ok(Some(Rule { line: number, method, map, connection, databases, users, network }))
}

/// What a list of names is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Databases,
    Users,
}

/// A list: names with commas between them, and maybe spaces around those.
fn names(words: &mut Words<'_>, kind: Kind, bring: &mut Bring<'_>) -> Result<Names, Mistake> {
    let mut names = Names::default();
    loop {
        match words.next() {
            Some(Token::Quoted(name)) => names.names.push(name),
            Some(Token::Bare(word)) => match word.strip_prefix('@') {
                Some(file) => from_file(file, kind, &mut names, bring)?,
                None => name(word, kind, &mut names)?,
            },
            Some(Token::Comma) | None => return Err(None),
        }
        if !words.comma() {
            return Ok(names);
        }
    }
}

fn name(word: String, kind: Kind, names: &mut Names) -> Result<(), Mistake> {
    match (word.as_str(), kind) {
        ("all", _) => names.all = true,
        ("sameuser", Kind::Databases) => names.same_user = true,
        ("replication", Kind::Databases) => names.replication = true,
        ("samerole" | "samegroup", Kind::Databases) => return Err(Some(format!("{word} is not supported"))),
        // PostgreSQL's members of a role, of which nothing is known here.
        _ if word.starts_with('+') => return Err(Some(format!("{word}: roles are not supported"))),
        _ => names.names.push(word),
    }
    Ok(())
}

/// The names of a file: words with spaces, line ends or commas between them. A file names no further one.
fn from_file(file: &str, kind: Kind, names: &mut Names, bring: &mut Bring<'_>) -> Result<(), Mistake> {
    let text = bring(file).map_err(|error| Some(format!("could not open file {file}: {error}")))?;
    for line in text.lines() {
        for token in tokens(line).map_err(|()| Some(format!("a quote is not closed in file {file}")))? {
            match token {
                Token::Comma => {}
                Token::Quoted(word) => names.names.push(word),
                Token::Bare(word) => name(word, kind, names)?,
            }
        }
    }
    Ok(())
}

fn network(words: &mut Words<'_>) -> Result<Network, Mistake> {
    let address = words.bare().ok_or(None)?;
    if address == "all" {
        return Ok(Network::All);
    }
    let no_address = |text: &str| Some(format!("failed to parse address - {text}"));
    if let Some((address, bits)) = address.split_once('/') {
        let address: IpAddr = address.parse().map_err(|_| no_address(address))?;
        let is_number = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
        let bits = bits.parse().ok().filter(|_| is_number);
        let network = bits.and_then(|bits| Network::of_width(address, bits));
        return network.ok_or_else(|| Some("invalid mask".to_owned()));
    }
    let address: IpAddr = address.parse().map_err(|_| no_address(&address))?;
    let mask = words.bare().ok_or(None)?;
    let no_mask = || Some(format!("failed to parse mask: {mask}"));
    Network::of_mask(address, mask.parse().map_err(|_| no_mask())?).ok_or_else(no_mask)
}

fn method(word: &str) -> Result<Method, Mistake> {
    Ok(match word {
        "trust" => Method::Trust,
        "reject" => Method::Reject,
        "md5" => Method::Md5,
        "password" => Method::Password,
        "peer" => Method::Peer,
        "cert" => Method::Cert,
        "scram-sha-256" => Method::Scram,
        other => return Err(Some(format!("unsupported method: buf={other}"))),
    })
}

/// What stands behind the method: `map=` of `cert` and `peer`, else nothing.
fn options(method: Method, words: &mut Words<'_>) -> Result<(Method, Option<String>), Mistake> {
    let rest: Vec<Token> = words.tokens.by_ref().map(|(token, _)| token).collect();
    let takes_map = matches!(method, Method::Cert | Method::Peer);
    match rest.as_slice() {
        [] => Ok((method, None)),
        [Token::Bare(option), name @ ..] if takes_map && name.len() <= 1 => {
            let bare = option.strip_prefix("map=");
            let map = match (bare, name) {
                (Some(map), []) if !map.is_empty() => Some(map.to_owned()),
                (Some(""), [Token::Quoted(map)]) => Some(map.clone()),
                _ => None,
            };
            map.map(|map| (method, Some(map))).ok_or_else(|| Some("unsupported parameters".to_owned()))
        }
        _ => Err(Some("unsupported parameters".to_owned())),
    }
}
