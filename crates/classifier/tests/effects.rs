//! What texts mean for the session, one line a case.

use howdah_classifier::{
    Classifier, Context, Discard, Effects, Modes, Options, Reason, Route, RouteSetting, Switch, Transaction,
    Verdict,
};

fn verdict(sql: &str) -> Verdict {
    verdict_in(sql, Context::default())
}

fn verdict_in(sql: &str, context: Context) -> Verdict {
    Classifier::new(Options::default()).classify(sql.as_bytes(), context)
}

fn effects(sql: &str) -> Effects {
    verdict(sql).effects
}

const NOTHING: Modes = Modes { read_only: None, serializable: None, deferrable: None };

#[test]
fn transactions_are_recognised_in_every_spelling() {
    let read_only = Modes { read_only: Some(true), ..NOTHING };
    let cases = [
        ("begin", Transaction::Begin(NOTHING)),
        ("BEGIN WORK;", Transaction::Begin(NOTHING)),
        (" /* x */ Begin\n-- y\nTransaction ;", Transaction::Begin(NOTHING)),
        ("start transaction read only", Transaction::Begin(read_only)),
        ("begin read write", Transaction::Begin(Modes { read_only: Some(false), ..NOTHING })),
        (
            "begin isolation level serializable read only deferrable",
            Transaction::Begin(Modes {
                read_only: Some(true),
                serializable: Some(true),
                deferrable: Some(true),
            }),
        ),
        (
            "begin transaction isolation level read committed, read only, not deferrable",
            Transaction::Begin(Modes {
                read_only: Some(true),
                serializable: Some(false),
                deferrable: Some(false),
            }),
        ),
        (
            "begin isolation level repeatable read read write",
            Transaction::Begin(Modes { read_only: Some(false), serializable: Some(false), ..NOTHING }),
        ),
        ("commit", Transaction::Commit { chain: false }),
        ("END TRANSACTION", Transaction::Commit { chain: false }),
        ("commit work and chain", Transaction::Commit { chain: true }),
        ("commit and no chain", Transaction::Commit { chain: false }),
        ("rollback", Transaction::Rollback { chain: false }),
        ("abort and chain", Transaction::Rollback { chain: true }),
        ("rollback transaction to savepoint x", Transaction::RollbackTo),
        ("rollback to x", Transaction::RollbackTo),
        ("savepoint x", Transaction::Savepoint),
        ("release x", Transaction::Release),
        ("prepare transaction 'x'", Transaction::Prepare),
        ("set transaction read only", Transaction::Set(read_only)),
        ("set transaction_read_only = on", Transaction::Set(read_only)),
        (
            "set local transaction_isolation = 'serializable'",
            Transaction::Set(Modes { serializable: Some(true), ..NOTHING }),
        ),
        ("begin; select 1; commit", Transaction::Commit { chain: false }),
    ];
    for (sql, expected) in cases {
        assert_eq!(effects(sql).transaction, Some(expected), "{sql}");
    }
    for sql in
        ["select 1", "commit prepared 'x'", "rollback prepared 'x'", "prepare begin as select 1", "start x"]
    {
        assert_eq!(effects(sql).transaction, None, "{sql}");
    }
}

#[test]
fn a_read_has_no_effect() {
    for sql in ["select 1", "values (1)", "copy t to stdout", "explain select 1", "show server_version"] {
        assert_eq!(effects(sql), Effects::default(), "{sql}");
    }
}

#[test]
fn what_is_not_proven_a_read_counts_as_a_write() {
    let writes = [
        "insert into t values (1)",
        "select f(1)",
        "select nextval('s')",
        "selec",
        "commit",
        "execute p",
        "select * from t for update",
        "call p()",
        "fetch c",
        "notify a",
        "truncate t",
        "create table t (a int)",
    ];
    for sql in writes {
        assert!(effects(sql).is_write_possible(), "{sql}");
    }
    let asks = [
        "select pg_is_in_recovery()",
        "select * from pg_stat_activity",
        "select * from t_id_seq",
        "begin",
        "rollback",
        "set a = 1",
        "listen a",
        "discard all",
        "prepare p as select 1",
        "show work_mem",
    ];
    for sql in asks {
        assert!(!effects(sql).is_write_possible(), "{sql}");
    }
}

