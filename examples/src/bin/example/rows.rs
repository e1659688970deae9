//! The program's table and its three statements. Which server ran one is asked of that server.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio_postgres::{Error, Row, Statement};

use crate::session::Session;

/// `run` and `number` are the program's own key of a row: written twice, it is there once.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS data (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    run text NOT NULL,
    number bigint NOT NULL,
    UNIQUE (run, number))";

const CREATE: &str = "INSERT INTO data (name, run, number) VALUES ('Test', $1, $2)
    ON CONFLICT (run, number) DO UPDATE SET name = excluded.name
    RETURNING id, name, host(inet_server_addr())";

/// The row, who answered, and how many of this program's rows are there.
const READ: &str = "SELECT id, name, host(inet_server_addr()), (SELECT count(*) FROM data WHERE run = $1)
    FROM data WHERE run = $1 AND number = $2";

/// A row as the program prints it.
pub(crate) struct Printed {
    id: i64,
    name: String,
}

impl fmt::Display for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{} {}}}", self.id, self.name)
    }
}

/// What a statement gave, and the address of the server that ran it.
pub(crate) struct Answer {
    pub(crate) row: Printed,
    pub(crate) server: String,
}

impl Answer {
    fn of(row: &Row) -> Result<Self, Error> {
        // A Unix socket has no address.
        let server: Option<String> = row.try_get(2)?;
        let server = server.unwrap_or_else(|| "a local socket".to_owned());
        Ok(Self { row: Printed { id: row.try_get(0)?, name: row.try_get(1)? }, server })
    }
}

/// The statements, prepared once for the session's whole life.
pub(crate) struct Rows {
    /// This run of the program.
    run: String,
    create: Statement,
    read: Statement,
}

impl Rows {
    /// Makes the table if it is missing, and prepares the statements.
    pub(crate) async fn prepare(session: &Session) -> Result<Self, Error> {
        session.client.batch_execute(TABLE).await?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self {
            run: format!("{} {}", session.marker(), since.as_micros()),
            create: session.client.prepare(CREATE).await?,
            read: session.client.prepare(READ).await?,
        })
    }

    /// Writes a row.
    pub(crate) async fn create(&self, session: &Session, number: u64) -> Result<Answer, Error> {
        let row = session.client.query_one(&self.create, &[&self.run, &number.cast_signed()]).await?;
        Answer::of(&row)
    }

    /// Reads it back; also gives the count of this run's rows.
    pub(crate) async fn read(&self, session: &Session, number: u64) -> Result<(Answer, u64), Error> {
        let row = session.client.query_one(&self.read, &[&self.run, &number.cast_signed()]).await?;
        let count: i64 = row.try_get(3)?;
        Ok((Answer::of(&row)?, count.cast_unsigned()))
    }
}
