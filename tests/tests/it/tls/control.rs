//! The control plane's sessions: the same TLS as the servers' (FAILOVER_PROTOCOL.md section 1).

use std::os::unix::fs::PermissionsExt;

use howdah_testkit::{Account, Cluster};

use super::{Site, conninfo, console, psql};
use crate::support::{Binary, howdah_program, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_takes_only_tls_is_watched_and_used() {
    let mut site = Site::new();
    site.server = site.ca.sign("nodes", &["127.0.0.200", "127.0.0.201"]);
    // The servers run as another account when the test is root.
    std::fs::set_permissions(site.dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    Account::choose().unwrap().own(&site.server.key).unwrap();
    let cluster = Cluster::builder()
        .replicas(1)
        .setting("ssl", "on")
        .setting("ssl_cert_file", &site.server.cert.to_string_lossy())
        .setting("ssl_key_file", &site.server.key.to_string_lossy())
        .hba_line("hostssl all howdah 127.0.0.0/8 trust")
        .hba_line("hostnossl all howdah 127.0.0.0/8 reject")
        .sql("CREATE ROLE howdah SUPERUSER LOGIN")
        .start()
        .await
        .unwrap();
    let nodes: Vec<String> = cluster.nodes().iter().map(|node| node.address().to_string()).collect();
    let settings = format!(
        "logfile = @DIR@/log\nserver_tls_sslmode = verify-full\nserver_tls_ca_file = {}\n[clusters]\n\
         main = nodes={} user=howdah probe_interval=0.1",
        site.ca.file("ca").display(),
        nodes.join(",")
    );
    let binary = Binary::start("postgres = cluster=main dbname=postgres user=howdah", &settings).await;
    until("the cluster to be known", || async {
        let nodes = console(&binary, "SHOW NODES").await.unwrap();
        nodes.contains("primary") && nodes.contains("replica")
    })
    .await;
    let seen = "SELECT current_user, bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                WHERE usename = 'howdah' GROUP BY 1";
    assert_eq!(psql(&conninfo(&binary, ""), seen).await.as_deref(), Ok("howdah|t"));
    let doctor =
        std::process::Command::new(howdah_program()).arg("doctor").arg(binary.file()).output().unwrap();
    let text = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(text.contains("127.0.0.200") || text.contains("node"), "{text}");
    assert_ne!(doctor.status.code(), Some(1), "{text}");
}
