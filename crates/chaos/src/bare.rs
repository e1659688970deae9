//! The bare limit: the same failover by hand, over standing sessions, by somebody who knows that the primary is dead.
//!
//! Measured beside each kill on a cluster of its own, so that the machine is as busy as it is for the pooler.

use std::time::{Duration, Instant};

use howdah_testkit::{Cluster, wait_until};
use tokio_postgres::Client;

use crate::Failure;
use crate::direct::rows;

/// The most that it may take (time).
const LIMIT: Duration = Duration::from_secs(30);

/// A cluster for this alone.
#[derive(Debug)]
pub(crate) struct Bare {
    cluster: Cluster,
}

impl Bare {
    pub(crate) async fn start() -> Result<Self, Failure> {
        let cluster = Cluster::builder()
            .replicas(2)
            .synchronous("ANY 1 (node1, node2)")
            .sql("CREATE TABLE t (i int)")
            .start()
            .await?;
        Ok(Self { cluster })
    }

    /// From the kill of the primary to the acknowledgement of the first synchronous write on the promoted standby.
    /// Afterwards the cluster is made anew.
    pub(crate) async fn measure(&self) -> Result<Duration, Failure> {
        let [primary, elected, other] = [0, 1, 2].map(|node| self.cluster.node(node));
        for node in [elected, other] {
            node.psql("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (node1, node2)'").await?;
        }
        let [sessions_elected, sessions_other] = [elected.connect().await?, other.connect().await?];
        let killed = Instant::now();
        primary.kill9()?;
        for session in [&sessions_elected, &sessions_other] {
            set(session, "primary_conninfo", "").await?;
        }
        for session in [&sessions_elected, &sessions_other] {
            until(session, "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)").await?;
        }
        set(&sessions_other, "primary_conninfo", &self.cluster.conninfo_to(2, elected)).await?;
        rows(&sessions_elected, "SELECT pg_promote(wait => false)").await?;
        until(&sessions_elected, "SELECT NOT pg_is_in_recovery()").await?;
        rows(&sessions_elected, "INSERT INTO t VALUES (1)").await?;
        let took = killed.elapsed();
        self.make_anew().await?;
        Ok(took)
    }

    /// The first node is primary again.
    async fn make_anew(&self) -> Result<(), Failure> {
        let [primary, elected, _] = [0, 1, 2].map(|node| self.cluster.node(node));
        self.cluster.rebuild(0, elected).await?;
        self.cluster.wait_caught_up(elected, primary).await?;
        elected.stop().await?;
        primary.psql("SELECT pg_promote()").await?;
        for node in [1, 2] {
            self.cluster.rebuild(node, primary).await?;
        }
        Ok(self.cluster.wait_streaming().await?)
    }
}

async fn set(session: &Client, name: &str, value: &str) -> Result<(), Failure> {
    rows(session, &format!("ALTER SYSTEM SET {name} = '{value}'")).await?;
    rows(session, "SELECT pg_reload_conf()").await?;
    Ok(())
}

async fn until(session: &Client, sql: &str) -> Result<(), Failure> {
    let answer = || async {
        rows(session, sql).await.is_ok_and(|rows| rows.iter().any(|row| row.text(0) == Some("t")))
    };
    Ok(wait_until(sql, LIMIT, answer).await?)
}
