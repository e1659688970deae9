//! What must hold between keys: names that refer to something, nodes that are one each, files that exist.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::build::{EntryPlaces, Places};
use crate::cluster::{Cluster, ClusterNode};
use crate::config::Config;
use crate::database::Database;
use crate::diagnostic::Diagnostic;
use crate::keyword::{AuthType, Failover, Target};
use crate::userlist;
use crate::written::{Findings, Place};

/// Checks the configuration, gives the clusters' nodes what `[nodes]` says of them, and reads `auth_file`.
pub(crate) fn validate(
    config: &mut Config,
    nodes: &BTreeMap<String, ClusterNode>,
    places: &Places,
    file: &Place,
    findings: &mut Findings,
) {
    let place = |key: &str| places.settings.get(key).unwrap_or(file);
    settings(config, place, findings);
    auth_file(config, place("auth_file"), findings);
    crate::hba_files::read(config, place, findings);
    describe_nodes(config, nodes, places, findings);
    for (name, cluster) in &config.clusters {
        if let Some(places) = places.clusters.get(name) {
            check_cluster(cluster, places, findings);
        }
    }
    for database in config.databases.values().chain(&config.autodb) {
        if let Some(places) = places.databases.get(&database.name) {
            check_database(config, database, places, findings);
        }
    }
    for peer in config.peers.values().filter(|peer| peer.host.is_empty()) {
        if let Some(places) = places.peers.get(&peer.id) {
            findings.error(&places.name, format!("peer {} needs a host", peer.id));
        }
    }
}

fn settings<'a>(config: &Config, place: impl Fn(&str) -> &'a Place, findings: &mut Findings) {
    let settings = &config.settings;
    if settings.auth_dbname.as_deref() == Some(crate::CONSOLE_DATABASE) {
        let sentence = "cannot use the reserved \"pgbouncer\" database as an auth_dbname";
        findings.error_as(place("auth_dbname"), sentence, sentence.to_owned());
    }
    if settings.listen_addr.is_empty() && settings.unix_socket_dir.is_empty() {
        findings.warning(
            place("unix_socket_dir"),
            "there is no address to listen on: only in-process clients can connect",
        );
    }
    if settings.auth_type == AuthType::Hba && settings.auth_hba_file.is_none() {
        findings.warning(place("auth_type"), "auth_type = hba without an auth_hba_file lets nobody in");
    }
    if let Some(Err(sentence)) = settings.auth_ldap_options.as_deref().map(howdah_hba::Ldap::parse) {
        findings.error(place("auth_ldap_options"), format!("auth_ldap_options: {sentence}"));
    }
    if settings.auth_type == AuthType::Ldap && settings.auth_ldap_options.is_none() {
        findings.error(place("auth_type"), "auth_type = ldap needs auth_ldap_options");
    }
    if let Some(listen) = &settings.http_listen
        && !listen
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
    {
        findings
            .error(place("http_listen"), format!("http_listen: expected address:port, and not {listen:?}"));
    }
}

fn auth_file(config: &mut Config, place: &Place, findings: &mut Findings) {
    let Some(path) = &config.settings.auth_file else { return };
    match crate::ini::read_bytes(path) {
        Ok(bytes) => config.auth_users = userlist::read(path, &bytes, findings),
        Err(error) => {
            let name = path.display();
            let theirs = format!("could not open auth_file {name}: {error}");
            findings.error_as(place, format!("cannot read auth_file {name}: {error}"), theirs);
        }
    }
}

/// Reads the file anew that this setting names, when SET has given it another value; what there is to say of it. Of a
/// user list that cannot be read the users of before stay, as with PgBouncer.
#[must_use]
pub fn reread(config: &mut Config, key: &str) -> Vec<Diagnostic> {
    let mut findings = Findings::default();
    let place = Place { file: Arc::from(Path::new("SET")), line: 1, column: 1 };
    match key {
        "auth_file" => auth_file(config, &place, &mut findings),
        "auth_hba_file" | "auth_ident_file" => {
            (config.hba, config.ident) = Default::default();
            crate::hba_files::read(config, |_| &place, &mut findings);
        }
        _ => {}
    }
    findings.list
}

