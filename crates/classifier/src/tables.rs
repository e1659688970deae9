//! What is known of PostgreSQL's built-in names: the text files of `data/`, read once into hash tables.
//! `data/generate.sh` makes the long ones from a server's own catalog; the short ones carry a reason for
//! each group. Next: `walk/` and `survey.rs`, which ask.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use foldhash::fast::FixedState;

use crate::Reason;

/// What is known of a function name in `pg_catalog`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// A function that may run on a replica.
    Safe,
    /// A form of the grammar that looks like a call; only when it is not quoted and not qualified.
    GrammarCall,
    /// A word of the grammar that may stand before a parenthesis and calls nothing.
    GrammarWord,
    /// A function that must run on the primary.
    Refused(Refusal),
}

/// Why a built-in function must run on the primary: the groups of `data/primary.txt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Sequence,
    Writes,
    RunsText,
    Session,
    Sets,
    Lock,
    Instance,
    Role,
    Server,
}

impl Refusal {
    fn named(group: &str) -> Option<Refusal> {
        Some(match group {
            "sequence" => Refusal::Sequence,
            "writes" => Refusal::Writes,
            "runs_text" => Refusal::RunsText,
            "session" => Refusal::Session,
            "sets" => Refusal::Sets,
            "lock" => Refusal::Lock,
            "instance" => Refusal::Instance,
            "role" => Refusal::Role,
            "server" => Refusal::Server,
            _ => return None,
        })
    }

    pub(crate) fn reason(self) -> Reason {
        match self {
            Refusal::Role => Reason::AsksRole,
            Refusal::Server => Reason::ServerState,
            _ => Reason::UnsafeFunction,
        }
    }

    /// Whether the call leaves data behind or may do so: the others are questions.
    pub(crate) fn may_write(self) -> bool {
        !matches!(self, Refusal::Role | Refusal::Server)
    }
}

const FUNCTIONS: &str = include_str!("../data/functions.txt");
const SAFE: &str = include_str!("../data/safe.txt");
const PRIMARY: &str = include_str!("../data/primary.txt");
const GRAMMAR: &str = include_str!("../data/grammar.txt");
const TYPES: &str = include_str!("../data/types.txt");
const OPERATORS: &str = include_str!("../data/operators.txt");
const CATALOGS: &str = include_str!("../data/catalogs.txt");

/// Longest name that PostgreSQL keeps, in bytes; it cuts longer ones, so they are never built-ins here.
const NAME_BYTES: usize = 63;

type Names = HashSet<&'static str, FixedState>;

struct Tables {
    functions: HashMap<&'static str, Known, FixedState>,
    types: Names,
    operators: Names,
    catalogs: Names,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| Tables {
    functions: functions(),
    types: plain(TYPES),
    operators: operators(),
    catalogs: plain(CATALOGS),
});

fn functions() -> HashMap<&'static str, Known, FixedState> {
    let mut known = HashMap::with_hasher(FixedState::default());
    for (group, name) in grouped(GRAMMAR) {
        known.insert(name, if group == "calls" { Known::GrammarCall } else { Known::GrammarWord });
    }
    for (_, name) in grouped(FUNCTIONS).chain(grouped(SAFE)) {
        // A name that is both (`char`, `position`) stays what the grammar makes of it: it is safe either way.
        known.entry(name).or_insert(Known::Safe);
    }
    for (group, name) in grouped(PRIMARY) {
        let refusal = Refusal::named(group).unwrap_or(Refusal::Writes);
        known.insert(name, Known::Refused(refusal));
    }
    known
}

fn plain(text: &'static str) -> Names {
    grouped(text).map(|(_, name)| name).collect()
}

/// The file of operators is read raw: `#` is an operator there.
fn operators() -> Names {
    OPERATORS.lines().collect()
}

/// The names of a data file, each with the word after the last `# ` before it.
fn grouped(text: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut group = "";
    text.lines().filter_map(move |line| match line.strip_prefix('#') {
        Some(comment) => {
            group = comment.trim_start().split(':').next().unwrap_or("");
            None
        }
        None if line.is_empty() => None,
        None => Some((group, line)),
    })
}

/// Reads the tables now rather than at the first query.
pub(crate) fn load() {
    LazyLock::force(&TABLES);
}

/// What is known of the function `name` of `pg_catalog`, given as PostgreSQL folds it (lower case unless quoted).
pub(crate) fn function(name: &str) -> Option<Known> {
    if name.len() > NAME_BYTES {
        return None;
    }
    if let Some(known) = TABLES.functions.get(name) {
        return Some(*known);
    }
    // Families that grow with each release and all read one server's counters or files.
    let server = name.starts_with("pg_stat_get_") || name.starts_with("pg_ls_");
    server.then_some(Known::Refused(Refusal::Server))
}

/// Whether `name` is a type of `pg_catalog`.
pub(crate) fn is_type(name: &str) -> bool {
    TABLES.types.contains(name)
}

/// Whether `symbol` is an operator of `pg_catalog`.
pub(crate) fn is_operator(symbol: &str) -> bool {
    TABLES.operators.contains(symbol)
}

/// Whether `name` is a replicated table of `pg_catalog`, or a view of such only.
pub(crate) fn is_catalog(name: &str) -> bool {
    TABLES.catalogs.contains(name)
}