#[test]
fn unknown_state_marks_the_session() {
    let marking = [
        "do $$ begin end $$",
        "call p()",
        "select f(1)",
        "insert into t values (f(1))",
        "load 'x'",
        "create temp table t (a int)",
        "create local temporary view v as select 1",
        "create or replace temp view v as select 1",
        "select * into temp u from t",
        "select 1 into pg_temp.u",
        "create table pg_temp.t (a int)",
        "create table t as select f(1)",
        "update t set a = app.f(1)",
        "gibberish",
        "set default_transaction_isolation = serializable",
        "set session characteristics as transaction isolation level serializable",
        "copy (select f(1)) to stdout",
        "select query_to_xml('select f(1)', true, true, '')",
        "prepare p as select f(1)",
        "select U&\"x\"(1)",
    ];
    for sql in marking {
        assert!(effects(sql).marks_session(), "{sql}");
    }
    let plain = [
        "select 1",
        "insert into t (a, b) values (lower('x'), 1)",
        "create table t (a varchar(10))",
        "insert into temp values (1)",
        "create view v as select f(1)",
        "create index i on t (f(a))",
        "select nextval('s')",
        "update t set (a, b) = (1, 2)",
        "insert into t (a) values (1) on conflict (a) do nothing",
        "with x (a) as (select 1) select * from x",
        "delete from t using u as v(a) where v.a = t.a",
        "grant execute on function f(int) to u",
        "drop function f(int)",
        "set work_mem = 1",
        "select a from t fetch first (1) rows only",
    ];
    for sql in plain {
        assert!(!effects(sql).marks_session(), "{sql}");
    }
}

#[test]
fn the_role_is_asked_for() {
    for sql in [
        "select pg_is_in_recovery()",
        "show transaction_read_only",
        "SHOW IN_HOT_STANDBY",
        "show all",
        "select not pg_catalog.pg_is_in_recovery()",
    ] {
        let verdict = verdict(sql);
        assert!(verdict.effects.asks_role(), "{sql}");
        assert_eq!(verdict.reason, Reason::AsksRole, "{sql}");
    }
    assert!(!effects("select 1").asks_role());
}

#[test]
fn parameters() {
    assert!(effects("set work_mem = '1MB'").sets_parameter());
    assert!(effects("reset work_mem").sets_parameter());
    assert!(effects("set local work_mem = '1MB'").is_local());
    assert!(effects("select set_config('a.b', 'c', false)").sets_parameter());
    assert!(!effects("select 1").sets_parameter());
    for sql in [
        "set search_path = a, b",
        "SET LOCAL Search_Path TO a",
        "set schema 'a'",
        "set \"search_path\" = a",
        "reset search_path",
        "reset all",
        "set role x",
        "set session session authorization x",
        "reset role",
        "select set_config('search_path', 'a', false)",
        "set U&\"search_p\\0061th\" = a",
    ] {
        assert!(effects(sql).sets_search_path(), "{sql}");
    }
    for sql in
        ["set work_mem = 1", "set time zone 'UTC'", "set names 'UTF8'", "select 1", "set a.search_path = x"]
    {
        assert!(!effects(sql).sets_search_path(), "{sql}");
    }
    assert!(effects("set standard_conforming_strings = off").sets_string_syntax());
    assert!(effects("set role x").sets_role());
    assert!(effects("set howdah.read_after = 'x'").sets_read_after());
    assert!(effects("show howdah.causal_token").shows_howdah());
}

#[test]
fn values_of_howdahs_own_parameters() {
    let cases = [
        ("set howdah.route = primary", RouteSetting::Primary),
        ("SET HOWDAH.Route TO 'Replica'", RouteSetting::Replica),
        ("set howdah.route to auto", RouteSetting::Auto),
        ("set howdah.route to default", RouteSetting::Auto),
        ("reset howdah.route", RouteSetting::Auto),
        ("reset all", RouteSetting::Auto),
        ("set howdah.route = x", RouteSetting::Unknown),
        ("set howdah.route = E'primary'", RouteSetting::Unknown),
    ];
    for (sql, expected) in cases {
        assert_eq!(effects(sql).sets_route, Some(expected), "{sql}");
    }
    assert_eq!(effects("set x.route = primary").sets_route, None);
}

#[test]
fn default_read_only() {
    let cases = [
        ("set default_transaction_read_only = on", Switch::On),
        ("set default_transaction_read_only to TRUE", Switch::On),
        ("set default_transaction_read_only to 'f'", Switch::Off),
        ("set default_transaction_read_only = default", Switch::Default),
        ("reset default_transaction_read_only", Switch::Default),
        ("set session characteristics as transaction read only", Switch::On),
        ("set session characteristics as transaction read write", Switch::Off),
        ("set default_transaction_read_only = 'maybe'", Switch::Unknown),
    ];
    for (sql, expected) in cases {
        assert_eq!(effects(sql).default_read_only, Some(expected), "{sql}");
    }
}

#[test]
fn discards() {
    let cases = [
        ("discard all", Discard::All),
        ("DISCARD TEMPORARY", Discard::Temp),
        ("discard plans", Discard::Other),
        ("deallocate all", Discard::Prepared),
        ("deallocate prepare all", Discard::Prepared),
        ("reset all", Discard::Parameters),
    ];
    for (sql, expected) in cases {
        assert_eq!(effects(sql).discard, Some(expected), "{sql}");
    }
    assert_eq!(effects("deallocate p").discard, None);
}

