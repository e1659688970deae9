//! Parameters and session state, by the lexer alone: `SET`, `RESET`, `SHOW`, `DISCARD`, `DEALLOCATE`.
//! Next: `command.rs`.

use crate::control::{modes, set_transaction};
use crate::guarded::Guarded;
use crate::outcome::Outcome;
use crate::verdict::Effect;
use crate::words::Words;
use crate::{Discard, Modes, Reason, RouteSetting, Switch};

/// Parameters whose value is the same on every node: fixed when the cluster was made or the server built
/// (physical replicas share both), or reported to the client and kept equal on every server connection.
const SAME_EVERYWHERE: &[&str] = &[
    "block_size",
    "client_encoding",
    "data_checksums",
    "datestyle",
    "integer_datetimes",
    "lc_collate",
    "lc_ctype",
    "max_function_args",
    "max_identifier_length",
    "max_index_keys",
    "segment_size",
    "server_encoding",
    "server_version",
    "server_version_num",
    "standard_conforming_strings",
    "timezone",
    "wal_block_size",
    "wal_segment_size",
];

/// The outcome of a statement about session state that begins with `first`, or `None`.
pub(crate) fn settings(first: &str, words: &mut Words<'_>) -> Option<Outcome> {
    Some(match first {
        "set" => set(words),
        "reset" => reset(words),
        "show" => show(words),
        "discard" => discards(discard(words)),
        "deallocate" => {
            words.eat("prepare");
            if words.eat("all") {
                discards(Discard::Prepared).with(Effect::Prepares)
            } else {
                Outcome::primary(Reason::Prepared).with(Effect::Prepares)
            }
        }
        _ => return None,
    })
}

fn state() -> Outcome {
    Outcome::primary(Reason::SessionState)
}

fn discards(what: Discard) -> Outcome {
    let mut outcome = state();
    outcome.effects.discard = Some(what);
    outcome
}

fn discard(words: &mut Words<'_>) -> Discard {
    if words.eat("all") {
        Discard::All
    } else if words.eat_any(&["temp", "temporary"]) {
        Discard::Temp
    } else {
        Discard::Other
    }
}

fn set(words: &mut Words<'_>) -> Outcome {
    let local = words.eat("local");
    if !local && words.eat("session") && words.eat_all(&["characteristics", "as", "transaction"]) {
        return characteristics(modes(words));
    }
    if words.eat("transaction") {
        return set_transaction(modes(words));
    }
    if words.eat("constraints") {
        return state();
    }
    // `SET SESSION SESSION AUTHORIZATION`, of which the first word was taken above.
    words.eat("session");
    if words.eat_any(&["role", "authorization"]) {
        return role().with_if(local, Effect::Local);
    }
    let Some(name) = special(words) else {
        return unknown_parameter();
    };
    let _separator = words.eat("to") || words.eat_symbol(b'=');
    assign(&name, words.value()).with_if(local, Effect::Local)
}

/// The parameter's name, with the forms that the grammar spells otherwise.
fn special(words: &mut Words<'_>) -> Option<String> {
    let name = words.parameter()?;
    Some(match name.as_str() {
        "time" if words.eat("zone") => "timezone".to_owned(),
        "names" => "client_encoding".to_owned(),
        "schema" => "search_path".to_owned(),
        "xml" if words.eat("option") => "xmloption".to_owned(),
        _ => name,
    })
}

/// A role decides what `$user` in the search path means.
fn role() -> Outcome {
    state().with(Effect::SetsParameter).with(Effect::SetsRole).with(Effect::SetsSearchPath)
}

/// A name that could not be read may be any parameter.
fn unknown_parameter() -> Outcome {
    role().with(Effect::SetsStringSyntax).with(Effect::MarksSession)
}

fn characteristics(modes: Modes) -> Outcome {
    let mut outcome = state().with(Effect::SetsParameter);
    outcome.effects.default_read_only = modes.read_only.map(|on| if on { Switch::On } else { Switch::Off });
    outcome.with_if(modes.serializable == Some(true), Effect::MarksSession)
}

