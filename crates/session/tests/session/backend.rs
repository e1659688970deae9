//! A model of a PostgreSQL server for the protocol alone: what it answers to which message in which state, as the
//! manual's chapter 55 has it and PostgreSQL 15 does it. Texts mean only what their words say here:
//!
//! | text | what it does |
//! |---|---|
//! | `select …` | one row with the text and the bound value's length |
//! | `select rows N SIZE` | N rows of SIZE bytes |
//! | `show NAME` | one row with a parameter |
//! | `… from missing` | 42P01 at Parse |
//! | `… from fresh` | the same, on a replica only: not replayed yet |
//! | `… from conflict` / `… from canceled` | 40001 / 57014 before the first row, on a replica only |
//! | `… from late` | a row, then 40001, on a replica only |
//! | `… from noisy` | three notices first |
//! | `… from flooded` | thousands of them, then 40001 on a replica |
//! | `select fail` | 22012 at Execute |
//! | `bad …` | 42601 at Parse |
//! | `DO …` | the SQLSTATE that it names |
//! | `call quiet` | raises `client_min_messages` to `error` |
//! | `insert …`, `create …`, `… from writing_view` | a write: 25006 on a replica |
//! | `insert alone` | committed, with the warning of an interrupted wait for synchronous replication |
//! | `copy … from stdin`, `copy … to stdout` | COPY; of table `picky`, it fails at the first row; of `a_view`, before it reads anything |
//! | `begin`, `commit`, `rollback`, `… and chain`, `set`, `discard all`, `deallocate all` | as in PostgreSQL |
//!
//! Next: `world.rs`.

use std::collections::{BTreeMap, HashMap};

use howdah_protocol::read::{self, TargetKind, TransactionStatus};
use howdah_protocol::write::{self, Column, Report};

use crate::wire::frames;

/// A SQLSTATE.
type Failed = &'static str;

#[derive(Debug)]
struct CopyIn {
    rows: usize,
    picky: bool,
    extended: bool,
    /// Statements of the simple query behind the COPY.
    then: Vec<String>,
}

#[derive(Debug, Clone)]
struct Portal {
    text: String,
    value: usize,
}

/// One server process.
#[derive(Debug)]
pub(crate) struct Backend {
    input: Vec<u8>,
    /// Answers that the server has not sent yet: it waits for Sync, Flush or an error.
    pending: Vec<u8>,
    /// What it has sent.
    pub(crate) output: Vec<u8>,
    pub(crate) status: TransactionStatus,
    skipping: bool,
    copy: Option<CopyIn>,
    statements: HashMap<Vec<u8>, String>,
    portals: HashMap<Vec<u8>, Portal>,
    params: BTreeMap<String, String>,
    /// The parameters at the beginning of the transaction.
    saved: Option<BTreeMap<String, String>>,
    /// What SET LOCAL has hidden.
    hidden: BTreeMap<String, String>,
    login_level: String,
    reported: BTreeMap<String, String>,
    pub(crate) is_replica: bool,
    /// It has said that it ends, and nothing comes any more.
    pub(crate) gone: bool,
    /// What is committed next is on no standby.
    alone: bool,
    /// Texts that ran, and `parse NAME`, `close NAME` of messages.
    pub(crate) log: Vec<String>,
    /// Writes that are not committed yet, and those that are.
    writes: Vec<String>,
    /// The number of the transaction, and those that have committed.
    xid: u64,
    committed_xids: Vec<u64>,
    pub(crate) committed: Vec<String>,
    /// The greatest number of named statements at a time.
    pub(crate) most_statements: usize,
}

const DEFAULTS: [(&str, &str); 6] = [
    ("application_name", ""),
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO, MDY"),
    ("IntervalStyle", "postgres"),
    ("standard_conforming_strings", "on"),
    ("TimeZone", "UTC"),
];

const UNREPORTED: [(&str, &str); 2] = [("client_min_messages", "notice"), ("synchronous_commit", "on")];

/// The parameters that a server reports at login.
pub(crate) fn reported() -> impl Iterator<Item = (&'static [u8], &'static [u8])> {
    DEFAULTS.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()))
}

