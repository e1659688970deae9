//! What is generated from the tables: docs/settings.md and config/howdah.toml. Tests hold both files against this.

use std::fmt::Write as _;

use crate::cluster::{Cluster, ClusterNode};
use crate::convert::literal;
use crate::database::{Database, Peer, User};
use crate::settings::Settings;
use crate::table::{Effect, Keys};

/// The text of docs/settings.md: every key of every section, and the list of those without effect yet.
#[must_use]
pub fn settings_markdown() -> String {
    let mut text = String::from(HEAD);
    section::<Settings>(&mut text, "`[pgbouncer]` (in howdah.toml: `[settings]`)");
    section::<Database>(&mut text, "`[databases]`");
    section::<User>(&mut text, "`[users]`");
    section::<Peer>(&mut text, "`[peers]`");
    section::<Cluster>(&mut text, "`[clusters]`");
    section::<ClusterNode>(&mut text, "`[nodes]`");
    text.push_str("\n## Read and checked, without effect yet\n\n");
    not_yet::<Settings>(&mut text, "");
    not_yet::<Database>(&mut text, "databases: ");
    not_yet::<User>(&mut text, "users: ");
    not_yet::<Peer>(&mut text, "peers: ");
    not_yet::<Cluster>(&mut text, "clusters: ");
    not_yet::<ClusterNode>(&mut text, "nodes: ");
    text.push_str("\n## Read and checked, without effect for a reason\n\n");
    for row in Settings::KEYS {
        if let Effect::Never(note) = row.flags.effect {
            let _ = writeln!(text, "- `{}`: {note}", row.name);
        }
    }
    text
}

const HEAD: &str = "\
# Settings

<!-- Generated from the tables in crates/config. After a change there: HOWDAH_BLESS=1 cargo nextest run -p howdah-config -->

The same keys in `pgbouncer.ini` and `howdah.toml`. Times are seconds with a fraction allowed; those of clusters and
nodes may have a unit (`250ms`, `30s`, `2min`). A time of 0 means off and a count of 0 no limit, unless the sentence says
otherwise. Files are relative to the working directory. Reload: whether RELOAD, SIGHUP and SET change it.
";

fn section<T: Keys>(text: &mut String, title: &str) {
    let _ = write!(text, "\n## {title}\n");
    let defaults = T::default();
    let mut group = "";
    for row in T::KEYS {
        if row.group != group {
            group = row.group;
            let _ = write!(
                text,
                "\n### {group}\n\n| key | default | reload | what it does |\n|---|---|---|---|\n"
            );
        }
        let default = (row.get)(&defaults).filter(|value| !value.is_empty());
        let default = default.map_or(String::new(), |value| format!("`{value}`"));
        let reload = if row.flags.reloadable { "yes" } else { "no" };
        let alias = row.flags.alias.map_or(String::new(), |alias| format!(" (also `{alias}`)"));
        let effect = match row.flags.effect {
            Effect::Full => "",
            Effect::NotYet(_) => " *No effect yet.*",
            Effect::Never(_) => " *No effect.*",
        };
        let words =
            if row.words.is_empty() { String::new() } else { format!(" One of: {}.", row.words.join(", ")) };
        let doc = row.doc.trim();
        let _ = writeln!(text, "| `{}`{alias} | {default} | {reload} | {doc}{words}{effect} |", row.name);
    }
}

fn not_yet<T: Keys>(text: &mut String, prefix: &str) {
    for row in T::KEYS {
        if let Effect::NotYet(note) = row.flags.effect {
            let _ = writeln!(text, "- {prefix}`{}`: {note}", row.name);
        }
    }
}

/// The text of config/howdah.toml: an example that runs, with every key and its default in a comment.
#[must_use]
pub fn example_toml() -> String {
    let mut text = String::from(EXAMPLE_HEAD);
    let defaults = Settings::toml_default();
    example(&mut text, "settings", &defaults, SETTINGS);
    example(&mut text, "clusters.main", &Cluster::default(), CLUSTER);
    example(&mut text, "nodes.database-slave-2", &ClusterNode::default(), NODE);
    example(&mut text, "databases.app", &Database::default(), DATABASE);
    let _ = write!(
        text,
        "\n# Replicas only.\n[databases.app_ro]\ncluster = \"main\"\ndbname = \"app\"\ntarget = \"replica\"\n"
    );
    example(&mut text, "users.report", &User::default(), USER);
    text
}

const EXAMPLE_HEAD: &str = "\
# Everything that Howdah can be told, with its default in a comment. docs/settings.md has the same in tables,
# config/minimal.toml the few lines that a start needs.
#
# Generated from the tables in crates/config; after a change there: HOWDAH_BLESS=1 cargo nextest run -p howdah-config
";

/// Keys that the example sets, with their TOML literals.
type Active = &'static [(&'static str, &'static str)];

const SETTINGS: Active = &[
    ("listen_addr", "\"*\""),
    ("pool_mode", "\"transaction\""),
    ("max_client_conn", "10000"),
    ("auth_type", "\"scram-sha-256\""),
    ("auth_file", "\"config/userlist.txt\""),
    ("admin_users", "[\"admin\"]"),
    ("http_listen", "\"127.0.0.1:9187\""),
];
const CLUSTER: Active = &[
    (
        "nodes",
        "[\"database-master@10.0.3.200:5432\", \"database-slave-1@10.0.3.201:5432\", \"database-slave-2@10.0.3.202:5432\"]",
    ),
    ("user", "\"howdah\""),
    ("password", "\"secret\""),
    ("failover", "\"manage\""),
];
const NODE: Active = &[("priority", "-1")];
const DATABASE: Active = &[("cluster", "\"main\""), ("dbname", "\"app\"")];
const USER: Active = &[("pool_size", "2"), ("query_timeout", "300")];

fn example<T: Keys>(text: &mut String, header: &str, defaults: &T, active: Active) {
    let _ = write!(text, "\n[{header}]\n");
    for row in T::KEYS {
        let doc = row.doc.trim();
        let words =
            if row.words.is_empty() { String::new() } else { format!(" One of: {}.", row.words.join(", ")) };
        let effect = match row.flags.effect {
            Effect::Full => "",
            Effect::NotYet(_) => " No effect yet.",
            Effect::Never(_) => " No effect.",
        };
        let _ = writeln!(text, "# {doc}{words}{effect}");
        let default = (row.get)(defaults).map(|value| literal(&value, row.shape));
        let set = active.iter().find(|(key, _)| *key == row.name).map(|(_, value)| *value);
        let _ = match (set, default) {
            (Some(value), _) => writeln!(text, "{} = {value}", row.name),
            (None, Some(default)) => writeln!(text, "#{} = {default}", row.name),
            (None, None) => writeln!(text, "#{} =", row.name),
        };
    }
}