/// What setting `name` means; `value` is none when it is not a single plain value.
fn assign(name: &str, value: Option<String>) -> Outcome {
    let value = value.as_deref();
    let mut outcome = match name {
        "transaction_read_only" => {
            let read_only = value.and_then(boolean);
            return set_transaction(Modes { read_only, ..Modes::default() });
        }
        "transaction_isolation" => {
            let serializable = Some(value.is_none_or(|level| level == "serializable"));
            return set_transaction(Modes { serializable, ..Modes::default() });
        }
        "role" | "session_authorization" => role(),
        _ => state().with(Effect::SetsParameter),
    };
    match name {
        "search_path" => outcome.effects.add(Effect::SetsSearchPath),
        "standard_conforming_strings" => outcome.effects.add(Effect::SetsStringSyntax),
        "default_transaction_read_only" => outcome.effects.default_read_only = Some(switch(value)),
        // Every later transaction would be serializable, which a standby refuses.
        "default_transaction_isolation" if value.is_none_or(|level| level == "serializable") => {
            outcome.effects.add(Effect::MarksSession);
        }
        "howdah.route" => outcome.effects.sets_route = Some(route_setting(value)),
        "howdah.read_after" => outcome.effects.add(Effect::SetsReadAfter),
        _ if Guarded::named(name).is_some() => outcome.effects.add(Effect::SetsGuarded),
        _ => {}
    }
    outcome
}

fn route_setting(value: Option<&str>) -> RouteSetting {
    match value {
        Some("primary") => RouteSetting::Primary,
        Some("replica") => RouteSetting::Replica,
        Some("auto" | "default") => RouteSetting::Auto,
        _ => RouteSetting::Unknown,
    }
}

fn switch(value: Option<&str>) -> Switch {
    match value {
        Some("default") => Switch::Default,
        Some(value) => match boolean(value) {
            Some(true) => Switch::On,
            Some(false) => Switch::Off,
            None => Switch::Unknown,
        },
        None => Switch::Unknown,
    }
}

/// PostgreSQL takes any unambiguous beginning of these words (manual, section 20.1).
fn boolean(value: &str) -> Option<bool> {
    let begins = |word: &str| !value.is_empty() && word.starts_with(value);
    if value == "on" || value == "1" || begins("true") || begins("yes") {
        Some(true)
    } else if value == "of" || value == "off" || value == "0" || begins("false") || begins("no") {
        Some(false)
    } else {
        None
    }
}

fn reset(words: &mut Words<'_>) -> Outcome {
    if words.eat("all") {
        let all = discards(Discard::Parameters).with(Effect::SetsParameter).with(Effect::SetsStringSyntax);
        let mut all = all.with(Effect::SetsSearchPath);
        all.effects.default_read_only = Some(Switch::Default);
        all.effects.sets_route = Some(RouteSetting::Auto);
        return all;
    }
    if words.eat_all(&["session", "authorization"]) || words.eat("role") {
        return role();
    }
    match special(words) {
        Some(name) => assign(&name, Some("default".to_owned())),
        None => unknown_parameter(),
    }
}

fn show(words: &mut Words<'_>) -> Outcome {
    if words.eat_all(&["transaction", "isolation"]) || words.eat_all(&["session", "authorization"]) {
        return Outcome::primary(Reason::ServerState);
    }
    let name = special(words).unwrap_or_default();
    match name.as_str() {
        "transaction_read_only" | "in_hot_standby" | "all" => {
            Outcome::primary(Reason::AsksRole).with(Effect::AsksRole).about(name)
        }
        _ if name.starts_with("howdah.") => {
            Outcome::primary(Reason::SessionState).with(Effect::ShowsHowdah).about(name)
        }
        "client_min_messages" => Outcome::primary(Reason::ServerState).with(Effect::ShowsLevel).about(name),
        _ if SAME_EVERYWHERE.contains(&name.as_str()) => Outcome::replica(Reason::SameEverywhere),
        _ => Outcome::primary(Reason::ServerState).about(name),
    }
}
