//! Logins, messages, the log and the command line.

use super::{Known, gone, new, other};

pub(super) const KNOWN: &[Known] = &[
    other(
        &["startup"],
        "*\"pgbouncer\"*",
        ("*1.18.0/bouncer*", "*1.25.2/bouncer*"),
        "the version; 1.18 echoes application_name",
    ),
    other(
        &["startup"],
        "*\"options\"*",
        ("*unsupported startup parameter: options*", "*"),
        "1.20.0: options",
    ),
    other(
        &["bytes"],
        "a query at once",
        ("closed", "*"),
        "Howdah says in words what is wrong with bytes that no client sends",
    ),
    other(
        &["bytes"],
        "http",
        ("*client sent partial pkt in startup phase*", "*longer than*"),
        "Howdah says in words what is wrong with bytes that no client sends",
    ),
    other(
        &["bytes"],
        "odd",
        ("*no username supplied*", "*invalid startup packet layout*"),
        "Howdah says in words what is wrong with bytes that no client sends",
    ),
    other(
        &["bytes"],
        "no terminator",
        ("R *", "*invalid startup packet layout*"),
        "Howdah says in words what is wrong with bytes that no client sends",
    ),
    other(
        &["bytes"],
        "long name",
        ("*username too long*", "*authentication failed*"),
        "Howdah has no limit for names",
    ),
    other(&["bytes"], "twice", ("*C=08P01*", "*C=28P01*"), "not known: the server's SQLSTATE is relayed"),
    gone(&["ends"], "ERROR C-PTR: * unknown pkt from client: 63/PTR", "Howdah says it in one line"),
    gone(
        &["ends"],
        "* C-PTR: (nodb)/(nouser)@* no more connections allowed (max_client_conn)*",
        "not known: refused behind the startup packet",
    ),
    new(
        &["ends"],
        "* C-PTR: postgres/postgres@* no more connections allowed (max_client_conn)*",
        "not known: refused behind the startup packet",
    ),
    gone(&["ends", "timeouts"], "LOG C-PTR: * login attempt: * tls=no", "1.23.0: replication connections"),
    new(
        &["ends", "timeouts"],
        "LOG C-PTR: * login attempt: * tls=no replication=no",
        "1.23.0: replication connections",
    ),
    other(
        &["varcache"],
        "DateStyle=ISO",
        ("*SET DateStyle='ISO';*SET DateStyle='ISO';", "* varcache_apply: SET DateStyle='ISO';"),
        "later: the server's spelling of a value is remembered, so that it is set once",
    ),
    other(
        &["ends"],
        "LOG S-PTR: * new connection to server (from *",
        ("2", "1"),
        "KILL makes 1.18 forget the parameters that a login is answered with; Howdah keeps them",
    ),
    gone(&["cancels"], "LOG started sending cancel request", "by 1.25: at verbose only"),
];
