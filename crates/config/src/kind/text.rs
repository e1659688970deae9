//! Texts: plain ones, names and files that may be unset, lists, nodes, passwords.

use std::path::PathBuf;

use super::{Kind, Shape};
use crate::cluster::{ClusterNode, RestAddress};
use crate::list::List;
use crate::secret::Secret;

/// Any text; empty is a value.
pub(crate) struct Text;

impl Kind for Text {
    type Value = String;

    fn parse(text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }

    fn print(value: &String) -> Option<String> {
        Some(value.clone())
    }
}

/// Any text; empty is unset.
pub(crate) struct Name;

impl Kind for Name {
    type Value = Option<String>;

    fn parse(text: &str) -> Result<Option<String>, String> {
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    fn print(value: &Option<String>) -> Option<String> {
        value.clone()
    }
}

/// A file; empty is unset.
pub(crate) struct File;

impl Kind for File {
    type Value = Option<PathBuf>;

    fn parse(text: &str) -> Result<Option<PathBuf>, String> {
        Ok((!text.is_empty()).then(|| PathBuf::from(text)))
    }

    fn print(value: &Option<PathBuf>) -> Option<String> {
        value.as_ref().map(|path| path.to_string_lossy().into_owned())
    }
}

/// A comma separated list.
pub(crate) struct Items;

impl Kind for Items {
    const SHAPE: Shape = Shape::Array;
    type Value = List;

    fn parse(text: &str) -> Result<List, String> {
        Ok(List::new(text))
    }

    fn print(value: &List) -> Option<String> {
        Some(value.as_str().to_owned())
    }
}

/// A comma separated list of which only the items count (hosts).
pub(crate) struct Hosts;

impl Kind for Hosts {
    const SHAPE: Shape = Shape::Array;
    type Value = Vec<String>;

    fn parse(text: &str) -> Result<Vec<String>, String> {
        Ok(List::new(text).iter().map(str::to_owned).collect())
    }

    fn print(value: &Vec<String>) -> Option<String> {
        (!value.is_empty()).then(|| value.join(","))
    }
}

/// The nodes of a cluster: `host:port` or `name@host:port`, comma separated; an IPv6 address in brackets.
pub(crate) struct Nodes;

impl Kind for Nodes {
    const SHAPE: Shape = Shape::Array;
    type Value = Vec<ClusterNode>;

    fn parse(text: &str) -> Result<Vec<ClusterNode>, String> {
        let nodes: Vec<_> = List::new(text).iter().map(node).collect::<Result<_, _>>()?;
        if nodes.is_empty() { Err("at least one host:port".to_owned()) } else { Ok(nodes) }
    }

    fn print(value: &Vec<ClusterNode>) -> Option<String> {
        let items = value.iter().map(|node| match node.address() {
            address if address == node.name => address,
            address => format!("{}@{address}", node.name),
        });
        (!value.is_empty()).then(|| items.collect::<Vec<_>>().join(","))
    }
}

/// PostgreSQL's port, for a node that is written without one.
const DEFAULT_PORT: u16 = 5432;

fn node(item: &str) -> Result<ClusterNode, String> {
    let expected = || format!("nodes as host:port or name@host:port, which {item} is not");
    // An abstract socket's name begins with @: only what stands before an @ is a name.
    let (name, address) = match item.split_once('@') {
        Some((name, address)) if !name.is_empty() => (Some(name), address),
        _ => (None, item),
    };
    let (host, port) = split_port(address, DEFAULT_PORT).ok_or_else(expected)?;
    let mut node = ClusterNode::new(host, port);
    if let Some(name) = name {
        node.name = name.to_owned();
    }
    Ok(node)
}

/// Where Patroni answers: `host:port` or `http://host:port`, comma separated; empty is none.
pub(crate) struct RestAddresses;

impl Kind for RestAddresses {
    const SHAPE: Shape = Shape::Array;
    type Value = Vec<RestAddress>;

    fn parse(text: &str) -> Result<Vec<RestAddress>, String> {
        List::new(text).iter().map(rest_address).collect()
    }

    fn print(value: &Vec<RestAddress>) -> Option<String> {
        let items: Vec<_> = value.iter().map(ToString::to_string).collect();
        (!items.is_empty()).then(|| items.join(","))
    }
}

/// Patroni's port, for an address that is written without one.
const PATRONI_PORT: u16 = 8008;

fn rest_address(item: &str) -> Result<RestAddress, String> {
    if item.starts_with("https://") {
        return Err(format!(
            "addresses of plain HTTP (there is no TLS towards Patroni yet), which {item} is not"
        ));
    }
    let address = item.strip_prefix("http://").unwrap_or(item);
    let address = address.strip_suffix('/').unwrap_or(address);
    let plain = !address.contains(['/', '@', '?', '#', ' ']);
    let parts = split_port(address, PATRONI_PORT).filter(|_| plain);
    let (host, port) =
        parts.ok_or_else(|| format!("addresses as host:port or http://host:port, which {item} is not"))?;
    Ok(RestAddress { host: host.to_owned(), port })
}

fn split_port(address: &str, default: u16) -> Option<(&str, u16)> {
    let (host, port) = if let Some(rest) = address.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
    } else if let Some((host, port)) = address.rsplit_once(':') {
        // Without brackets an IPv6 address cannot be told from its port.
        (!host.contains(':')).then_some((host, Some(port)))?
    } else {
        (address, None)
    };
    let port = port.map_or(Some(default), |port| port.parse().ok().filter(|port| *port > 0))?;
    (!host.is_empty()).then_some((host, port))
}

/// A password.
pub(crate) struct Hidden;

impl Kind for Hidden {
    type Value = Secret;

    fn parse(text: &str) -> Result<Secret, String> {
        Ok(Secret::new(text))
    }

    fn print(value: &Secret) -> Option<String> {
        Some(value.expose().to_owned())
    }
}

/// `server_check_query`: `<empty>` is an empty query, nothing at all is no check.
pub(crate) struct CheckQuery;

/// How the empty query is written.
const EMPTY_QUERY: &str = "<empty>";

impl Kind for CheckQuery {
    type Value = Option<String>;

    fn parse(text: &str) -> Result<Option<String>, String> {
        Ok(match text {
            "" => None,
            EMPTY_QUERY => Some(String::new()),
            query => Some(query.to_owned()),
        })
    }

    fn print(value: &Option<String>) -> Option<String> {
        Some(match value.as_deref() {
            None => String::new(),
            Some("") => EMPTY_QUERY.to_owned(),
            Some(query) => query.to_owned(),
        })
    }
}
