//! The part of the command that checks mutations. Read next: `howdah_failover_sim::catch`.

use std::io::{Error, Result, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use howdah_failover_sim::catch::{self, Catch};
use howdah_failover_sim::mutation::Mutation;

fn list() -> Result<Vec<(Mutation, Catch)>> {
    catch::read(catch::LIST).map_err(Error::other)
}

/// Checks every entry, and that every mutation has one.
pub(crate) fn check(out: &mut impl Write, only: Option<Mutation>) -> Result<bool> {
    let list = list()?;
    let all: Vec<Mutation> = Mutation::all().filter(|m| only.is_none_or(|only| only == *m)).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut wrong = Vec::new();
        while let Some(mutation) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            wrong.extend(refutation(&list, *mutation));
        }
        wrong
    };
    let workers = thread::available_parallelism().map_or(1, |n| n.get());
    let wrong: Vec<String> = thread::scope(|scope| {
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let done = running.into_iter().map(|w| w.join());
        done.flat_map(|w| w.unwrap_or_else(|_| vec!["a check has panicked".to_owned()])).collect()
    });
    for why in &wrong {
        writeln!(out, "{why}")?;
    }
    let wrong = wrong.len();
    let open = list.iter().filter(|(_, c)| *c == Catch::Open).count();
    writeln!(
        out,
        "{} mutations listed, {open} of them caught by nothing, {wrong} entries wrong",
        list.len()
    )?;
    Ok(wrong == 0)
}

/// Why the list is not true of a mutation; `None`: it is.
fn refutation(list: &[(Mutation, Catch)], mutation: Mutation) -> Option<String> {
    match list.iter().find(|(listed, _)| *listed == mutation) {
        None => Some(format!("{mutation} is not listed")),
        Some((_, catch)) => catch::refute(mutation, catch).unwrap_or_else(|wrong| Some(wrong.to_string())),
    }
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
