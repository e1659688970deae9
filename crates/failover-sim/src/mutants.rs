//! The part of the command that checks mutations. Read next: `howdah_failover_sim::catch`.

use std::io::{Error, Result, Write};

use howdah_failover_sim::catch::{self, Catch};
use howdah_failover_sim::mutation::Mutation;

fn list() -> Result<Vec<(Mutation, Catch)>> {
    catch::read(catch::LIST).map_err(Error::other)
}

/// Checks every entry, and that every mutation has one.
pub(crate) fn check(out: &mut impl Write, only: Option<Mutation>) -> Result<bool> {
    let list = list()?;
    let mut wrong = 0;
    for mutation in Mutation::all().filter(|m| only.is_none_or(|only| only == *m)) {
        let why = match list.iter().find(|(listed, _)| *listed == mutation) {
            None => Some(format!("{mutation} is not listed")),
            Some((_, catch)) => catch::refute(mutation, catch).map_err(Error::other)?,
        };
        if let Some(why) = why {
            wrong += 1;
            writeln!(out, "{why}")?;
        }
    }
    let open = list.iter().filter(|(_, c)| *c == Catch::Open).count();
    writeln!(
        out,
        "{} mutations listed, {open} of them caught by nothing, {wrong} entries wrong",
        list.len()
    )?;
    Ok(wrong == 0)
}

/// Finds what catches the mutations.
pub(crate) fn search(out: &mut impl Write, only: Option<Mutation>) -> Result<bool> {
    for mutation in Mutation::all().filter(|m| only.is_none_or(|only| only == *m)) {
        let catch = catch::search(mutation).map_err(Error::other)?;
        writeln!(out, "{mutation} = {catch}")?;
        out.flush()?;
    }
    Ok(true)
}

/// The list as a table.
pub(crate) fn table(out: &mut impl Write) -> Result<bool> {
    write!(out, "{}", catch::markdown(&list()?))?;
    Ok(true)
}
