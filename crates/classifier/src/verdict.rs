//! What the classifier answers: where a text may run, why, and what it means for the session.
//! All of it is `Copy` and holds no text, so that a verdict can be kept with a prepared statement.
//! Next: `reason.rs` (the sentences), `classifier.rs` (who makes verdicts).

use crate::Reason;

/// Where a text may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// Every node of every statement is known to be safe on a replica; the primary would do as well.
    Replica,
    /// Anything else: a write, a question that only the primary answers, or something not known.
    Primary,
}

impl Route {
    /// The word used by `howdah classify --jsonl` and `SHOW`.
    pub fn as_str(self) -> &'static str {
        match self {
            Route::Replica => "replica",
            Route::Primary => "primary",
        }
    }
}

/// The answer for one text (one simple-protocol message, or the text of one `Parse`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Where the text may run.
    pub route: Route,
    /// Why, without names; [`crate::explain`] says which name it was.
    pub reason: Reason,
    /// What the text means for the session once it has run without an error.
    pub effects: Effects,
    /// Whether the verdict rests on unqualified function or type names, which prove nothing once the
    /// session has touched its `search_path`. [`crate::Classifier::classify`] has already applied it.
    pub rests_on_names: bool,
}

/// What a text means for the session. Nothing here happens before the server has acknowledged it: the
/// state of the transaction itself comes from `ReadyForQuery`, never from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effects {
    /// The last transaction-control statement of the text.
    pub transaction: Option<Transaction>,
    /// The last statement that throws session state away.
    pub discard: Option<Discard>,
    /// `SET howdah.route = …`.
    pub sets_route: Option<RouteSetting>,
    /// A change of `default_transaction_read_only` (also by `SET SESSION CHARACTERISTICS`).
    pub default_read_only: Option<Switch>,
    bits: u32,
}

/// The yes-or-no effects, one bit each.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Writes = 1,
    MarksSession = 1 << 1,
    AsksRole = 1 << 2,
    SetsParameter = 1 << 3,
    SetsSearchPath = 1 << 4,
    SetsStringSyntax = 1 << 5,
    Listens = 1 << 6,
    Prepares = 1 << 7,
    Executes = 1 << 8,
    ManyStatements = 1 << 9,
    Cursor = 1 << 10,
    Empty = 1 << 11,
    Local = 1 << 12,
    SetsRole = 1 << 13,
    SetsReadAfter = 1 << 14,
    ShowsHowdah = 1 << 15,
    SetsGuarded = 1 << 16,
    ShowsLevel = 1 << 17,
}

impl Effects {
    pub(crate) fn add(&mut self, effect: Effect) {
        self.bits |= effect as u32;
    }

    fn has(self, effect: Effect) -> bool {
        self.bits & effect as u32 != 0
    }

    /// Takes over what a later statement of the same text means.
    pub fn join(&mut self, later: Effects) {
        self.bits |= later.bits;
        self.transaction = later.transaction.or(self.transaction);
        self.discard = later.discard.or(self.discard);
        self.sets_route = later.sets_route.or(self.sets_route);
        self.default_read_only = later.default_read_only.or(self.default_read_only);
    }

    /// The text may have changed something: whatever is not proven a read counts as a write (DESIGN.md
    /// section 6). `COMMIT` counts too. What a *replica* answered never counts: it cannot write.
    pub fn is_write_possible(self) -> bool {
        self.has(Effect::Writes)
    }

    /// The session may now own things that a replica does not see (a temporary table, whatever a `DO`,
    /// `CALL` or unknown function made): its reads go to the primary until `DISCARD ALL` (DESIGN.md section 5).
    pub fn marks_session(self) -> bool {
        self.has(Effect::MarksSession)
    }

    /// The text asks which role the server has (`pg_is_in_recovery()`, `SHOW transaction_read_only`,
    /// `SHOW in_hot_standby`): answer for the entry's target.
    pub fn asks_role(self) -> bool {
        self.has(Effect::AsksRole)
    }

    /// `SET` or `RESET` of any parameter, by whatever form.
    pub fn sets_parameter(self) -> bool {
        self.has(Effect::SetsParameter)
    }

    /// The parameter was set by `SET LOCAL`, until the end of the transaction only.
    pub fn is_local(self) -> bool {
        self.has(Effect::Local)
    }

