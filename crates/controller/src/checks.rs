//! What `manage` demands of a node, looked at by SQL (FAILOVER_PROTOCOL.md §1): at the start, from time to time, and by
//! `howdah doctor`. What is certain to be missing is a lack, for which `manage` is refused; the rest is a warning.
//!
//! Under which names the standbys stream is the machine's to judge (`howdah_failover::demands`). Read next: `hba.rs`.

use std::sync::Arc;
use std::time::Duration;

use howdah_failover::Checks;
use tokio::time::Instant;
use tokio_postgres::SimpleQueryRow;

use crate::ask::{Ask, AskError};
use crate::hba::{self, Admission};
use crate::link::NodeLink;
use crate::sample::Fields;
use crate::setup_sql::{
    ALTERED_PARAMETERS, CUSTOM_PARAMETERS, FUNCTIONS, GRANT_ON_PARAMETER, HBA_RULES, NO_ALTER_SYSTEM,
};

/// A node that has everything is looked at again after so long.
const CALM: Duration = Duration::from_secs(60);

/// A node that lacks something is looked at again after so long.
const EAGER: Duration = Duration::from_secs(2);

/// Nodes that do not answer are waited for so long before the others are looked at without knowing their roles.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a finding means for `manage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// To be known, and no obstacle.
    Warning,
    /// `manage` is refused.
    Lack,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, in a few words.
    pub check: String,
    /// What it means.
    pub verdict: Verdict,
    /// One sentence.
    pub sentence: String,
}

impl Finding {
    pub(crate) fn new(check: &str, verdict: Verdict, sentence: impl Into<String>) -> Self {
        Self { check: check.to_owned(), verdict, sentence: sentence.into() }
    }

    fn lack_if(check: &str, lacks: bool, lack: impl Into<String>, good: &str) -> Self {
        match lacks {
            true => Self::new(check, Verdict::Lack, lack),
            false => Self::new(check, Verdict::Good, good),
        }
    }
}

/// Another node that may have to stream from the one that is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) host: String,
    /// The role in its `primary_conninfo`, where it has one.
    pub(crate) user: Option<String>,
}

/// What one node says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) major: u32,
    pub(crate) hot_standby: bool,
    pub(crate) alter_system_off: bool,
    pub(crate) rewindable: bool,
    pub(crate) superuser: bool,
    pub(crate) role: String,
    pub(crate) monitors: bool,
    pub(crate) signals: bool,
    pub(crate) wal_senders: u32,
    pub(crate) missing_functions: Vec<String>,
    pub(crate) missing_parameters: Vec<String>,
    pub(crate) on_command_line: Vec<String>,
    /// `None`: they may not be read.
    pub(crate) hba: Option<Vec<hba::Line>>,
    /// Roles that may replicate, of those that the peers use.
    pub(crate) replicators: Vec<String>,
}

/// Asks a node.
pub(crate) async fn ask<A: Ask>(
    on: &mut A,
    (version, peers): (u32, &[Peer]),
    deadline: Instant,
) -> Result<Facts, AskError> {
    let major = version / 10_000;
    let sets = on.ask(&facts_sql(major, peers), deadline).await?;
    let row = sets.first().and_then(|rows| rows.first()).ok_or(AskError::Unanswered)?;
    let mut facts = read(major, &Fields::of(row));
    let readable = sets.get(1).and_then(|rows| rows.first()).is_some_and(|r| Fields::of(r).flag("hba"));
    if readable {
        let sets = on.ask(HBA_SQL, deadline).await?;
        facts.hba = Some(sets.into_iter().next().unwrap_or_default().iter().map(hba_line).collect());
    }
    Ok(facts)
}

/// The lines for replication, in their order; separated by a character that no name has.
const HBA_SQL: &str = "\
SELECT type, array_to_string(user_name, chr(10)) AS users, address, netmask, auth_method
FROM pg_hba_file_rules WHERE error IS NULL AND 'replication' = ANY (database) ORDER BY line_number";

