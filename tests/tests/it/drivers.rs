//! The programs and drivers that people use, through the real binary in transaction mode.
//!
//! psycopg and asyncpg come from a virtual environment: `HOWDAH_PYTHON` names its interpreter, else one is made under
//! `target/venv`.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use howdah_testkit::{Options, Postgres};
use tokio::process::Command;

use crate::support::{Binary, entry};

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
