//! The programs and drivers that people use, through the real binary in transaction mode.
//!
//! psycopg and asyncpg come from a virtual environment: `HOWDAH_PYTHON` names its interpreter, else one is made under
//! `target/venv`.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use howdah_testkit::{Options, Postgres};
use tokio::process::Command;

use crate::support::{Binary, Raw, entry, error_of};

/// A driver's program ends within this time or fails (time).
const LIMIT: Duration = Duration::from_secs(60);

/// Making the environment needs the network (time).
const INSTALL_LIMIT: Duration = Duration::from_secs(100);

/// Ten servers, as many clients as come.
async fn pooler(pg: &Postgres) -> Binary {
    Binary::start(&format!("postgres = {}", entry(pg, "")), "default_pool_size = 10\nmax_client_conn = 200")
        .await
}

async fn run(command: &mut Command, limit: Duration) -> Output {
    let shown = format!("{:?}", command.as_std());
    let output = command.kill_on_drop(true).output();
    let output = tokio::time::timeout(limit, output).await.unwrap_or_else(|_| panic!("{shown}: not in time"));
    output.unwrap_or_else(|error| panic!("{shown}: {error}"))
}

/// Runs a program that has to succeed; returns what it printed.
async fn printed(command: &mut Command) -> String {
    let output = run(command, LIMIT).await;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{:?}: {}\n{out}\n{err}", command.as_std(), output.status);
    out.into_owned()
}

/// A client program of PostgreSQL with its connection in the environment.
fn client(pg: &Postgres, program: &str, binary: &Binary) -> Command {
    let beside = pg.binaries().program(program);
    let mut command = Command::new(if beside.is_file() { beside } else { PathBuf::from(program) });
    command.env("PGHOST", "127.0.0.1").env("PGPORT", binary.port().to_string());
    command.env("PGUSER", "postgres").env("PGDATABASE", "postgres").env("PGAPPNAME", program);
    command.env("PGCONNECT_TIMEOUT", "10");
    command
}

/// The interpreter of an environment with psycopg and asyncpg.
async fn python() -> PathBuf {
    if let Some(named) = std::env::var_os("HOWDAH_PYTHON") {
        return PathBuf::from(named);
    }
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/venv");
    let python = venv.join("bin/python");
    // Two tests may come here at once; the lock goes with the process.
    let lock_path = venv.with_extension("lock");
    std::fs::create_dir_all(venv.parent().unwrap()).unwrap();
    let lock = std::fs::File::create(lock_path).unwrap();
    tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await.unwrap().unwrap();
    if python.is_file() && has_drivers(&python).await {
        return python;
    }
    let made = run(Command::new("python3").args(["-m", "venv"]).arg(&venv), INSTALL_LIMIT).await;
    assert!(made.status.success(), "no Python environment: {}", String::from_utf8_lossy(&made.stderr));
    let install = ["-m", "pip", "install", "--quiet", "psycopg[binary]", "asyncpg"];
    let installed = run(Command::new(&python).args(install), INSTALL_LIMIT).await;
    assert!(
        installed.status.success() && has_drivers(&python).await,
        "psycopg and asyncpg cannot be installed (HOWDAH_PYTHON may name an interpreter that has them): {}",
        String::from_utf8_lossy(&installed.stderr)
    );
    python
}

async fn has_drivers(python: &Path) -> bool {
    run(Command::new(python).args(["-c", "import psycopg, asyncpg"]), LIMIT).await.status.success()
}

