//! `howdah doctor`: every node is asked once, and everything that `manage` demands is said, whether it is there or not
//! (FAILOVER_PROTOCOL.md §1). The checks are those of the running controller. Read next: `checks.rs`.

use std::collections::HashMap;
use std::sync::Arc;

use howdah_failover::{ProbeFailure, Sample, UNNAMED, misnamed};
use howdah_topology::{Mode, NodeId};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::ask::{self, Line};
use crate::checks::{self, Finding, Verdict};
use crate::config::ControllerConfig;
use crate::link::NodeLink;
use crate::names;

/// Reports of the sessions of an examination are not looked at.
const REPORTS: usize = 16;

/// What was found of one node, or, under the cluster's name, of all of them together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// The node's or the cluster's name.
    pub subject: String,
    /// Each check.
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    /// Whether `manage` is refused for one of these.
    #[must_use]
    pub fn lacks(&self) -> bool {
        self.findings.iter().any(|f| f.verdict == Verdict::Lack)
    }
}

/// A node that was asked.
struct Patient {
    link: Arc<NodeLink>,
    answer: Result<(Line, Sample), String>,
}

/// Asks every node of a cluster. Where Howdah does not promote, only whether the nodes answer is looked at.
pub async fn examine(mut config: ControllerConfig) -> Vec<Diagnosis> {
    let (reports, _unread) = mpsc::channel(REPORTS);
    names::learn(&mut config, &reports).await;
    let mut patients = Vec::new();
    for (node, id) in config.nodes.iter().zip(0..) {
        match NodeLink::new(&config, NodeId(id), node.clone(), reports.clone()) {
            Ok((link, _orders)) => {
                let answer = first_answer(&link).await;
                patients.push(Patient { link: Arc::new(link), answer });
            }
            Err(error) => {
                let finding = Finding::new("sessions", Verdict::Lack, error.to_string());
                return vec![Diagnosis { subject: node.name.clone(), findings: vec![finding] }];
            }
        }
    }
    let all: Vec<Arc<NodeLink>> = patients.iter().map(|p| Arc::clone(&p.link)).collect();
    let mut diagnoses = vec![whole(&config, &patients)];
    let twice = names_used_twice(&patients);
    for patient in &mut patients {
        let mut findings = vec![reachable(patient)];
        if config.mode == Mode::Manage {
            findings.extend(application_name(patient, &twice));
            findings.extend(demands(patient, &all).await);
        }
        diagnoses.push(Diagnosis { subject: patient.link.config.name.clone(), findings });
    }
    diagnoses
}

async fn first_answer(link: &NodeLink) -> Result<(Line, Sample), String> {
    let opened = link.target.open().await.map_err(|failure| sentence_of(failure).to_owned())?;
    let mut line = Line::new(opened);
    match ask::sample(&mut line, link, None, Instant::now() + link.target.limit()).await {
        Ok((_, sample)) => Ok((line, sample)),
        Err(ask::AskError::Refused(why)) => Err(format!("the server refuses what is asked: {why}")),
        Err(error) => Err(sentence_of(error.into()).to_owned()),
    }
}

fn sentence_of(failure: ProbeFailure) -> &'static str {
    match failure {
        ProbeFailure::Refused => "nobody listens there",
        ProbeFailure::Eof => "the connection was ended without a word",
        ProbeFailure::Silent => "there was no answer within probe_timeout",
        ProbeFailure::StartingOrStopping => {
            "the server takes no connections: it starts or stops, or is a standby with hot_standby off"
        }
        ProbeFailure::Rejected => {
            "the server does not let Howdah in: look at user and password of the cluster, and at pg_hba.conf"
        }
    }
}

fn reachable(patient: &Patient) -> Finding {
    let at = format!("{}:{}", patient.link.config.host, patient.link.config.port);
    match &patient.answer {
        Ok((_, sample)) => {
            let role = if sample.in_recovery { "a standby" } else { "a primary" };
            Finding::new(
                "answers",
                Verdict::Good,
                format!("{at} answers: {role} on timeline {}", sample.timeline),
            )
        }
        Err(why) => Finding::new("answers", Verdict::Lack, format!("{at}: {why}")),
    }
}

