//! Every SHOW: columns, types, order, rows.

use super::client::{Table, ask, start, table};
use super::compare;
use super::facts::Facts;
use super::running::Running;
use crate::support::Raw;

/// All that both know or one of them.
const SHOWS: [&str; 23] = [
    "HELP",
    "VERSION",
    "CONFIG",
    "DATABASES",
    "USERS",
    "POOLS",
    "CLIENTS",
    "SERVERS",
    "SOCKETS",
    "ACTIVE_SOCKETS",
    "STATS",
    "STATS_TOTALS",
    "STATS_AVERAGES",
    "TOTALS",
    "LISTS",
    "STATE",
    "MEM",
    "DNS_HOSTS",
    "DNS_ZONES",
    "PEERS",
    "PEER_POOLS",
    "TIME_ZONE",
    "",
];

/// Cells that hold moments, durations, addresses of memory or sizes of structures.
const MASKED: [&str; 16] = [
    "ptr",
    "link",
    "connect_time",
    "request_time",
    "wait",
    "wait_us",
    "maxwait",
    "maxwait_us",
    "remote_pid",
    "size",
    "used",
    "free",
    "memtotal",
    "ttl",
    "recv_pos",
    "send_pos",
];

/// The console as this user.
pub(super) async fn console(pooler: &Running, user: &str) -> Raw {
    let mut raw = Raw::connect(pooler.address()).await;
    start(&mut raw, &[("user", user), ("database", "pgbouncer")]).await;
    raw
}

/// Notes columns, with their types, and the rows cell by cell; a row is known by its first cells.
fn note(facts: &mut Facts, pooler: &Running, what: &str, (columns, rows): Table, keys: &[&str]) {
    for (name, oid) in &columns {
        facts.note(&format!("{what} column {name}"), oid.to_string());
    }
    for row in rows {
        let cell = |(i, (name, _)): (usize, &(String, u32))| (name.clone(), row[i].clone());
        let cells: Vec<(String, String)> = columns.iter().enumerate().map(cell).collect();
        let key = keys.iter().filter_map(|key| cells.iter().find(|(name, _)| name == key));
        let key: Vec<&str> = key.map(|(_, value)| value.trim_matches('"')).collect();
        for (name, value) in cells.iter().filter(|(name, _)| !keys.contains(&name.as_str())) {
            let masked = MASKED.contains(&name.as_str()) || (name.ends_with("port") && what != "DATABASES");
            let empty = ["\"0\"", "\"\"", "NULL"].contains(&value.as_str());
            let shown = if masked && !empty { "SOME".to_owned() } else { pooler.mask(value) };
            facts.note(&format!("{what} {} {name}", key.join(" ")), shown);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_show_of_a_quiet_pooler() {
    compare("quiet", "", |pooler| async move {
        let mut facts = Facts::default();
        let mut console = console(&pooler, "boss").await;
        for what in SHOWS {
            match table(&mut console, &format!("SHOW {what}")).await {
                Err(lines) => facts.note(what, pooler.mask(&lines.join("\n"))),
                Ok(answer) => {
                    let key = answer.0[0].0.clone();
                    let keys: &[&str] = match what {
                        "SOCKETS" | "CLIENTS" => &["type", "database"],
                        "POOLS" => &["database", "user"],
                        _ => &[&key],
                    };
                    note(&mut facts, &pooler, what, answer, keys);
                }
            }
        }
        facts
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn states_of_clients_and_servers() {
    compare("states", "default_pool_size = 1", |pooler| async move {
        let mut facts = Facts::default();
        let mut console = console(&pooler, "boss").await;
        let mut clients = Vec::new();
        for name in ["idle", "working", "waiting"] {
            let mut raw = Raw::connect(pooler.address()).await;
            let said = [("user", "postgres"), ("database", "postgres"), ("application_name", name)];
            start(&mut raw, &said).await;
            clients.push(raw);
        }
        ask(&mut clients[0], "SELECT 1").await;
        ask(&mut clients[1], "BEGIN").await;
        clients[2].send_query("SELECT 1").await;
        crate::support::until("the third to wait", || async {
            let mut console = self::console(&pooler, "viewer").await;
            let (_, rows) = table(&mut console, "SHOW POOLS").await.unwrap();
            rows.iter().any(|row| row[0] == "\"postgres\"" && row[3] == "\"1\"")
        })
        .await;
        let shown = [
            ("CLIENTS", &["application_name", "database"][..]),
            ("SERVERS", &["database"]),
            ("SOCKETS", &["type", "database", "application_name"]),
            ("POOLS", &["database", "user"]),
            ("DATABASES", &["name"]),
            ("USERS", &["name"]),
            ("LISTS", &["list"]),
        ];
        for (what, keys) in shown {
            let answer = table(&mut console, &format!("SHOW {what}")).await.unwrap();
            note(&mut facts, &pooler, what, answer, keys);
        }
        ask(&mut clients[1], "ROLLBACK").await;
        drop(clients);
        facts
    })
    .await;
}