/// Runs a Python program; `PORT` is the pooler's.
async fn python_program(binary: &Binary, source: &str) {
    let python = python().await;
    let printed =
        printed(Command::new(python).arg("-c").arg(source).env("PORT", binary.port().to_string())).await;
    assert_eq!(printed.trim(), "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_with_its_commands() {
    let pg = Postgres::single(Options::default()).await.unwrap();
    let binary = pooler(&pg).await;
    let script = "CREATE TABLE t (i int PRIMARY KEY, s text);\n\\copy t FROM STDIN\n1\tone\n2\ttwo\n\\.\n\
                  BEGIN; UPDATE t SET s = 'zwei' WHERE i = 2; COMMIT;\n\\d t\n\\copy t TO STDOUT\n\
                  SELECT count(*) FROM t \\gset n_\n\\echo n is :n_count\n\\conninfo\n";
    let file = binary.dir().join("script.sql");
    std::fs::write(&file, script).unwrap();
    let out =
        printed(client(&pg, "psql", &binary).args(["-X", "-v", "ON_ERROR_STOP=1", "-f"]).arg(&file)).await;
    for expected in ["\"t_pkey\" PRIMARY KEY", "1\tone\n2\tzwei", "n is 2"] {
        assert!(out.contains(expected), "no {expected:?} in {out}");
    }
    let output = run(client(&pg, "psql", &binary).args(["-X", "-c", "SELECT 1/0"]), LIMIT).await;
    assert!(String::from_utf8_lossy(&output.stderr).contains("division by zero"));
    // The console, as an operator uses it.
    let mut console = client(&pg, "psql", &binary);
    console.env("PGHOST", binary.dir()).env("PGUSER", "pgbouncer").env("PGDATABASE", "pgbouncer");
    let out = printed(console.args(["-X", "-A", "-c", "SHOW POOLS"])).await;
    assert!(out.contains("postgres|postgres|"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pgbench_in_every_mode() {
    let pg = Postgres::single(Options::default()).await.unwrap();
    let binary = pooler(&pg).await;
    printed(client(&pg, "pgbench", &binary).args(["-i", "-q", "-s", "2"])).await;
    for mode in ["simple", "extended", "prepared"] {
        for more in [&["-S"][..], &["-N"]] {
            let mut bench = client(&pg, "pgbench", &binary);
            bench.args(["-n", "-M", mode, "-c", "64", "-j", "2", "-T", "1"]).args(more);
            let out = printed(&mut bench).await;
            assert!(out.contains("number of failed transactions: 0 (0.000%)"), "{mode} {more:?}: {out}");
        }
    }
    // Every committed transaction left its line in the history.
    let sql = "SELECT (SELECT sum(delta) FROM pgbench_history WHERE mtime IS NOT NULL) IS NOT NULL, \
               (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history)";
    let row = &pg.psql(sql).await.unwrap()[0];
    assert_eq!(row[..], ["t", "t"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn psycopg_sync_and_async_pipelines() {
    let pg = Postgres::single(Options::default()).await.unwrap();
    let binary = pooler(&pg).await;
    python_program(&binary, PSYCOPG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asyncpg_with_its_own_pool_and_statements() {
    let pg = Postgres::single(Options::default()).await.unwrap();
    let binary = pooler(&pg).await;
    python_program(&binary, ASYNCPG).await;
}

const PSYCOPG: &str = r#"
import asyncio, os, psycopg
where = f"host=127.0.0.1 port={os.environ['PORT']} user=postgres dbname=postgres"

with psycopg.connect(where, autocommit=True) as db:
    db.execute("CREATE TABLE p (i int, s text)")
    with db.cursor().copy("COPY p FROM STDIN") as copy:
        for i in range(1000):
            copy.write_row((i, "x" * i))
    assert db.execute("SELECT count(*), sum(length(s)) FROM p").fetchone() == (1000, 499500)
    with db.cursor().copy("COPY p TO STDOUT") as copy:
        assert sum(1 for _ in copy.rows()) == 1000
    for _ in range(20):  # prepared by the driver after the fifth time
        assert db.execute("SELECT %s::int + 1", (41,)).fetchone() == (42,)
    try:
        db.execute("SELECT 1/0")
        raise SystemExit("no error")
    except psycopg.errors.DivisionByZero:
        pass
    with db.transaction():
        with db.cursor(name="c") as cursor:
            cursor.itersize = 100
            cursor.execute("SELECT i FROM p ORDER BY i")
            assert [row[0] for row in cursor] == list(range(1000))

async def client(number):
    async with await psycopg.AsyncConnection.connect(where, autocommit=True) as db:
        for round in range(20):
            async with db.pipeline():
                cursors = []
                for i in range(20):
                    cursor = db.cursor()
                    await cursor.execute("SELECT %s::int, %s::text", (number * 1000 + i, "y" * i), prepare=(i % 3 == 0))
                    cursors.append((i, cursor))
                for i, cursor in cursors:
                    assert await cursor.fetchone() == (number * 1000 + i, "y" * i)
            try:
                async with db.pipeline():
                    await db.execute("SELECT 1", prepare=True)
                    await db.execute("SELECT 1/0")
                    await db.execute("SELECT 2", prepare=True)
                raise SystemExit("no error in the pipeline")
            except psycopg.errors.DivisionByZero:
                pass
            async with db.transaction():
                await db.execute("INSERT INTO p VALUES (%s, 'tx')", (round,))

async def main():
    await asyncio.gather(*(client(number) for number in range(20)))

asyncio.run(main())
with psycopg.connect(where) as db:
    assert db.execute("SELECT count(*) FROM p WHERE s = 'tx'").fetchone() == (400,)
print("done")
"#;

const ASYNCPG: &str = r#"
import asyncio, os, asyncpg
where = dict(host="127.0.0.1", port=int(os.environ["PORT"]), user="postgres", database="postgres")

async def work(pool, number):
    async with pool.acquire() as db:
        for round in range(30):
            assert await db.fetchval("SELECT $1::int * 2", number) == number * 2
            statement = await db.prepare(f"SELECT $1::int + {round}")
            assert await statement.fetchval(number) == number + round
            async with db.transaction():
                await db.execute("INSERT INTO a VALUES ($1, $2)", number, round)
                async for row in db.cursor("SELECT generate_series(1, 120)"):
                    pass
            try:
                await db.fetchval("SELECT 1/0")
                raise SystemExit("no error")
            except asyncpg.DivisionByZeroError:
                pass

async def main():
    db = await asyncpg.connect(**where)
    await db.execute("CREATE TABLE a (n int, r int)")
    await db.copy_records_to_table("a", records=[(-1, r) for r in range(1000)])
    assert await db.fetchval("SELECT count(*) FROM a WHERE n = -1") == 1000
    await db.executemany("INSERT INTO a VALUES ($1, $2)", [(-2, r) for r in range(500)])
    assert await db.fetchval("SELECT count(*) FROM a WHERE n = -2") == 500
    try:
        await db.execute("SELECT pg_sleep(20)", timeout=0.5)
        raise SystemExit("no timeout")
    except asyncio.TimeoutError:
        pass
    assert await db.fetchval("SELECT 5") == 5
    await db.close()
    async with asyncpg.create_pool(min_size=20, max_size=20, **where) as pool:
        await asyncio.gather(*(work(pool, number) for number in range(40)))
        assert await pool.fetchval("SELECT count(*) FROM a WHERE n >= 0") == 1200

asyncio.run(main())
print("done")
"#;

/// A pooler whose console `postgres` may use over TCP.
async fn with_console(pg: &Postgres) -> Binary {
    let settings =
        "logfile = @DIR@/log\nadmin_users = postgres\nignore_startup_parameters = extra_float_digits";
    Binary::start(&format!("postgres = {}", entry(pg, "")), settings).await
}

/// What psycopg and asyncpg do and find on the console.
const ON_THE_CONSOLE: &str = r#"
import asyncio, decimal, os
import asyncpg, psycopg
where = dict(host="127.0.0.1", port=os.environ["PORT"], user="postgres")
with psycopg.connect(dbname="postgres", autocommit=True, **where) as c:
    c.execute("SELECT 1")
def console():
    return psycopg.connect(dbname="pgbouncer", autocommit=True, cursor_factory=psycopg.ClientCursor, **where)
with console() as c:
    def rows(sql):
        cursor = c.cursor(row_factory=psycopg.rows.dict_row)
        return cursor.execute(sql).fetchall()
    assert rows("SHOW VERSION") == [{"version": "PgBouncer 1.25.2"}]
    # int4 becomes int, numeric Decimal, text str, NULL None.
    pool = next(r for r in rows("SHOW POOLS") if r["database"] == "postgres")
    assert pool["cl_active"] == 0 and pool["sv_idle"] == 1 and pool["pool_mode"] == "transaction", pool
    assert pool["load_balance_hosts"] is None
    database = next(r for r in rows("SHOW DATABASES") if r["name"] == "postgres")
    assert database["force_user"] is None and database["pool_mode"] is None and database["paused"] == 0, database
    user = next(r for r in rows("SHOW USERS") if r["name"] == "alice")
    assert user["pool_size"] == "" and user["max_user_connections"] == 0 and user["pool_mode"] is None, user
    stats = next(r for r in rows("SHOW STATS") if r["database"] == "postgres")
    assert stats["total_query_count"] == 1 and type(stats["total_query_count"]) is decimal.Decimal, stats
    client = rows("SHOW CLIENTS")[0]
    assert type(client["id"]) is int and client["link"] == "" and client["state"] == "idle", client
    assert next(r for r in rows("SHOW LISTS") if r["list"] == "databases")["items"] == 2
    assert rows("SHOW STATE") == [
        {"key": "active", "value": "yes"}, {"key": "paused", "value": "no"}, {"key": "suspended", "value": "no"}]
    assert [m for m in rows("SHOW MEM") if m["name"] == "db_cache"][0]["used"] == 2
    assert c.execute("SET default_pool_size = 7").statusmessage == "SET default_pool_size=7"
    assert c.execute("RELOAD").statusmessage == "RELOAD"
    try:
        c.execute("nonsense")
        raise SystemExit("it is no command")
    except psycopg.errors.ProtocolViolation as e:
        assert e.diag.severity == "ERROR" and e.diag.message_primary == "invalid command 'nonsense', use SHOW HELP;"
    status = c.info.parameter_status
    assert status("server_version") == "1.25.2/bouncer" and status("is_superuser") == "on"
    assert status("DateStyle") == "ISO" and status("TimeZone") == "GMT" and status("server_encoding") == "UTF8"
# The extended protocol, which psycopg uses for parameters.
with psycopg.connect(dbname="pgbouncer", autocommit=True, **where) as c:
    try:
        c.execute("SHOW %s", ["VERSION"])
        raise SystemExit("the console has no extended protocol")
    except psycopg.errors.ProtocolViolation as e:
        assert e.diag.message_primary == "extended query protocol not supported by admin console"
async def simple():
    c = await asyncpg.connect(database="pgbouncer", **where)
    assert await c.execute("SHOW VERSION") == "SHOW"
    assert await c.execute("RELOAD") == "RELOAD"
    try:
        await c.fetch("SHOW POOLS")
        raise SystemExit("the console has no extended protocol")
    except asyncpg.exceptions.ProtocolViolationError as e:
        assert str(e) == "extended query protocol not supported by admin console"
    c.terminate()
asyncio.run(simple())
print("done")
"#;

#[tokio::test(flavor = "multi_thread")]
async fn psycopg_and_asyncpg_on_the_console() {
    let pg = Postgres::single(Options::default()).await.unwrap();
    let binary = with_console(&pg).await;
    python_program(&binary, ON_THE_CONSOLE).await;
}

/// The driver's jar: what Debian installs, or the same package unpacked under `target`.
async fn pgjdbc() -> PathBuf {
    let installed = PathBuf::from("/usr/share/java/postgresql.jar");
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/pgjdbc");
    let unpacked = target.join("usr/share/java/postgresql.jar");
    if installed.is_file() || unpacked.is_file() {
        return if installed.is_file() { installed } else { unpacked };
    }
    std::fs::create_dir_all(&target).unwrap();
    let script = "apt-get download -q libpostgresql-jdbc-java && dpkg -x libpostgresql-jdbc-java_*.deb .";
    let got = run(Command::new("sh").args(["-c", script]).current_dir(&target), INSTALL_LIMIT).await;
    assert!(
        unpacked.is_file(),
        "no libpostgresql-jdbc-java to be had: {}",
        String::from_utf8_lossy(&got.stderr)
    );
    unpacked
}

#[tokio::test(flavor = "multi_thread")]
async fn pgjdbc_on_the_console() {
    let pg = Postgres::single(Options::default()).await.unwrap();
    let binary = with_console(&pg).await;
    let source = r#"
import java.sql.*;
public class Console {
    public static void main(String[] a) throws Exception {
        String url = "jdbc:postgresql://127.0.0.1:" + a[0] + "/pgbouncer?user=postgres&preferQueryMode=simple";
        try (Connection c = DriverManager.getConnection(url); Statement s = c.createStatement()) {
            for (String show : new String[] {"VERSION", "POOLS", "STATS", "DATABASES", "CLIENTS"}) {
                try (ResultSet r = s.executeQuery("SHOW " + show)) {
                    r.next();
                    ResultSetMetaData m = r.getMetaData();
                    int n = m.getColumnCount();
                    System.out.println(show + " " + n + " " + m.getColumnTypeName(n) + " " + r.getString(1));
                }
            }
            s.execute("RELOAD");
            try { s.executeQuery("nonsense"); } catch (SQLException e) { System.out.println(e.getSQLState()); }
        }
    }
}
"#;
    let file = binary.dir().join("Console.java");
    std::fs::write(&file, source).unwrap();
    let mut java = Command::new("java");
    java.arg("-cp").arg(pgjdbc().await).arg(&file).arg(binary.port().to_string());
    let expected = "VERSION 1 text PgBouncer 1.25.2\nPOOLS 17 text pgbouncer\nSTATS 25 numeric pgbouncer\n\
                    DATABASES 17 int4 pgbouncer\nCLIENTS 21 int4 C\n08P01\n";
    assert_eq!(printed(&mut java).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_on_the_console_is_refused_what_it_asks_of_a_catalog() {
    let pg = Postgres::single(Options::default()).await.unwrap();
    let binary = with_console(&pg).await;
    let mut console = client(&pg, "psql", &binary);
    console.env("PGDATABASE", "pgbouncer").arg("-X").arg("-A").arg("-t");
    for command in ["\\l", "\\d", "\\dt pg_class", "\\du", "\\df", "SHOW STATE"] {
        console.args(["-c", command]);
    }
    let output = run(&mut console, LIMIT).await;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(err.matches("ERROR:  invalid command 'SELECT ").count(), 5, "{err}");
    assert_eq!(err.matches("use SHOW HELP;").count(), 5, "{err}");
    assert_eq!(out, "active|yes\npaused|no\nsuspended|no\n", "the session goes on");
}

/// Names and type OIDs of a RowDescription.
fn columns(body: &[u8]) -> Vec<(String, u32)> {
    let mut columns = Vec::new();
    let mut rest = &body[2..];
    while let Some(end) = rest.iter().position(|byte| *byte == 0) {
        let name = String::from_utf8(rest[..end].to_vec()).unwrap();
        let fields = &rest[end + 1..];
        columns.push((name, u32::from_be_bytes(fields[6..10].try_into().unwrap())));
        rest = &fields[18..];
    }
    columns
}

/// The cells of a DataRow.
fn cells(body: &[u8]) -> Vec<Option<String>> {
    let mut cells = Vec::new();
    let mut rest = &body[2..];
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(i32::from_be_bytes(*length)).ok();
        cells.push(length.map(|length| String::from_utf8(after[..length].to_vec()).unwrap()));
        rest = &after[length.unwrap_or(0)..];
    }
    cells
}

/// What the usual Prometheus exporter does at each scrape, with lib/pq's startup packet: every column that is a metric
/// has a number.
#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_scrapes_the_console() {
    const NUMBERS: [u32; 3] = [23, 20, 1700];
    let pg = Postgres::single(Options::default()).await.unwrap();
    let binary = with_console(&pg).await;
    crate::support::connect(&binary.conninfo("postgres", "postgres")).await.unwrap();
    let mut raw = Raw::connect(([127, 0, 0, 1], binary.port()).into()).await;
    let lib_pq = [
        ("extra_float_digits", "2"),
        ("client_encoding", "UTF8"),
        ("datestyle", "ISO, MDY"),
        ("user", "postgres"),
        ("database", "pgbouncer"),
    ];
    raw.startup(&lib_pq).await;
    raw.until_ready().await;
    for (command, labels) in [
        ("SHOW STATS;", &["database"][..]),
        ("SHOW STATS_TOTALS;", &["database"]),
        ("SHOW STATS_AVERAGES;", &["database"]),
        ("SHOW POOLS;", &["database", "user", "pool_mode", "load_balance_hosts"]),
        ("SHOW DATABASES;", &["name", "host", "database", "force_user", "pool_mode", "load_balance_hosts"]),
        ("SHOW LISTS;", &["list"]),
        ("SHOW CONFIG;", &["key", "value", "default", "changeable"]),
        ("SHOW VERSION;", &["version"]),
    ] {
        let frames = raw.query(command).await;
        assert_eq!(
            crate::support::tags(&frames).trim_start_matches('T').trim_start_matches('D'),
            "CZ",
            "{command}"
        );
        assert_eq!(frames[frames.len() - 2].1, b"SHOW\0", "{command}");
        let columns = columns(&frames[0].1);
        for row in frames.iter().filter(|(tag, _)| *tag == b'D').map(|(_, body)| cells(body)) {
            for ((name, oid), cell) in columns.iter().zip(&row) {
                if labels.contains(&name.as_str()) {
                    assert_eq!(*oid, 25, "{command} {name}");
                    continue;
                }
                assert!(NUMBERS.contains(oid), "{command} {name} is of type {oid}");
                let number = cell.as_deref().map(str::parse::<f64>);
                assert!(matches!(number, Some(Ok(number)) if number >= 0.0), "{command} {name}: {cell:?}");
            }
        }
    }
    raw.send_query("SHOW NOTHING;").await;
    assert_eq!(error_of(&raw.until_ready().await[0]).0, "08P01");
}
