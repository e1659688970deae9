//! `auth_type = cert` and HBA's `cert` and `hostssl`: who a client is, its certificate says.

use howdah_testkit::{Options, Postgres};

use super::{Site, conninfo, log, psql};
use crate::support::{Binary, Pair, entry};

/// The end of a connection string that shows this certificate as this user.
fn shows(pair: &Pair, user: &str) -> String {
    // libpq refuses a key that others may read.
    let more = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&pair.key, more).unwrap();
    format!("user={user} sslmode=require sslcert={} sslkey={}", pair.cert.display(), pair.key.display())
}

/// A server that trusts everybody who comes from here.
async fn server() -> Postgres {
    let trust = Options::default().hba_line("host all all 127.0.0.1/32 trust");
    Postgres::single(trust.sql("CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN")).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_common_name_is_the_user() {
    let (pg, site) = (server().await, Site::new());
    let (alice, ghost) = (site.ca.sign("alice", &[]), site.ca.sign("ghost", &[]));
    let databases = format!("postgres = {}", entry(&pg, ""));
    let binary = Binary::start(&databases, &site.settings("verify-ca", "auth_type = cert")).await;
    let who = |more: String| {
        let at = conninfo(&binary, &more);
        async move { psql(&at, "SELECT current_user").await }
    };
    assert_eq!(who(shows(&alice, "alice")).await.as_deref(), Ok("alice"));
    for (pair, user) in [(&alice, "bob"), (&ghost, "ghost")] {
        let refusal = who(shows(pair, user)).await.unwrap_err();
        assert!(refusal.contains("certificate authentication failed"), "{user}: {refusal}");
    }
    assert!(log(binary.dir()).contains("TLS certificate name mismatch"), "{}", log(binary.dir()));
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_for_tls_and_maps_of_common_names() {
    let (pg, site) = (server().await, Site::new());
    let carl = site.ca.sign("carl", &[]);
    let databases = format!("postgres = {}", entry(&pg, ""));
    let settings = site.settings(
        "verify-ca",
        "auth_type = hba\nauth_hba_file = @DIR@/hba.conf\nauth_ident_file = @DIR@/ident.conf",
    );
    let hba = "hostnossl all all all reject\nhostssl all bob all cert map=m1\nhostssl all alice all cert map=m2\n\
               hostssl all postgres all trust\n";
    let files = [("hba.conf", hba), ("ident.conf", "m1 carl bob\nm2 someone alice\n")];
    let binary = Binary::start_with(&databases, &settings, &files).await;
    let who = |more: String| {
        let at = conninfo(&binary, &more);
        async move { psql(&at, "SELECT current_user").await }
    };
    assert_eq!(who(shows(&carl, "bob")).await.as_deref(), Ok("bob"));
    assert_eq!(who(shows(&carl, "postgres")).await.as_deref(), Ok("postgres"), "hostssl is for TLS");
    let refusal = who(shows(&carl, "alice")).await.unwrap_err();
    assert!(refusal.contains("certificate authentication failed"), "{refusal}");
    assert!(log(binary.dir()).contains("ident map: m2 does not have a match"), "{}", log(binary.dir()));
}
