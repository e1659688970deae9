//! From what was written to what runs: every pair goes through its row of the table, and what is left to check between
//! keys is in `validate.rs`.
//!
//! PgBouncer stops at the first mistake; here all of them are collected. A name that comes twice is the later line's
//! alone, as a key that comes twice has the later value.

use std::collections::BTreeMap;
use std::path::Path;

use crate::cluster::{Cluster, ClusterNode};
use crate::config::Config;
use crate::database::{Database, Peer, User};
use crate::settings::Settings;
use crate::table::{Effect, Key, Keys};
use crate::validate;
use crate::written::{Entry, Findings, Pair, Place, Section, Written};

/// What the validation needs beside the configuration: where the names were written.
#[derive(Debug, Default)]
pub(crate) struct Places {
    pub(crate) settings: BTreeMap<&'static str, Place>,
    pub(crate) databases: BTreeMap<String, EntryPlaces>,
    pub(crate) clusters: BTreeMap<String, EntryPlaces>,
    pub(crate) nodes: BTreeMap<String, EntryPlaces>,
    pub(crate) peers: BTreeMap<u32, EntryPlaces>,
}

/// Where an entry and its values were written.
#[derive(Clone, Debug)]
pub(crate) struct EntryPlaces {
    pub(crate) name: Place,
    pub(crate) values: BTreeMap<&'static str, Place>,
}

impl EntryPlaces {
    /// The place of a key's value, else of the entry's name.
    pub(crate) fn of(&self, key: &str) -> &Place {
        self.values.get(key).unwrap_or(&self.name)
    }
}

/// Builds the configuration on top of `defaults`. What it is worth when there are errors, the caller decides.
pub(crate) fn build(written: &Written, defaults: Settings, path: &Path, findings: &mut Findings) -> Config {
    let mut builder = Builder {
        config: Config { settings: defaults, ..Config::default() },
        places: Places::default(),
        nodes: BTreeMap::new(),
        findings,
    };
    builder.places.settings =
        apply(&mut builder.config.settings, &written.settings, &SETTINGS, builder.findings);
    for entry in &written.entries {
        builder.entry(entry);
    }
    let Builder { mut config, places, nodes, findings } = builder;
    validate::validate(&mut config, &nodes, &places, &Place::file(path), findings);
    config
}

/// How the mistakes of a section are worded.
struct Wording {
    /// What the section's keys are called.
    what: &'static str,
    /// PgBouncer's sentence for an unknown key, up to the key.
    unknown: &'static str,
}

const SETTINGS: Wording = Wording { what: "setting", unknown: "unknown parameter: pgbouncer/" };
const DATABASE: Wording =
    Wording { what: "key of a database", unknown: "unrecognized connection parameter: " };
const USER: Wording = Wording { what: "key of a user", unknown: "unrecognized user parameter: " };
const PEER: Wording = Wording { what: "key of a peer", unknown: "unrecognized connection parameter: " };
const CLUSTER: Wording = Wording { what: "key of a cluster", unknown: "unknown cluster parameter: " };
const NODE: Wording = Wording { what: "key of a node", unknown: "unknown node parameter: " };

struct Builder<'a> {
    config: Config,
    places: Places,
    nodes: BTreeMap<String, ClusterNode>,
    findings: &'a mut Findings,
}

