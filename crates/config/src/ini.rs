//! The reader of `pgbouncer.ini` (PGBOUNCER.md §1, PGBOUNCER_BEHAVIOUR.md §1).
//!
//! A file is lines: `[section]`, `key = value`, `%include file`, and comments, which start a line and nothing else. The
//! same section may come again and adds to itself. Files are bytes: a line that is not UTF-8 is a mistake only if it is
//! no comment. The values of all sections but `[pgbouncer]` are lists of `key=value`, which `pairs.rs` reads.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use crate::pairs;
use crate::written::{Entry, Findings, Pair, Place, Section, Spanned, Written};

/// How deep `%include` may nest; a file that includes itself ends here.
const MAX_INCLUDE_DEPTH: u32 = 16;

/// How many files may be included in all; files that include one another twice would double at each level.
const MAX_INCLUDES: u32 = 1024;

/// Longest file that is read, in bytes.
pub(crate) const MAX_FILE: u64 = 64 << 20;

/// Reads a text and the files that it includes.
pub(crate) fn read_text(path: &Path, bytes: &[u8], findings: &mut Findings) -> Written {
    let mut reader = Reader { written: Written::default(), findings, depth: 0, included: 0 };
    reader.text(path, bytes);
    reader.written
}

/// All bytes of a file, up to [`MAX_FILE`].
pub(crate) fn read_bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        let limit = MAX_FILE >> 20;
        return Err(std::io::Error::other(format!("it is larger than {limit} MB")));
    }
    Ok(bytes)
}

struct Reader<'a> {
    written: Written,
    findings: &'a mut Findings,
    depth: u32,
    included: u32,
}

/// The section that lines go to.
#[derive(Clone, Copy)]
enum Current {
    /// None yet.
    Missing,
    /// One that does not exist: said once, its lines are skipped.
    Unknown,
    Known(Section),
}

impl Reader<'_> {
    fn text(&mut self, path: &Path, bytes: &[u8]) {
        let file: Arc<Path> = Arc::from(path);
        let mut current = Current::Missing;
        for (index, bytes) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let start = Place { file: Arc::clone(&file), line: number, column: 1 };
            self.line(bytes, &start, &mut current);
        }
    }

    fn line(&mut self, bytes: &[u8], start: &Place, current: &mut Current) {
        let line = bytes.trim_ascii();
        if matches!(line.first(), None | Some(b';' | b'#')) {
            return;
        }
        // What is cut off in front is ASCII: as many characters as bytes.
        let place = start.plus(bytes.len() - bytes.trim_ascii_start().len());
        let line = match std::str::from_utf8(line) {
            Ok(line) if !line.contains('\0') => line,
            Ok(line) => {
                let before = line.chars().take_while(|c| *c != '\0').count();
                return self
                    .findings
                    .error(&place.plus(before), "a zero byte cannot stand in a configuration");
            }
            Err(error) => {
                let valid = &line[..error.valid_up_to()];
                let before = String::from_utf8_lossy(valid).chars().count();
                return self.findings.error(&place.plus(before), "this is not UTF-8 text");
            }
        };
        if let Some(rest) = line.strip_prefix("%include").filter(|rest| rest.starts_with([' ', '\t'])) {
            self.include(rest.trim(), &place);
        } else if let Some(rest) = line.strip_prefix('[') {
            *current = self.section(rest, &place);
        } else {
            self.key(line, &place, *current);
        }
    }

    fn include(&mut self, name: &str, place: &Place) {
        let path = Path::new(name);
        if self.depth >= MAX_INCLUDE_DEPTH {
            let sentence = format!("files are included {MAX_INCLUDE_DEPTH} deep: does one include itself?");
            return self.findings.error(place, sentence);
        }
        if self.included >= MAX_INCLUDES {
            return self.findings.error(place, format!("more than {MAX_INCLUDES} files are included"));
        }
        self.included += 1;
        match read_bytes(path) {
            Ok(bytes) => {
                self.depth += 1;
                self.text(path, &bytes);
                self.depth -= 1;
            }
            Err(error) => self.findings.error_as(
                place,
                format!("cannot include {name}: {error}"),
                format!("could not load file \"{name}\": {error}"),
            ),
        }
    }

    fn section(&mut self, rest: &str, place: &Place) -> Current {
        let Some((name, behind)) = rest.split_once(']') else {
            self.syntax(place, "the name of a section ends with ]");
            return Current::Unknown;
        };
        if !behind.trim().is_empty() {
            self.syntax(place, "nothing may stand behind the ] of a section");
            return Current::Unknown;
        }
        match Section::of_ini(name) {
            Some(section) => Current::Known(section),
            None => {
                let known = "[pgbouncer], [databases], [users], [peers], [clusters] and [nodes]";
                let sentence = format!("there is no section [{name}]: there are {known}");
                let theirs = invalid_section(name, place);
                self.findings.error_as(&place.plus(1), sentence, theirs);
                Current::Unknown
            }
        }
    }

    fn key(&mut self, line: &str, place: &Place, current: Current) {
        let Some((key, after_key)) = name(line) else {
            return self.syntax(place, "the closing \" of a name is missing");
        };
        let rest = &line[after_key..];
        let Some(value) = rest.trim_start().strip_prefix('=') else {
            return self.syntax(place, "a line is [section], key = value, %include file, or a comment");
        };
        if key.is_empty() {
            return self.syntax(place, "there is no name before the =");
        }
        let value = value.trim_start();
        let value_place = place.plus(line[..line.len() - value.len()].chars().count());
        let key = Spanned { text: key, place: place.clone() };
        let value = Spanned { text: value.to_owned(), place: value_place };
        match current {
            Current::Missing => self.syntax(place, "a key must stand in a section, and there is none yet"),
            Current::Unknown => {}
            Current::Known(Section::Settings) => self.written.settings.push(Pair { key, value }),
            Current::Known(section) => {
                let pairs = pairs::read(&value, self.findings);
                self.written.entries.push(Entry { section, name: key, pairs });
            }
        }
    }

    fn syntax(&mut self, place: &Place, sentence: &str) {
        let theirs = format!(
            "syntax error in configuration ({}:{}), stopping loading",
            place.file.display(),
            place.line
        );
        self.findings.error_as(place, sentence, theirs);
    }
}

/// PgBouncer's sentence for a section that it does not know.
fn invalid_section(name: &str, place: &Place) -> String {
    format!("invalid section \"{name}\" in configuration ({}:{})", place.file.display(), place.line)
}

/// The name at the start of a line, and where what follows begins. In double quotes a name may contain anything, a
/// quote doubled; `None`: the closing quote is missing.
fn name(line: &str) -> Option<(String, usize)> {
    let Some(quoted) = line.strip_prefix('"') else {
        let end = line.find(|c: char| c == '=' || c.is_ascii_whitespace()).unwrap_or(line.len());
        return Some((line[..end].to_owned(), end));
    };
    let mut name = String::new();
    let mut characters = quoted.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        if character != '"' {
            name.push(character);
        } else if characters.next_if(|(_, next)| *next == '"').is_some() {
            name.push('"');
        } else {
            return Some((name, at + 2));
        }
    }
    None
}
