//! `howdah convert`: a configuration as the text of a `howdah.toml` that loads as an equal one.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::cluster::ClusterNode;
use crate::config::Config;
use crate::kind::Shape;
use crate::list::List;
use crate::settings::Settings;
use crate::table::Keys;

/// The configuration as TOML: what differs from the defaults, in the order of the documentation. `conffile` is left out
/// (it is the file itself), and so are the users of `auth_file`, which the text names.
#[must_use]
pub fn to_toml(config: &Config) -> String {
    let mut text = String::from(
        "# Made by `howdah convert`. What is not here has its default; docs/settings.md has them all.\n",
    );
    let settings = Settings { conffile: None, ..config.settings.clone() };
    table(&mut text, "settings", &settings, &Settings::toml_default());
    for cluster in config.clusters.values() {
        entry(&mut text, "clusters", &cluster.name, cluster);
    }
    nodes(&mut text, config);
    for database in config.databases.values().chain(&config.autodb) {
        entry(&mut text, "databases", &database.name, database);
    }
    for user in config.users.values() {
        entry(&mut text, "users", &user.name, user);
    }
    for peer in config.peers.values() {
        entry(&mut text, "peers", &peer.id.to_string(), peer);
    }
    text
}

fn entry<T: Keys>(text: &mut String, section: &str, name: &str, value: &T) {
    table(text, &format!("{section}.{}", key(name)), value, &T::default());
}

/// The nodes about which something is said. A node of two clusters is described once.
fn nodes(text: &mut String, config: &Config) {
    let plain = |node: &ClusterNode| ClusterNode {
        name: node.name.clone(),
        host: node.host.clone(),
        port: node.port,
        ..ClusterNode::default()
    };
    let mut seen = BTreeSet::new();
    for node in config.clusters.values().flat_map(|cluster| &cluster.nodes) {
        if *node != plain(node) && seen.insert(&node.name) {
            entry(text, "nodes", &node.name, node);
        }
    }
}

fn table<T: Keys>(text: &mut String, header: &str, value: &T, defaults: &T) {
    let _ = write!(text, "\n[{header}]\n");
    for row in T::KEYS {
        let printed = (row.get)(value);
        if printed == (row.get)(defaults) {
            continue;
        }
        // Unset while the default is not: an empty text unsets.
        let _ = writeln!(text, "{} = {}", row.name, literal(&printed.unwrap_or_default(), row.shape));
    }
}

/// The value in the form that suits it; whatever does not fit the form is a string.
pub(crate) fn literal(value: &str, shape: Shape) -> String {
    match (shape, value) {
        (Shape::Truth, "1" | "on") => "true".to_owned(),
        (Shape::Truth, "0" | "off") => "false".to_owned(),
        (Shape::Number, number) if is_number(number) => number.to_owned(),
        (Shape::Array, list) if is_plain_list(list) => {
            let items: Vec<_> = List::new(list).iter().map(string).collect();
            format!("[{}]", items.join(", "))
        }
        (_, text) => string(text),
    }
}

/// A number as TOML has it too: no leading zero.
fn is_number(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    digits(whole) && digits(fraction) && (whole == "0" || !whole.starts_with('0'))
}

/// Whether nothing is lost when the list is written as an array (which is read back as `a,b`).
fn is_plain_list(list: &str) -> bool {
    List::new(list).iter().collect::<Vec<_>>().join(",") == list
}

/// A bare key where TOML allows one.
fn key(name: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !name.is_empty() && name.bytes().all(bare) { name.to_owned() } else { string(name) }
}

/// A TOML basic string.
fn string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(control));
            }
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}