    /// `search_path` changed (or may have: `SET ROLE`, `RESET ALL`): [`crate::Context::search_path_untouched`]
    /// is false from now on, until `DISCARD ALL` or the session ends.
    pub fn sets_search_path(self) -> bool {
        self.has(Effect::SetsSearchPath)
    }

    /// `standard_conforming_strings` changed; its new value comes as a ParameterStatus.
    pub fn sets_string_syntax(self) -> bool {
        self.has(Effect::SetsStringSyntax)
    }

    /// `SET ROLE` or `SET SESSION AUTHORIZATION`.
    pub fn sets_role(self) -> bool {
        self.has(Effect::SetsRole)
    }

    /// `SET howdah.read_after = '<token>'`; the session reads the token from the text.
    pub fn sets_read_after(self) -> bool {
        self.has(Effect::SetsReadAfter)
    }

    /// `SHOW howdah.…`, which no server knows: Howdah answers it.
    pub fn shows_howdah(self) -> bool {
        self.has(Effect::ShowsHowdah)
    }

    /// `client_min_messages` or `synchronous_commit` may be set: [`crate::assignments`] reads the text.
    pub fn sets_guarded(self) -> bool {
        self.has(Effect::SetsGuarded)
    }

    /// `SHOW client_min_messages`.
    pub fn shows_level(self) -> bool {
        self.has(Effect::ShowsLevel)
    }

    /// `LISTEN` or `UNLISTEN`.
    pub fn listens(self) -> bool {
        self.has(Effect::Listens)
    }

    /// SQL-level `PREPARE` (or `DEALLOCATE` of one name).
    pub fn prepares(self) -> bool {
        self.has(Effect::Prepares)
    }

    /// SQL-level `EXECUTE`.
    pub fn executes(self) -> bool {
        self.has(Effect::Executes)
    }

    /// `DECLARE`, `FETCH`, `MOVE` or `CLOSE`.
    pub fn uses_cursor(self) -> bool {
        self.has(Effect::Cursor)
    }

    /// More than one statement in the text, so `transaction`, `discard` and the like are the last ones.
    pub fn is_many_statements(self) -> bool {
        self.has(Effect::ManyStatements)
    }

    /// No statement at all: white space, comments and semicolons.
    pub fn is_empty_text(self) -> bool {
        self.has(Effect::Empty)
    }
}

/// A transaction-control statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transaction {
    /// `BEGIN` or `START TRANSACTION`.
    Begin(Modes),
    /// `COMMIT` or `END`; `chain` starts the next transaction at once.
    Commit {
        /// `AND CHAIN`.
        chain: bool,
    },
    /// `ROLLBACK` or `ABORT`.
    Rollback {
        /// `AND CHAIN`.
        chain: bool,
    },
    /// `ROLLBACK TO SAVEPOINT`.
    RollbackTo,
    /// `SAVEPOINT`.
    Savepoint,
    /// `RELEASE SAVEPOINT`.
    Release,
    /// `PREPARE TRANSACTION`: ends the block as a commit does.
    Prepare,
    /// `SET TRANSACTION`, or `SET transaction_read_only` and kin.
    Set(Modes),
}

/// The modes that a transaction-control statement names; `None` is "not named".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Modes {
    /// `READ ONLY` (true) or `READ WRITE` (false).
    pub read_only: Option<bool>,
    /// `ISOLATION LEVEL SERIALIZABLE` (true) or another level (false). A standby refuses serializable.
    pub serializable: Option<bool>,
    /// `DEFERRABLE` (true) or `NOT DEFERRABLE` (false).
    pub deferrable: Option<bool>,
}

/// A statement that throws session state away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discard {
    /// `DISCARD ALL`: everything.
    All,
    /// `DISCARD TEMP` or `DISCARD TEMPORARY`: temporary tables.
    Temp,
    /// `DISCARD PLANS` or `DISCARD SEQUENCES`.
    Other,
    /// `DEALLOCATE ALL`: prepared statements.
    Prepared,
    /// `RESET ALL`: parameters.
    Parameters,
}

/// The value given to `howdah.route`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteSetting {
    /// Everything goes to the primary.
    Primary,
    /// Everything goes to a replica.
    Replica,
    /// By classification; also after `RESET`.
    Auto,
    /// Not a value that Howdah knows: the client is owed an error.
    Unknown,
}

/// The value given to a boolean parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
    /// Back to what it was at the start of the session.
    Default,
    /// A value that this crate cannot read.
    Unknown,
}
