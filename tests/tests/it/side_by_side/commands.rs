//! What the console says to commands, right and wrong.

use super::client::ask;
use super::compare;
use super::facts::Facts;
use super::shows::console;

/// Commands in the order in which they are given, by an admin.
const COMMANDS: [&str; 79] = [
    "show version;",
    "ShOw LiStS x",
    "SHOW",
    "SHOW nonsense",
    "nonsense",
    "",
    ";",
    " ; ",
    "SELECT 1",
    "SELECT version()",
    "select version",
    "SHOW version extra",
    "PAUSE",
    "PAUSE",
    "PAUSE postgres",
    "SUSPEND",
    "KILL",
    "SHOW STATE",
    "RESUME",
    "RESUME",
    "RESUME postgres",
    "RESUME nodb",
    "PAUSE postgres",
    "PAUSE postgres",
    "SHOW STATE",
    "SUSPEND",
    "RESUME postgres",
    "PAUSE nodb",
    "PAUSE pgbouncer",
    "KILL pgbouncer",
    "KILL nodb",
    "KILL postgres",
    "RESUME postgres",
    "DISABLE",
    "ENABLE",
    "DISABLE nodb",
    "ENABLE nodb",
    "DISABLE pgbouncer",
    "ENABLE pgbouncer",
    "DISABLE postgres",
    "DISABLE postgres",
    "ENABLE postgres",
    "ENABLE postgres",
    "RECONNECT",
    "RECONNECT postgres",
    "RECONNECT nodb",
    "RECONNECT pgbouncer",
    "WAIT_CLOSE",
    "WAIT_CLOSE postgres",
    "WAIT_CLOSE nodb",
    "WAIT_CLOSE pgbouncer",
    "SUSPEND",
    "SUSPEND",
    "PAUSE",
    "SHOW STATE",
    "RESUME",
    "RELOAD",
    "RELOAD now",
    "SET default_pool_size=7",
    "SET default_pool_size = '8';",
    "set default_pool_size to 9",
    "SET default_pool_size = nine",
    "SET nonsense = 1",
    "SET pool_mode = wrong",
    "SET pool_mode=session",
    "SET listen_port=1",
    "SET verbose",
    "SET client_encoding = 'UTF8'",
    "SET extra_float_digits = 3",
    "SHOW client_encoding",
    "SHOW transaction_read_only",
    "SHOW standard_conforming_strings",
    "SHOW datestyle",
    "SHOW timezone",
    "SHOW default_transaction_isolation",
    "SHUTDOWN nonsense",
    "SHOW STATE; SHOW STATE",
    "SHOW averylongwordthatisnocommandatallandneverwillbeone1234567890123",
    "averylongwordthatisnocommand x",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_an_admin_is_told() {
    compare("commands", "suspend_timeout = 2", |pooler| async move {
        let mut facts = Facts::default();
        let mut raw = console(&pooler, "boss").await;
        for command in COMMANDS {
            let said = ask(&mut raw, command).await.join("\n");
            facts.note(&format!("admin {command}"), pooler.mask(&said));
            if said.ends_with("closed") {
                raw = console(&pooler, "boss").await;
            }
        }
        facts
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_viewer_is_told() {
    compare("viewer", "", |pooler| async move {
        let mut facts = Facts::default();
        let mut raw = console(&pooler, "viewer").await;
        for command in [
            "SHOW VERSION",
            "SHOW FDS",
            "PAUSE",
            "RESUME",
            "SUSPEND",
            "RELOAD",
            "KILL",
            "KILL postgres",
            "DISABLE postgres",
            "ENABLE postgres",
            "RECONNECT",
            "WAIT_CLOSE",
            "SHUTDOWN",
            "SET default_pool_size=1",
            "SET client_encoding='UTF8'",
            "SHOW client_encoding",
            "nonsense",
            "SHOW HELP",
        ] {
            let said = ask(&mut raw, command).await.join("\n");
            facts.note(command, pooler.mask(&said));
        }
        facts
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_no_query() {
    compare("packets", "", |pooler| async move {
        let mut facts = Facts::default();
        for (name, bytes) in [
            ("Parse", &b"P\0\0\0\x10\0SELECT 1\0\0\0"[..]),
            ("Bind", b"B\0\0\0\x0c\0\0\0\0\0\0\0\0"),
            ("Execute", b"E\0\0\0\x09\0\0\0\0\0"),
            ("Describe", b"D\0\0\0\x06S\0"),
            ("Sync", b"S\0\0\0\x04"),
            ("Flush", b"H\0\0\0\x04"),
            ("Close", b"C\0\0\0\x06S\0"),
            ("CopyData", b"d\0\0\0\x05x"),
            ("FunctionCall", b"F\0\0\0\x08\0\0\0\0"),
            ("unknown", b"?\0\0\0\x04"),
        ] {
            let mut raw = console(&pooler, "boss").await;
            raw.send_lossy(bytes).await;
            // A query behind it tells where the answer to a message without one ends.
            let mut said = ask(&mut raw, "SHOW TIME_ZONE").await;
            if said.last().is_some_and(|last| last != "closed") {
                said.extend(ask(&mut raw, "SHOW TIME_ZONE").await);
            }
            facts.note(name, said.join("\n"));
        }
        facts
    })
    .await;
}