/// Two statements in one flight: the node and its role's rights, and whether the lines of pg_hba.conf may be read.
fn facts_sql(major: u32, peers: &[Peer]) -> String {
    let array = |names: &mut dyn Iterator<Item = &str>| {
        let names: Vec<String> = names.map(|n| format!("'{}'", n.replace('\'', "''"))).collect();
        format!("ARRAY[{}]::text[]", names.join(", "))
    };
    let parameters = || ALTERED_PARAMETERS.iter().chain(&CUSTOM_PARAMETERS).copied();
    let altered = array(&mut ALTERED_PARAMETERS.into_iter());
    let functions = array(&mut FUNCTIONS.into_iter());
    let users = array(&mut peers.iter().filter_map(|p| p.user.as_deref()));
    // The function is not there before 15: there only a superuser may.
    let granted = match major >= GRANT_ON_PARAMETER {
        true => format!(
            "(SELECT string_agg(p, ' ') FROM unnest({}) p WHERE NOT has_parameter_privilege(p, 'ALTER SYSTEM'))",
            array(&mut parameters())
        ),
        false => "NULL".to_owned(),
    };
    format!(
        "SELECT current_user AS role, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser, \
         current_setting('hot_standby') AS hot_standby, current_setting('wal_log_hints') AS hints, \
         current_setting('data_checksums') AS checksums, current_setting('max_wal_senders') AS wal_senders, \
         current_setting('allow_alter_system', true) AS allow_alter_system, \
         pg_has_role('pg_monitor', 'USAGE') AS monitors, pg_has_role('pg_signal_backend', 'USAGE') AS signals, \
         (SELECT string_agg(f, ';') FROM unnest({functions}) f \
          WHERE NOT has_function_privilege('pg_catalog.' || f, 'EXECUTE')) AS functions, \
         {granted} AS parameters, \
         (SELECT string_agg(name, ' ') FROM pg_settings WHERE source = 'command line' AND name = ANY ({altered})) \
           AS on_command_line, \
         (SELECT string_agg(rolname, chr(10)) FROM pg_roles \
          WHERE rolcanlogin AND (rolreplication OR rolsuper) AND rolname = ANY ({users})) AS replicators;\n\
         SELECT has_table_privilege('pg_catalog.pg_hba_file_rules', 'SELECT') \
                AND has_function_privilege('pg_catalog.{HBA_RULES}', 'EXECUTE') AS hba"
    )
}