impl Builder<'_> {
    fn entry(&mut self, entry: &Entry) {
        let name = entry.name.text.clone();
        let place = entry.name.place.clone();
        match entry.section {
            // The readers keep settings apart from entries.
            Section::Settings => {}
            Section::Databases => self.database(entry),
            Section::Users => {
                let mut user = User::new(name.clone());
                apply(&mut user, &entry.pairs, &USER, self.findings);
                self.config.users.insert(name, user);
            }
            Section::Peers => self.peer(entry),
            Section::Clusters => {
                let mut cluster = Cluster::new(name.clone());
                let values = apply(&mut cluster, &entry.pairs, &CLUSTER, self.findings);
                self.config.clusters.insert(name.clone(), cluster);
                self.places.clusters.insert(name, EntryPlaces { name: place, values });
            }
            Section::Nodes => {
                let mut node = ClusterNode { name: name.clone(), ..ClusterNode::default() };
                let values = apply(&mut node, &entry.pairs, &NODE, self.findings);
                self.nodes.insert(name.clone(), node);
                self.places.nodes.insert(name, EntryPlaces { name: place, values });
            }
        }
    }

    fn database(&mut self, entry: &Entry) {
        let name = entry.name.text.clone();
        if name == crate::CONSOLE_DATABASE {
            let theirs = format!("database name \"{name}\" is reserved");
            return self.findings.error_as(
                &entry.name.place,
                format!("{name} is the console's name"),
                theirs,
            );
        }
        let mut database = Database::new(name.clone());
        let values = apply(&mut database, &entry.pairs, &DATABASE, self.findings);
        self.places.databases.insert(name.clone(), EntryPlaces { name: entry.name.place.clone(), values });
        if name == "*" {
            self.config.autodb = Some(database);
        } else {
            self.config.databases.insert(name, database);
        }
    }

    fn peer(&mut self, entry: &Entry) {
        let id = entry.name.text.parse::<u32>().ok().filter(|id| (1..=MAX_PEER).contains(id));
        let mut peer = Peer { id: id.unwrap_or_default(), ..Peer::default() };
        let values = apply(&mut peer, &entry.pairs, &PEER, self.findings);
        match id {
            Some(id) => {
                self.config.peers.insert(id, peer);
                self.places.peers.insert(id, EntryPlaces { name: entry.name.place.clone(), values });
            }
            None => {
                let sentence = format!("{} is not the number of a peer, 1 to {MAX_PEER}", entry.name.text);
                self.findings.error(&entry.name.place, sentence);
            }
        }
    }
}

/// Greatest number of a peer: it travels in the cancel keys.
const MAX_PEER: u32 = 16383;

/// Puts the pairs into the struct; returns where each key's value stands.
fn apply<T: Keys>(
    target: &mut T,
    pairs: &[Pair],
    wording: &Wording,
    findings: &mut Findings,
) -> BTreeMap<&'static str, Place> {
    let defaults = target.clone();
    let mut values = BTreeMap::new();
    for pair in pairs {
        let (key, value) = (&pair.key, &pair.value);
        let Some(row) = T::key(&key.text) else {
            let sentence =
                format!("there is no {} called {}{}", wording.what, key.text, suggestion::<T>(&key.text));
            findings.error_as(&key.place, sentence, format!("{}{}", wording.unknown, key.text));
            continue;
        };
        values.insert(row.name, value.place.clone());
        match (row.set)(target, &value.text) {
            Ok(()) if (row.get)(target) != (row.get)(&defaults) => note_effect(row, &key.place, findings),
            Ok(()) => {}
            Err(expected) => {
                let sentence = format!("{}: expected {expected}, and not {:?}", row.name, value.text);
                let place = &value.place;
                let theirs = format!(
                    "invalid value \"{}\" for parameter {} in configuration ({}:{})",
                    value.text,
                    key.text,
                    place.file.display(),
                    place.line
                );
                findings.error_as(place, sentence, theirs);
            }
        }
    }
    values
}

/// Says of a key without effect that it has none. A value that says what happens anyway needs no such note.
fn note_effect<T>(row: &Key<T>, place: &Place, findings: &mut Findings) {
    match row.flags.effect {
        Effect::Full => {}
        Effect::NotYet(note) => findings.note(place, format!("{} has no effect yet: {note}", row.name)),
        Effect::Never(note) => findings.note(place, format!("{} has no effect: {note}", row.name)),
    }
}

/// "; did you mean …?" when a known key is near.
fn suggestion<T: Keys>(name: &str) -> String {
    let near = T::KEYS.iter().map(|key| (distance(name, key.name), key.name)).min();
    match near {
        Some((distance, key)) if distance <= 2 => format!("; did you mean {key}?"),
        _ => String::new(),
    }
}

/// How many letters must be added, dropped or changed to make one name from the other.
fn distance(from: &str, to: &str) -> usize {
    // Keys are short; a name that cannot be near one need not be looked at.
    const LONGEST: usize = 64;
    if from.len() > LONGEST {
        return LONGEST;
    }
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, left) in from.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for (column, right) in to.bytes().enumerate() {
            let changed = diagonal + usize::from(left != right);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}
