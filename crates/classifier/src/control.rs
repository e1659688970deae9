//! Transaction control, by the lexer alone: the router depends on it, and sqlparser refuses some of its
//! forms (`DEFERRABLE`, `PREPARE TRANSACTION`). Next: `settings.rs`.

use crate::outcome::Outcome;
use crate::verdict::Effect;
use crate::words::Words;
use crate::{Modes, Reason, Transaction};

/// The outcome of a transaction-control statement that begins with `first` (already taken from `words`);
/// `None` if it is no such statement.
pub(crate) fn control(first: &str, words: &mut Words<'_>) -> Option<Outcome> {
    Some(match first {
        "begin" => {
            words.eat_any(&["work", "transaction"]);
            begin(modes(words))
        }
        "start" if words.eat("transaction") => begin(modes(words)),
        "commit" | "end" => commit(words),
        "rollback" | "abort" => rollback(words),
        "savepoint" => stays(Transaction::Savepoint),
        "release" => stays(Transaction::Release),
        "prepare" if words.eat("transaction") => ends(Transaction::Prepare),
        _ => return None,
    })
}

fn stays(transaction: Transaction) -> Outcome {
    let mut outcome = Outcome::replica(Reason::TransactionControl);
    outcome.effects.transaction = Some(transaction);
    outcome
}

fn ends(transaction: Transaction) -> Outcome {
    let mut outcome = Outcome::write(Reason::Writes);
    outcome.effects.transaction = Some(transaction);
    outcome
}

fn begin(modes: Modes) -> Outcome {
    let mut outcome = match modes {
        Modes { serializable: Some(true), .. } => Outcome::primary(Reason::Serializable),
        Modes { read_only: Some(true), .. } => Outcome::replica(Reason::ReadOnlyTransaction),
        _ => Outcome::primary(Reason::BeginsTransaction),
    };
    outcome.effects.transaction = Some(Transaction::Begin(modes));
    outcome
}

/// `SET TRANSACTION …`: the modes belong to the transaction, which is where it is.
pub(crate) fn set_transaction(modes: Modes) -> Outcome {
    let mut outcome = match modes {
        Modes { serializable: Some(true), .. } => Outcome::primary(Reason::Serializable),
        Modes { read_only: Some(true), .. } => Outcome::replica(Reason::TransactionControl),
        _ => Outcome::primary(Reason::SessionState),
    };
    outcome.effects.transaction = Some(Transaction::Set(modes));
    outcome
}

/// `[[ISOLATION LEVEL x | READ WRITE | READ ONLY | [NOT] DEFERRABLE] [,]]…`; the last of a kind wins, as in
/// the server, which sets them one after the other.
pub(crate) fn modes(words: &mut Words<'_>) -> Modes {
    let mut modes = Modes::default();
    while !words.is_done() {
        if words.eat("read") {
            // `READ COMMITTED` stands behind LEVEL only.
            modes.read_only = Some(words.eat("only"));
        } else if words.eat_all(&["isolation", "level"]) {
            modes.serializable = Some(level(words));
        } else if words.eat("not") {
            words.eat("deferrable");
            modes.deferrable = Some(false);
        } else if words.eat("deferrable") {
            modes.deferrable = Some(true);
        } else {
            words.token();
        }
    }
    modes
}

/// The name of an isolation level; true for SERIALIZABLE.
fn level(words: &mut Words<'_>) -> bool {
    let serializable = words.eat("serializable");
    if !serializable && words.eat_any(&["repeatable", "read"]) {
        words.eat_any(&["read", "committed", "uncommitted"]);
    }
    serializable
}

/// `[WORK | TRANSACTION] [AND [NO] CHAIN]`, or `PREPARED 'id'`, which commits somebody's transaction.
fn commit(words: &mut Words<'_>) -> Outcome {
    if words.eat("prepared") {
        return Outcome::write(Reason::Writes);
    }
    let chain = chain(words);
    stays(Transaction::Commit { chain }).with(Effect::Writes)
}

fn rollback(words: &mut Words<'_>) -> Outcome {
    if words.eat("prepared") {
        return Outcome::write(Reason::Writes);
    }
    words.eat_any(&["work", "transaction"]);
    if words.eat("to") {
        return stays(Transaction::RollbackTo);
    }
    stays(Transaction::Rollback { chain: chain(words) })
}

fn chain(words: &mut Words<'_>) -> bool {
    words.eat_any(&["work", "transaction"]);
    words.eat_all(&["and", "chain"])
}