fn read(major: u32, fields: &Fields<'_>) -> Facts {
    let list = |name: &str, separator: char| -> Vec<String> {
        let text = fields.text(name).unwrap_or_default();
        text.split(separator).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let on = |name: &str| fields.text(name) == Some("on");
    Facts {
        major,
        hot_standby: on("hot_standby"),
        alter_system_off: fields.text("allow_alter_system") == Some("off"),
        rewindable: on("hints") || on("checksums"),
        superuser: fields.flag("superuser"),
        role: fields.text("role").unwrap_or_default().to_owned(),
        monitors: fields.flag("monitors"),
        signals: fields.flag("signals"),
        wal_senders: fields.number("wal_senders").unwrap_or(0),
        missing_functions: list("functions", ';'),
        missing_parameters: list("parameters", ' '),
        on_command_line: list("on_command_line", ' '),
        hba: None,
        replicators: list("replicators", '\n'),
    }
}

fn hba_line(row: &SimpleQueryRow) -> hba::Line {
    let fields = Fields::of(row);
    let text = |name: &str| fields.text(name).unwrap_or_default().to_owned();
    hba::Line {
        kind: text("type"),
        users: text("users").split('\n').map(str::to_owned).collect(),
        address: text("address"),
        netmask: fields.number("netmask"),
        method: text("auth_method"),
    }
}

/// What follows from it, check by check.
pub(crate) fn judge(facts: &Facts, peers: &[Peer]) -> Vec<Finding> {
    let mut findings = vec![
        Finding::lack_if(
            "hot_standby",
            !facts.hot_standby,
            "hot_standby is off: as a standby it could not be asked anything",
            "hot_standby is on",
        ),
        alter_system(facts),
        rights(facts),
        Finding::lack_if(
            "command line",
            !facts.on_command_line.is_empty(),
            format!(
                "{} is given on the server's command line, which ALTER SYSTEM cannot change",
                facts.on_command_line.join(", ")
            ),
            "no setting that Howdah changes is given on the command line",
        ),
        match facts.rewindable {
            true => Finding::new("pg_rewind", Verdict::Good, "pg_rewind can be used on it"),
            false => Finding::new(
                "pg_rewind",
                Verdict::Warning,
                "neither wal_log_hints nor checksums are on: after a failover it must be copied anew, pg_rewind cannot",
            ),
        },
        Finding::lack_if(
            "max_wal_senders",
            facts.wal_senders == 0,
            "max_wal_senders is 0: nobody can stream from it",
            "others can stream from it",
        ),
    ];
    findings.extend(peers.iter().map(|peer| admits(facts, peer)));
    findings
}

fn alter_system(facts: &Facts) -> Finding {
    let check = "ALTER SYSTEM";
    if facts.alter_system_off {
        return Finding::new(check, Verdict::Lack, "allow_alter_system is off");
    }
    if facts.superuser {
        return Finding::new(check, Verdict::Good, format!("{} is a superuser", facts.role));
    }
    if facts.major < GRANT_ON_PARAMETER {
        return Finding::new(
            check,
            Verdict::Lack,
            format!("{} is no superuser: {NO_ALTER_SYSTEM}", facts.role),
        );
    }
    let lack = format!(
        "{} may not ALTER SYSTEM {}; `howdah setup-sql` prints the grants",
        facts.role,
        facts.missing_parameters.join(", ")
    );
    Finding::lack_if(check, !facts.missing_parameters.is_empty(), lack, "every setting used may be altered")
}

/// To reload, promote, resume, read a history, see the others' statistics, and end sessions.
fn rights(facts: &Facts) -> Finding {
    let mut missing = Vec::new();
    if !facts.superuser {
        missing.extend(facts.missing_functions.iter().map(|f| format!("EXECUTE on {f}")));
        missing.extend((!facts.monitors).then(|| "membership in pg_monitor".to_owned()));
        missing.extend((!facts.signals).then(|| "membership in pg_signal_backend".to_owned()));
    }
    let lack = format!("{} lacks {}; `howdah setup-sql` prints the grants", facts.role, missing.join(", "));
    Finding::lack_if("rights", !missing.is_empty(), lack, "reload, promote and signal are allowed")
}

/// Whether a peer could stream from this node.
fn admits(facts: &Facts, peer: &Peer) -> Finding {
    let check = format!("replication of {}", peer.name);
    let new = |verdict, sentence: String| Finding::new(&check, verdict, sentence);
    let who = peer.user.as_deref().unwrap_or("a role for replication");
    if let Some(user) = peer.user.as_ref().filter(|user| !facts.replicators.contains(user)) {
        let sentence = format!("{user}, the role of {}, may not log in for replication here", peer.name);
        return new(Verdict::Lack, sentence);
    }
    let Some(lines) = &facts.hba else {
        let sentence = format!(
            "whether {} may stream from it is not known: pg_hba_file_rules may not be read",
            peer.name
        );
        return new(Verdict::Warning, sentence);
    };
    match hba::admission(lines, peer.user.as_deref(), &peer.host) {
        Admission::Yes => new(Verdict::Good, format!("pg_hba.conf lets {} in", peer.name)),
        Admission::No => new(
            Verdict::Lack,
            format!("no line of pg_hba.conf lets {who} in, so {} could not stream from it", peer.name),
        ),
        Admission::NotFromThere => new(
            Verdict::Warning,
            format!("no line of pg_hba.conf lets {who} in from {}, the address of {}", peer.host, peer.name),
        ),
    }
}

/// Looks again when it is time, and keeps what was found with the node: what it lacks soon, for an operator may be mending
/// it.
pub(crate) async fn refresh<A: Ask>(
    on: &mut A,
    link: &NodeLink,
    all: &[Arc<NodeLink>],
    deadline: Instant,
) -> Result<(), AskError> {
    if !is_due(link, all) {
        return Ok(());
    }
    let version = link.memory().version;
    let peers = peers_of(link, all);
    let checks = match ask(on, (version, &peers), deadline).await {
        Ok(facts) => for_machine(&judge(&facts, &peers)),
        Err(AskError::Refused(why)) => {
            let warnings = vec![format!("what manage demands could not be looked at: {why}")];
            Checks { warnings, ..Checks::default() }
        }
        Err(error) => return Err(error),
    };
    let mut memory = link.memory();
    let before = memory.checks.replace((checks.clone(), Instant::now())).map(|(before, _)| before);
    drop(memory);
    let new = |sentence: &&String| {
        before.as_ref().is_none_or(|b| !b.lacks.contains(sentence) && !b.warnings.contains(sentence))
    };
    for sentence in checks.lacks.iter().chain(&checks.warnings).filter(new) {
        tracing::warn!(node = %link.config.name, "{sentence}");
    }
    Ok(())
}

/// Whether it is time to look: the first time when the others were asked, for their roles must be known, or did not answer
/// for long enough.
fn is_due(link: &NodeLink, all: &[Arc<NodeLink>]) -> bool {
    let checked = link.memory().checks.as_ref().map(|(c, at)| (c.lacks.is_empty(), at.elapsed()));
    match checked {
        Some((true, ago)) => ago >= CALM,
        Some((false, ago)) => ago >= EAGER,
        None => {
            let seen = |other: &Arc<NodeLink>| other.memory().version > 0;
            link.since.elapsed() >= PATIENCE || all.iter().all(seen)
        }
    }
}

/// The nodes that may have to stream from this one; nobody is pointed at a cascading one.
pub(crate) fn peers_of(link: &NodeLink, all: &[Arc<NodeLink>]) -> Vec<Peer> {
    let others = all.iter().filter(|other| other.id != link.id && !link.config.cascade);
    others
        .map(|other| Peer {
            name: other.config.name.clone(),
            host: other.config.host.clone(),
            user: other.memory().replicates_as.clone(),
        })
        .collect()
}

/// What the machine is told of it.
pub(crate) fn for_machine(findings: &[Finding]) -> Checks {
    let of = |verdict: Verdict| {
        findings.iter().filter(|f| f.verdict == verdict).map(|f| f.sentence.clone()).collect()
    };
    Checks { lacks: of(Verdict::Lack), warnings: of(Verdict::Warning) }
}