#[test]
fn commands_with_an_effect_of_their_own() {
    assert!(effects("listen a").listens());
    assert!(effects("unlisten *").listens());
    assert!(effects("prepare p as select 1").prepares());
    assert!(effects("deallocate p").prepares());
    assert!(effects("execute p").executes());
    assert!(effects("declare c cursor for select 1").uses_cursor());
    assert!(effects("select 1; select 2").is_many_statements());
    assert!(!effects("select 1;").is_many_statements());
    assert!(effects(" ; -- x").is_empty_text());
    assert!(!effects("select 1").is_empty_text());
}

#[test]
fn a_touched_search_path_takes_the_proof_away() {
    let touched = Context { search_path_untouched: false, ..Context::default() };
    let cases = [
        ("select a from t where b = 1", Route::Replica),
        ("select pg_catalog.lower(a) from t", Route::Replica),
        ("select a::int from t", Route::Replica),
        ("select coalesce(a, b) from t", Route::Replica),
        ("select lower(a) from t", Route::Primary),
        ("select a::text from t", Route::Primary),
        ("select count(*) from t", Route::Primary),
        ("select (a.b).n from a", Route::Primary),
        ("select * from generate_series(1, 2)", Route::Primary),
        ("select 1; select lower(a) from t", Route::Primary),
        ("/* howdah:replica */ select lower(a) from t", Route::Replica),
        ("begin read only", Route::Replica),
    ];
    for (sql, expected) in cases {
        assert_eq!(verdict_in(sql, touched).route, expected, "{sql}");
        assert_eq!(verdict(sql).route, Route::Replica, "{sql}");
    }
}

#[test]
fn backslashes_in_plain_strings() {
    let old = Context { standard_conforming_strings: false, ..Context::default() };
    assert_eq!(verdict_in("select 1", old).reason, Reason::StringSyntax);
    // With the old rules the string ends at the second quote, and the text is one statement.
    let hidden = verdict_in(r"select '\'; commit; '", old).effects;
    assert_eq!((hidden.transaction, hidden.is_many_statements()), (None, false));
    let seen = verdict(r"select '\'; commit; '").effects;
    assert_eq!(
        (seen.transaction, seen.is_many_statements()),
        (Some(Transaction::Commit { chain: false }), true)
    );
    assert_eq!(verdict_in("begin read only", old).route, Route::Replica);
}

#[test]
fn other_encodings() {
    let latin = Context { utf8: false, ..Context::default() };
    assert_eq!(verdict_in("select 'a'", latin).route, Route::Replica);
    assert_eq!(verdict_in("select 'ä'", latin).reason, Reason::Encoding);
    let classifier = Classifier::new(Options::default());
    let broken = classifier.classify(b"select '\xe4'", Context::default());
    assert_eq!((broken.route, broken.reason), (Route::Primary, Reason::Encoding));
}

#[test]
fn long_texts_go_to_the_primary_with_their_effects() {
    let classifier = Classifier::new(Options { max_text_bytes: 100, ..Options::default() });
    let long = format!("begin; select 1 /* {} */; set search_path = a", "x".repeat(100));
    let verdict = classifier.classify(long.as_bytes(), Context::default());
    assert_eq!(verdict.route, Route::Primary);
    assert_eq!(verdict.effects.transaction, Some(Transaction::Begin(NOTHING)));
    assert!(verdict.effects.sets_search_path() && verdict.effects.is_write_possible());
    let read = format!("select 1 /* {} */", "x".repeat(100));
    assert_eq!(classifier.classify(read.as_bytes(), Context::default()).reason, Reason::TooLong);
}

#[test]
fn a_refusal_is_remembered_by_text() {
    let classifier = Classifier::new(Options::default());
    let (text, other) = (b"select * from v", b"select * from w");
    assert_eq!(classifier.classify(text, Context::default()).route, Route::Replica);
    classifier.remember_refusal(text, Context::default());
    let verdict = classifier.classify(text, Context::default());
    assert_eq!((verdict.route, verdict.reason), (Route::Primary, Reason::RefusedBefore));
    assert!(verdict.effects.is_write_possible(), "what a replica refused may write");
    assert_eq!(classifier.classify(other, Context::default()).route, Route::Replica);
    // By shape too: the view behind the name does not change with the constant.
    assert_eq!(classifier.classify(b"select * from v where a = 1", Context::default()).route, Route::Replica);
    classifier.remember_refusal(b"select * from v where a = 1", Context::default());
    let verdict = classifier.classify(b"select * from v where a = 2", Context::default());
    assert_eq!((verdict.route, verdict.reason), (Route::Primary, Reason::RefusedBefore));
}

#[test]
fn a_small_memory_forgets_but_answers_the_same() {
    let classifier = Classifier::new(Options { cache_bytes: 2_000, ..Options::default() });
    for round in 0..3 {
        for number in 0..500 {
            let sql = format!("select a from t where b = {number}");
            let verdict = classifier.classify(sql.as_bytes(), Context::default());
            assert_eq!((verdict.route, verdict.reason), (Route::Replica, Reason::Read), "{round} {sql}");
        }
    }
}