/// Copies what `[nodes]` says into the nodes of the clusters, by name or by address.
fn describe_nodes(
    config: &mut Config,
    described: &BTreeMap<String, ClusterNode>,
    places: &Places,
    findings: &mut Findings,
) {
    for (name, words) in described {
        let mut found = false;
        let nodes = config.clusters.values_mut().flat_map(|cluster| &mut cluster.nodes);
        for node in nodes.filter(|node| node.name == *name || node.address() == *name) {
            found = true;
            *node = ClusterNode {
                name: std::mem::take(&mut node.name),
                host: std::mem::take(&mut node.host),
                port: node.port,
                ..words.clone()
            };
        }
        if let Some(places) = places.nodes.get(name).filter(|_| !found) {
            findings.error(&places.name, format!("no cluster has a node called {name}"));
        }
    }
}

fn check_cluster(cluster: &Cluster, places: &EntryPlaces, findings: &mut Findings) {
    let name = &cluster.name;
    if !places.values.contains_key("nodes") {
        findings.error(&places.name, format!("cluster {name} needs nodes=host:port,…"));
    }
    if cluster.user.is_none() {
        findings.error(
            &places.name,
            format!("cluster {name} needs user=: Howdah asks the nodes for their role with it"),
        );
    }
    let (mut names, mut addresses) = (BTreeSet::new(), BTreeSet::new());
    for node in &cluster.nodes {
        if !addresses.insert(node.address()) {
            findings
                .error(places.of("nodes"), format!("cluster {name} has the node {} twice", node.address()));
        } else if !names.insert(&node.name) {
            findings.error(places.of("nodes"), format!("cluster {name} has two nodes called {}", node.name));
        }
    }
    for node in &cluster.nodes {
        let upstream = node.cascade_of.as_deref();
        if upstream.is_some_and(|upstream| upstream == node.name || cluster.node(upstream).is_none()) {
            let sentence = format!("node {}: cascade_of must name another node of cluster {name}", node.name);
            findings.error(&places.name, sentence);
        }
    }
    if cluster.failover != Failover::Follow && !cluster.patroni.is_empty() {
        let sentence =
            format!("cluster {name}: patroni needs failover=follow: what Patroni manages Howdah follows");
        findings.error(places.of("patroni"), sentence);
    }
    if cluster.failover == Failover::Manage
        && cluster.primary_lease <= cluster.probe_interval + cluster.probe_timeout
    {
        let sentence = format!(
            "cluster {name}: primary_lease must be longer than probe_interval and probe_timeout together"
        );
        findings.error(places.of("primary_lease"), sentence);
    }
}

fn check_database(config: &Config, database: &Database, places: &EntryPlaces, findings: &mut Findings) {
    let name = &database.name;
    if let Some(cluster) = &database.cluster {
        if !config.clusters.contains_key(cluster) {
            findings.error(
                places.of("cluster"),
                format!("database {name}: there is no cluster called {cluster}"),
            );
        }
        if !database.host.is_empty() {
            findings
                .error(places.of("host"), format!("database {name} has a cluster: host says nothing more"));
        }
        if database.port != Database::default().port {
            findings
                .error(places.of("port"), format!("database {name} has a cluster: port says nothing more"));
        }
    } else {
        check_without_cluster(database, places, findings);
    }
}

/// Routing keys mean nothing for an entry that has no cluster: it would be a silent surprise.
fn check_without_cluster(database: &Database, places: &EntryPlaces, findings: &mut Findings) {
    let routing = [
        ("target", database.target != Target::Auto),
        ("read_routing", database.read_routing.is_some()),
        ("consistency", database.consistency.is_some()),
        ("balance", database.balance.is_some()),
        ("causal_wait", database.causal_wait.is_some()),
        ("max_replica_lag", database.max_replica_lag.is_some()),
        ("reads_without_replica", database.reads_without_replica.is_some()),
        ("unsafe_commits", database.unsafe_commits.is_some()),
    ];
    for (key, _) in routing.iter().filter(|(_, set)| *set) {
        let sentence = format!("database {}: {key} needs a cluster, and there is none", database.name);
        findings.error(places.of(key), sentence);
    }
}