fn defaults() -> BTreeMap<String, String> {
    let all = DEFAULTS.iter().chain(&UNREPORTED);
    all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn ends_transaction(text: &str) -> bool {
    text.starts_with("commit") || text.starts_with("rollback")
}

impl Backend {
    pub(crate) fn new(is_replica: bool) -> Self {
        Self {
            input: Vec::new(),
            pending: Vec::new(),
            output: Vec::new(),
            status: TransactionStatus::Idle,
            skipping: false,
            copy: None,
            statements: HashMap::new(),
            portals: HashMap::new(),
            params: defaults(),
            saved: None,
            hidden: BTreeMap::new(),
            login_level: "notice".to_owned(),
            reported: defaults(),
            is_replica,
            gone: false,
            alone: false,
            log: Vec::new(),
            writes: Vec::new(),
            xid: 731,
            committed_xids: Vec::new(),
            committed: Vec::new(),
            most_statements: 0,
        }
    }

    /// Sessions begin with this level.
    pub(crate) fn at_level(mut self, level: &str) -> Self {
        self.login_level = level.to_owned();
        self.params = self.defaults();
        self
    }

    fn defaults(&self) -> BTreeMap<String, String> {
        let mut params = defaults();
        params.insert("client_min_messages".to_owned(), self.login_level.clone());
        params
    }

    /// The value of a parameter.
    pub(crate) fn param(&self, name: &str) -> &str {
        &self.params[name]
    }

    /// Whether the transaction of this number has committed.
    pub(crate) fn has_committed(&self, xid: u64) -> bool {
        self.committed_xids.contains(&xid)
    }

    fn commit(&mut self) {
        if !self.writes.is_empty() {
            self.committed_xids.push(self.xid);
            self.xid += 1;
        }
        self.committed.append(&mut self.writes);
    }

    fn says(&self, level: &str) -> bool {
        let order = ["debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error"];
        let rank = |word: &str| order.iter().position(|known| *known == word).unwrap();
        rank(level) >= rank(self.param("client_min_messages"))
    }

    /// Whether a client that lets go of it now leaves nothing behind.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.input.is_empty()
            && self.pending.is_empty()
            && self.output.is_empty()
            && self.status == TransactionStatus::Idle
            && !self.skipping
            && self.copy.is_none()
    }

    pub(crate) fn has_statement(&self, name: &str) -> bool {
        self.statements.contains_key(name.as_bytes())
    }

    pub(crate) fn named_statements(&self) -> usize {
        self.statements.keys().filter(|name| !name.is_empty()).count()
    }

    /// Whether it waits for the rest of a message.
    pub(crate) fn has_half_a_frame(&self) -> bool {
        !self.input.is_empty()
    }

    pub(crate) fn is_skipping(&self) -> bool {
        self.skipping
    }

    /// Bytes from the client.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        if self.gone {
            return;
        }
        self.input.extend_from_slice(bytes);
        let input = std::mem::take(&mut self.input);
        let (found, used) = frames(&input);
        for (tag, body) in found {
            self.message(tag, body);
        }
        self.input = input[used..].to_vec();
    }

    /// The server is shut down.
    pub(crate) fn shut_down(&mut self) {
        let words = "terminating connection due to administrator command";
        let report = Report { nonlocalized: true, ..Report::new("FATAL", "57P01", words) };
        write::error_response(&mut self.pending, &report);
        self.flush();
        self.gone = true;
    }

    fn flush(&mut self) {
        self.output.append(&mut self.pending);
    }

    fn message(&mut self, tag: u8, body: &[u8]) {
        if self.copy.is_some() {
            return self.copy_message(tag);
        }
        if self.skipping && tag != b'S' {
            return;
        }
        let done = match tag {
            b'Q' => return self.simple(std::str::from_utf8(&body[..body.len() - 1]).unwrap().to_owned()),
            b'F' => {
                self.pending.extend_from_slice(&[b'V', 0, 0, 0, 8, 255, 255, 255, 255]);
                return self.ready();
            }
            b'S' => {
                self.skipping = false;
                return self.ready();
            }
            b'H' => {
                self.flush();
                Ok(())
            }
            b'P' => self.parse(body),
            b'B' => self.bind(body),
            b'D' => self.describe(body),
            b'E' => self.execute(body),
            b'C' => {
                self.close(body);
                Ok(())
            }
            // "Accept but ignore": the rest of a COPY that failed.
            b'd' | b'c' | b'f' => Ok(()),
            _ => panic!("the server got {}", tag as char),
        };
        if let Err(code) = done {
            self.fail(code);
            self.skipping = true;
        }
    }

    fn fail(&mut self, code: Failed) {
        let report = Report { nonlocalized: true, ..Report::new("ERROR", code, "it failed") };
        write::error_response(&mut self.pending, &report);
        self.flush();
        if self.status == TransactionStatus::InTransaction {
            self.status = TransactionStatus::Failed;
        } else if self.status == TransactionStatus::Idle {
            self.roll_back();
        }
    }

    /// ReadyForQuery, before which changed parameters are reported (PostgreSQL 14 and later).
    fn ready(&mut self) {
        if self.status == TransactionStatus::Idle {
            self.portals.clear();
            self.saved = None;
            self.commit();
            self.warn();
        }
        for (name, value) in &self.params {
            if !UNREPORTED.iter().any(|(unreported, _)| unreported == name)
                && self.reported.get(name) != Some(value)
            {
                write::parameter_status(&mut self.pending, name.as_bytes(), value.as_bytes()).unwrap();
            }
        }
        self.reported.clone_from(&self.params);
        write::ready_for_query(&mut self.pending, self.status);
        self.flush();
    }

    /// What PostgreSQL 15 says when the wait for a synchronous standby is canceled.
    fn warn(&mut self) {
        if std::mem::take(&mut self.alone) && self.says("warning") {
            let fields = b"SWARNING\0VWARNING\0C01000\0Mcanceling wait\0RSyncRepWaitForLSN\0\0";
            self.pending.push(b'N');
            self.pending.extend((fields.len() as u32 + 4).to_be_bytes());
            self.pending.extend(fields);
        }
    }

    fn roll_back(&mut self) {
        self.alone = false;
        self.xid += u64::from(!self.writes.is_empty());
        self.writes.clear();
        if let Some(saved) = self.saved.take() {
            self.params = saved;
        }
    }

    fn simple(&mut self, text: String) {
        let statements: Vec<String> = split(&text);
        if statements.is_empty() {
            write::empty_query_response(&mut self.pending);
            return self.ready();
        }
        self.simple_from(statements);
    }

    fn simple_from(&mut self, mut statements: Vec<String>) {
        while !statements.is_empty() {
            let text = statements.remove(0);
            let done = self.analyze(&text).and_then(|()| {
                if returns_rows(&text) {
                    write::row_description(&mut self.pending, &[Column::text("a")]).unwrap();
                }
                self.run(&text, 0, false)
            });
            if let Err(code) = done {
                self.fail(code);
                return self.ready();
            }
            if let Some(copy) = &mut self.copy {
                copy.then = statements;
                return;
            }
        }
        self.ready();
    }

    /// What parse analysis finds wrong.
    fn analyze(&self, text: &str) -> Result<(), Failed> {
        if text.starts_with("bad") {
            return Err("42601");
        }
        if self.status == TransactionStatus::Failed && !ends_transaction(text) {
            return Err("25P02");
        }
        if text.contains("from missing") || (self.is_replica && text.contains("from fresh")) {
            return Err("42P01");
        }
        Ok(())
    }

    fn parse(&mut self, body: &[u8]) -> Result<(), Failed> {
        let parse = read::parse(body).unwrap();
        let text = std::str::from_utf8(parse.query).unwrap();
        self.analyze(text)?;
        if !parse.name.is_empty() {
            if self.statements.contains_key(parse.name) {
                return Err("42P05");
            }
            self.log.push(format!("parse {}", String::from_utf8_lossy(parse.name)));
        }
        self.statements.insert(parse.name.to_vec(), text.to_owned());
        self.most_statements = self.most_statements.max(self.named_statements());
        write::parse_complete(&mut self.pending);
        Ok(())
    }

    fn bind(&mut self, body: &[u8]) -> Result<(), Failed> {
        let bind = read::bind(body).unwrap();
        let text = self.statements.get(bind.statement).ok_or("26000")?.clone();
        self.analyze(&text)?;
        let value = bind.rest.len();
        self.portals.insert(bind.portal.to_vec(), Portal { text, value });
        write::bind_complete(&mut self.pending);
        Ok(())
    }

    fn describe(&mut self, body: &[u8]) -> Result<(), Failed> {
        let target = read::describe(body).unwrap();
        let text = match target.kind {
            TargetKind::Statement => self.statements.get(target.name).ok_or("26000")?.clone(),
            TargetKind::Portal => self.portals.get(target.name).ok_or("34000")?.text.clone(),
        };
        if self.status == TransactionStatus::Failed && !ends_transaction(&text) {
            return Err("25P02");
        }
        if target.kind == TargetKind::Statement {
            self.pending.extend_from_slice(&[b't', 0, 0, 0, 6, 0, 0]);
        }
        if returns_rows(&text) {
            write::row_description(&mut self.pending, &[Column::text("a")]).unwrap();
        } else {
            write::no_data(&mut self.pending);
        }
        Ok(())
    }

    fn execute(&mut self, body: &[u8]) -> Result<(), Failed> {
        let execute = read::execute(body).unwrap();
        let Portal { text, value } = self.portals.get(execute.portal).ok_or("34000")?.clone();
        if self.status == TransactionStatus::Failed && !ends_transaction(&text) {
            return Err("25P02");
        }
        self.run(&text, value, true)
    }

    fn close(&mut self, body: &[u8]) {
        let target = read::close(body).unwrap();
        match target.kind {
            TargetKind::Statement => {
                self.log.push(format!("close {}", String::from_utf8_lossy(target.name)));
                self.statements.remove(target.name);
            }
            TargetKind::Portal => {
                self.portals.remove(target.name);
            }
        }
        write::close_complete(&mut self.pending);
    }

    fn run(&mut self, text: &str, value: usize, extended: bool) -> Result<(), Failed> {
        self.log.push(text.to_owned());
        if self.is_replica {
            refused_by_replica(text).map_or(Ok(()), Err)?;
        }
        if self.status == TransactionStatus::Idle && self.saved.is_none() {
            self.saved = Some(self.params.clone());
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        match words[0] {
            "select" | "SELECT" | "show" | "/*" => return self.rows(text, value),
            "begin" => self.status = TransactionStatus::InTransaction,
            "commit" | "rollback" => return self.end(text),
            "insert" => {
                self.alone |= text == "insert alone";
                self.writes.push(text.to_owned());
                if !extended && self.status == TransactionStatus::Idle {
                    self.warn();
                }
            }
            "set" | "SET" => self.set(text)?,
            "reset" => {
                let defaults = self.defaults();
                let reset = |(name, value): (&String, &mut String)| {
                    if words[1] == "all" || words[1] == name {
                        value.clone_from(&defaults[name]);
                    }
                };
                self.params.iter_mut().for_each(reset);
            }
            "call" => drop(self.params.insert("client_min_messages".to_owned(), "error".to_owned())),
            "DO" => {
                let named = ["22023", "55P02", "55000", "57P03", "0A000"]
                    .into_iter()
                    .find(|code| text.contains(code));
                return Err(named.unwrap_or("P0001"));
            }
            "copy" if text.contains("a_view") => {
                self.pending.extend_from_slice(&[b'G', 0, 0, 0, 7, 0, 0, 0]);
                self.flush();
                return Err("42809");
            }
            "copy" => {
                self.begin_copy(text, extended);
                return Ok(());
            }
            "discard" => {
                if self.status != TransactionStatus::Idle {
                    return Err("25001");
                }
                self.statements.clear();
                self.params = self.defaults();
                return self.complete("DISCARD ALL");
            }
            "deallocate" => {
                self.statements.retain(|name, _| name.is_empty());
                return self.complete("DEALLOCATE ALL");
            }
            _ => {}
        }
        self.complete(&words[0].to_uppercase())
    }

    fn complete(&mut self, tag: &str) -> Result<(), Failed> {
        write::command_complete(&mut self.pending, tag.as_bytes()).unwrap();
        Ok(())
    }

    fn rows(&mut self, text: &str, value: usize) -> Result<(), Failed> {
        let words: Vec<&str> = text.split_whitespace().collect();
        if text.contains("pg_current_xact_id_if_assigned") {
            let wrote = self.status == TransactionStatus::InTransaction && !self.writes.is_empty();
            let xid = self.xid.to_string();
            write::data_row(&mut self.pending, &[wrote.then_some(xid.as_bytes())]).unwrap();
            return self.complete("SELECT 1");
        }
        if text.contains("from noisy") && self.says("notice") {
            for _ in 0..3 {
                write::notice_response(&mut self.pending, &noise());
            }
        }
        if text.contains("from flooded") {
            for _ in 0..3_000 {
                write::notice_response(&mut self.pending, &noise());
            }
            if self.is_replica {
                return Err("40001");
            }
        }
        if words[1] == "fail" {
            return Err("22012");
        }
        let (count, row) = match words.as_slice() {
            ["select", "rows", count, size, ..] => {
                (count.parse().unwrap(), vec![b'x'; size.parse().unwrap()])
            }
            ["show", name] => (1, self.params.get(*name).cloned().unwrap_or_default().into_bytes()),
            _ => (1, format!("{text}|{value}").into_bytes()),
        };
        for _ in 0..count {
            write::data_row(&mut self.pending, &[Some(&row)]).unwrap();
        }
        if self.is_replica && text.contains("from late") {
            return Err("40001");
        }
        self.complete(&format!("SELECT {count}"))
    }

    fn end(&mut self, text: &str) -> Result<(), Failed> {
        if text.contains("and chain") && self.status == TransactionStatus::Idle {
            return Err("25P01");
        }
        let committed = text.starts_with("commit") && self.status != TransactionStatus::Failed;
        if committed {
            self.warn();
        } else {
            self.roll_back();
        }
        self.saved = None;
        self.params.extend(std::mem::take(&mut self.hidden));
        self.commit();
        self.status = if text.contains("and chain") {
            TransactionStatus::InTransaction
        } else {
            TransactionStatus::Idle
        };
        self.portals.clear();
        self.complete(if committed { "COMMIT" } else { "ROLLBACK" })
    }

    /// `set NAME = 'value'`, `SET NAME='value'`.
    fn set(&mut self, text: &str) -> Result<(), Failed> {
        if text.ends_with("howdah.read_after TO DEFAULT") {
            return Ok(());
        }
        let (local, text) = text[4..].strip_prefix("local ").map_or((false, &text[4..]), |text| (true, text));
        let (name, value) = text.split_once('=').ok_or("42601")?;
        let value = value.trim().trim_start_matches('E').trim_matches('\'').replace("''", "'");
        let name = name.trim();
        if name.contains('.') || name == "search_path" {
            // Not reported.
            return Ok(());
        }
        let known = self.params.keys().find(|known| known.eq_ignore_ascii_case(name)).cloned();
        let name = known.ok_or("42704")?;
        if value == "nonsense" {
            return Err("22023");
        }
        if local {
            self.hidden.insert(name.clone(), self.params[&name].clone());
        }
        let canonical = if name == "DateStyle" && value == "ISO" { "ISO, MDY".to_owned() } else { value };
        self.params.insert(name, canonical);
        Ok(())
    }

    fn begin_copy(&mut self, text: &str, extended: bool) {
        if text.contains("to stdout") {
            self.pending.extend_from_slice(&[b'H', 0, 0, 0, 7, 0, 0, 0]);
            for row in ["a\n", "b\n"] {
                write::copy_data(&mut self.pending, row.as_bytes()).unwrap();
            }
            write::copy_done(&mut self.pending);
            return self.complete("COPY 2").unwrap();
        }
        self.pending.extend_from_slice(&[b'G', 0, 0, 0, 7, 0, 0, 0]);
        self.flush();
        let picky = text.contains("picky");
        self.copy = Some(CopyIn { rows: 0, picky, extended, then: Vec::new() });
    }

    fn copy_message(&mut self, tag: u8) {
        let copy = self.copy.as_mut().unwrap();
        let failed = match tag {
            b'd' if !copy.picky => {
                copy.rows += 1;
                return;
            }
            b'H' | b'S' => return,
            b'c' => return self.end_copy(),
            b'd' => "22P04",
            b'f' => "57014",
            _ => "08P01",
        };
        let copy = self.copy.take().unwrap();
        self.fail(failed);
        if copy.extended {
            self.skipping = true;
        } else {
            self.ready();
        }
    }

    fn end_copy(&mut self) {
        let CopyIn { rows, extended, then, .. } = self.copy.take().unwrap();
        self.complete(&format!("COPY {rows}")).unwrap();
        if !extended {
            self.simple_from(then);
        }
    }
}

fn noise() -> Report<'static> {
    Report { nonlocalized: true, ..Report::new("NOTICE", "00000", "a word") }
}

fn returns_rows(text: &str) -> bool {
    ["select", "SELECT", "show", "/*"].iter().any(|word| text.starts_with(word)) && !text.contains("insert ")
}

fn refused_by_replica(text: &str) -> Option<Failed> {
    let writes = text.starts_with("insert") || text.starts_with("create") || text.contains("*/ insert");
    if writes || text.contains("from writing_view") {
        return Some("25006");
    }
    if text.contains("from conflict") {
        return Some("40001");
    }
    text.contains("from canceled").then_some("57014")
}

/// The statements of a text.
fn split(text: &str) -> Vec<String> {
    if text.starts_with("DO ") {
        return vec![text.to_owned()];
    }
    text.split(';').map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect()
}
