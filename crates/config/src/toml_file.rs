//! The reader of `howdah.toml`: the keys of `pgbouncer.ini` as TOML.
//!
//! `[settings]` has the keys of `[pgbouncer]`; `[databases.app]`, `[users.bob]`, `[peers.1]`, `[clusters.main]` and
//! `[nodes."10.0.3.200:5432"]` are the lines of those sections. Values become the text that an ini file would have, so
//! both files are checked by the same rows of the tables.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned as At;
use toml::de::{DeString, DeTable, DeValue};

use crate::written::{Entry, Findings, Pair, Place, Section, Spanned, Written};

/// Reads a TOML text.
pub(crate) fn read_text(path: &Path, bytes: &[u8], findings: &mut Findings) -> Written {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned();
            let place = Lines::new(path, &valid).place(valid.len());
            findings.error(&place, "this is not UTF-8 text");
            return Written::default();
        }
    };
    let lines = Lines::new(path, text);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let start = error.span().map_or(0, |span| span.start);
        findings.error(&lines.place(start), format!("not TOML: {}", error.message()));
    }
    let mut reader = Reader { lines, findings, written: Written::default() };
    for (name, value) in table.get_ref() {
        reader.section(name, value);
    }
    // TOML tables come sorted by name; the file's order is what a reader of the findings expects.
    reader.written.settings.sort_by_key(|pair| (pair.key.place.line, pair.key.place.column));
    reader.written.entries.sort_by_key(|entry| (entry.name.place.line, entry.name.place.column));
    reader.written
}

/// Finds line and column of a byte.
struct Lines<'a> {
    file: Arc<Path>,
    text: &'a str,
    /// The byte at which each line starts.
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(path: &Path, text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { file: Arc::from(path), text, starts }
    }

    fn place(&self, byte: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= byte);
        let start = self.starts.get(line.wrapping_sub(1)).copied().unwrap_or(0);
        let column = self.text.get(start..byte).map_or(byte - start, |before| before.chars().count()) + 1;
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Place { file: Arc::clone(&self.file), line: number(line), column: number(column) }
    }
}

type Name<'a> = At<DeString<'a>>;
type Value<'a> = At<DeValue<'a>>;

struct Reader<'a, 'f> {
    lines: Lines<'a>,
    findings: &'f mut Findings,
    written: Written,
}

impl Reader<'_, '_> {
    fn section(&mut self, name: &Name<'_>, value: &Value<'_>) {
        let place = self.place(name.span());
        let Some(section) = Section::of_toml(name.get_ref()) else {
            let known = "[settings], [databases], [users], [peers], [clusters] and [nodes]";
            return self
                .findings
                .error(&place, format!("there is no section [{}]: there are {known}", name.get_ref()));
        };
        let Some(table) = value.get_ref().as_table() else {
            return self.findings.error(&place, format!("{0} must be a table: [{0}]", name.get_ref()));
        };
        if section == Section::Settings {
            self.written.settings = self.pairs(table);
            return;
        }
        for (entry, value) in table {
            self.entry(section, entry, value);
        }
    }

    fn entry(&mut self, section: Section, name: &Name<'_>, value: &Value<'_>) {
        let place = self.place(name.span());
        let Some(table) = value.get_ref().as_table() else {
            return self.findings.error(&place, format!("{} must be a table of keys", name.get_ref()));
        };
        let name = Spanned { text: name.get_ref().to_string(), place };
        let pairs = self.pairs(table);
        self.written.entries.push(Entry { section, name, pairs });
    }

    fn pairs(&mut self, table: &DeTable<'_>) -> Vec<Pair> {
        let mut pairs = Vec::with_capacity(table.len());
        for (key, value) in table {
            let place = self.place(value.span());
            let key = Spanned { text: key.get_ref().to_string(), place: self.place(key.span()) };
            match text(value.get_ref()) {
                Some(text) => pairs.push(Pair { key, value: Spanned { text, place } }),
                None => self.findings.error(
                    &place,
                    format!("{} must be a text, a number, true, false, or an array of those", key.text),
                ),
            }
        }
        pairs.sort_by_key(|pair| (pair.key.place.line, pair.key.place.column));
        pairs
    }

    fn place(&self, span: Range<usize>) -> Place {
        self.lines.place(span.start)
    }
}

/// The value as an ini file would have it; `None` for what no key takes.
fn text(value: &DeValue<'_>) -> Option<String> {
    Some(match value {
        DeValue::String(text) => text.to_string(),
        // A TOML number may have a radix of its own and underscores; the tables read plain decimals.
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok()?.to_string(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(true) => "on".to_owned(),
        DeValue::Boolean(false) => "off".to_owned(),
        DeValue::Array(items) => {
            let items = items.iter().map(|item| text(item.get_ref()).filter(|_| !item.get_ref().is_array()));
            items.collect::<Option<Vec<_>>>()?.join(",")
        }
        DeValue::Datetime(_) | DeValue::Table(_) => return None,
    })
}