/// Names under which more than one standby streams.
fn names_used_twice(patients: &[Patient]) -> Vec<String> {
    let mut times: HashMap<&str, usize> = HashMap::new();
    for name in patients.iter().filter_map(streams_as) {
        *times.entry(name).or_default() += 1;
    }
    times.into_iter().filter(|(_, times)| *times > 1).map(|(name, _)| name.to_owned()).collect()
}

fn streams_as(patient: &Patient) -> Option<&str> {
    let (_, sample) = patient.answer.as_ref().ok()?;
    sample.streams_as.as_deref().filter(|_| sample.in_recovery)
}

fn application_name(patient: &Patient, twice: &[String]) -> Option<Finding> {
    let check = "application_name";
    let name = streams_as(patient)?;
    let config = &patient.link.config;
    let shared = twice.iter().any(|t| t == name) && name != UNNAMED;
    let wrong = match shared {
        true => Some(format!("another node streams under the application_name {name} too")),
        false => misnamed(name, config.application_name.as_deref().unwrap_or(&config.name)),
    };
    Some(match wrong {
        Some(lack) => Finding::new(check, Verdict::Lack, lack),
        None => Finding::new(check, Verdict::Good, format!("it streams as {name}, and nobody else does")),
    })
}

async fn demands(patient: &mut Patient, all: &[Arc<NodeLink>]) -> Vec<Finding> {
    let Ok((line, _)) = &mut patient.answer else { return Vec::new() };
    let version = patient.link.memory().version;
    let peers = checks::peers_of(&patient.link, all);
    let deadline = Instant::now() + patient.link.target.limit();
    match checks::ask(line, (version, &peers), deadline).await {
        Ok(facts) => checks::judge(&facts, &peers),
        Err(error) => {
            let why = format!("what manage demands could not be looked at: {error:?}");
            vec![Finding::new("demands", Verdict::Lack, why)]
        }
    }
}

/// What concerns all nodes together.
fn whole(config: &ControllerConfig, patients: &[Patient]) -> Diagnosis {
    let samples = || patients.iter().filter_map(|p| Some((&p.link.config.name, &p.answer.as_ref().ok()?.1)));
    let primaries: Vec<_> = samples().filter(|(_, s)| !s.in_recovery).collect();
    let mut findings = Vec::new();
    match primaries.as_slice() {
        [] => findings.push(Finding::new("primary", Verdict::Lack, "no node that answers is a primary")),
        [(name, sample)] => {
            findings.push(Finding::new("primary", Verdict::Good, format!("{name} is the primary")));
            if config.mode == Mode::Manage {
                findings.push(protection(config, sample));
            }
        }
        several => {
            let names: Vec<&str> = several.iter().map(|(name, _)| name.as_str()).collect();
            let why = format!("{} are out of recovery at once", names.join(", "));
            findings.push(Finding::new("primary", Verdict::Warning, why));
        }
    }
    let system = |s: &Sample| s.system_id;
    let first = samples().next().map(|(_, s)| system(s));
    if let Some((name, _)) = samples().find(|(_, s)| Some(system(s)) != first) {
        let why =
            format!("{name} is of another cluster than the first node: their system identifiers differ");
        findings.push(Finding::new("system identifier", Verdict::Lack, why));
    }
    Diagnosis { subject: config.cluster.clone(), findings }
}

/// What may be lost when the primary dies.
fn protection(config: &ControllerConfig, primary: &Sample) -> Finding {
    let check = "synchronous_standby_names";
    if !primary.sync_names.is_async() {
        let why = format!("commits wait for {}", primary.sync_names);
        return Finding::new(check, Verdict::Good, why);
    }
    let lost = config.max_lost_bytes;
    let voters = config.nodes.iter().filter(|n| !n.cascade).count();
    let why = match voters {
        2 => "commits wait for nobody, and of two nodes no majority is left when one dies: Howdah will not promote by \
              itself"
            .to_owned(),
        _ => format!("commits wait for nobody: a failover may lose up to {lost} bytes of WAL (max_lost_bytes)"),
    };
    Finding::new(check, Verdict::Warning, why)
}
