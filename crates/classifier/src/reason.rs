//! Why a text goes where it goes: one variant for each rule, one half sentence for each variant.
//! Next: `explain.rs`, which adds the name that was found, and where.

/// The rule that decided. `as_str` gives the half sentence behind "because".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A read in which every node is known.
    Read,
    /// Nothing to run.
    Empty,
    /// `BEGIN READ ONLY`.
    ReadOnlyTransaction,
    /// `COMMIT`, `ROLLBACK`, `SAVEPOINT` and kin: they belong where the transaction is.
    TransactionControl,
    /// `SHOW` of a value that is the same on every node.
    SameEverywhere,
    /// `/* howdah:replica */`.
    HintReplica,
    /// `/* howdah:primary */`.
    HintPrimary,
    /// A transaction block that is not read only.
    BeginsTransaction,
    /// SERIALIZABLE, which a standby refuses.
    Serializable,
    /// INSERT, UPDATE, DELETE or MERGE, at the top or inside.
    Writes,
    /// `SELECT … INTO`.
    SelectInto,
    /// `FOR UPDATE` and kin.
    RowLock,
    /// `LOCK TABLE`.
    TableLock,
    /// DDL and maintenance commands.
    Utility,
    /// A statement that this crate does not know.
    UnknownStatement,
    /// A built-in function that writes, locks or touches session state.
    UnsafeFunction,
    /// A function that is not a known built-in.
    UnknownFunction,
    /// An answer that differs from server to server.
    ServerState,
    /// Asks for the server's role.
    AsksRole,
    /// Reads the row of a sequence.
    SequenceRow,
    /// Temporary objects live on one server.
    TemporaryObject,
    /// A custom operator or a type that is not known.
    UnknownName,
    /// A node of the syntax tree without a rule.
    UnknownNode,
    /// `SET`, `RESET`, `DISCARD`: session state.
    SessionState,
    /// `LISTEN`, `UNLISTEN`, `NOTIFY`.
    Notification,
    /// Cursors.
    Cursor,
    /// SQL-level prepared statements.
    Prepared,
    /// `DO`, `CALL`.
    Procedure,
    /// COPY that writes, or touches the server's files or programs.
    CopyWrites,
    /// The text does not parse.
    NotParsed,
    /// The text is longer than the limit.
    TooLong,
    /// The text is not UTF-8, or the client's encoding is not.
    Encoding,
    /// `standard_conforming_strings` is off.
    StringSyntax,
    /// The session changed its `search_path`, so names prove nothing.
    SearchPath,
    /// The two readers of this crate (lexer and syntax tree) disagree.
    ReadersDisagree,
    /// A replica refused this very text before.
    RefusedBefore,
}

impl Reason {
    /// The half sentence behind "because".
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Read => "it only reads and everything in it is known",
            Reason::Empty => "there is nothing to run",
            Reason::ReadOnlyTransaction => "it begins a read-only transaction",
            Reason::TransactionControl => "it only controls a transaction, which stays where it is",
            Reason::SameEverywhere => "the value is the same on every node",
            Reason::HintReplica => "a comment says howdah:replica",
            Reason::HintPrimary => "a comment says howdah:primary",
            Reason::BeginsTransaction => "it begins a transaction that may write",
            Reason::Serializable => "a standby refuses serializable transactions",
            Reason::Writes => "it writes",
            Reason::SelectInto => "SELECT INTO makes a table",
            Reason::RowLock => "it locks rows",
            Reason::TableLock => "it locks a table",
            Reason::Utility => "it is a command that changes the database or the server",
            Reason::UnknownStatement => "this kind of statement is not known to be safe",
            Reason::UnsafeFunction => "it calls a function that writes, locks or keeps session state",
            Reason::UnknownFunction => "it calls a function that is not a known built-in",
            Reason::ServerState => "the answer belongs to one server",
            Reason::AsksRole => "it asks for the server's role",
            Reason::SequenceRow => "it may read the row of a sequence, which runs ahead on a standby",
            Reason::TemporaryObject => "temporary objects live on one server",
            Reason::UnknownName => "it uses a type or an operator that is not a known built-in",
            Reason::UnknownNode => "it contains something that has no rule",
            Reason::SessionState => "it changes the session's state",
            Reason::Notification => "notifications are the primary's",
            Reason::Cursor => "a cursor lives on one server",
            Reason::Prepared => "it uses a statement prepared in SQL",
            Reason::Procedure => "what DO or CALL runs is not known",
            Reason::CopyWrites => "this COPY writes, or uses the server's files or programs",
            Reason::NotParsed => "it was not understood",
            Reason::TooLong => "it is longer than the classifier reads",
            Reason::Encoding => "it is not UTF-8",
            Reason::StringSyntax => "standard_conforming_strings is off",
            Reason::SearchPath => "the session changed its search_path, so names prove nothing",
            Reason::ReadersDisagree => "its syntax is ambiguous",
            Reason::RefusedBefore => "a replica refused it before",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
