//! Much data over TLS, over both kinds of sockets.

use super::{Site, conninfo, psql};
use crate::support::{Binary, entry, postgres};

#[tokio::test(flavor = "multi_thread")]
async fn large_answers_and_requests_come_whole() {
    let pg = postgres().await;
    let site = Site::new();
    for uring in ["off", "on"] {
        let settings = site.settings("require", &format!("io_uring = {uring}\nworker_threads = 1"));
        let binary = Binary::start(&format!("postgres = {}", entry(&pg, "")), &settings).await;
        let ask = conninfo(&binary, "sslmode=require");
        let rows =
            psql(&ask, "SELECT i, repeat(md5(i::text), 40) FROM generate_series(1, 20000) i").await.unwrap();
        assert_eq!(rows.lines().count(), 20_000);
        let wanted = pg.value("SELECT repeat(md5('20000'), 40)").await.unwrap();
        assert_eq!(rows.lines().last().unwrap(), format!("20000|{wanted}"));
        // A query of some megabytes, in one message.
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("query.sql");
        let long: String = (0..400_000).map(|i| format!("{i:08}")).collect();
        std::fs::write(&file, format!("SELECT md5('{long}'), length('{long}');")).unwrap();
        let include = format!("\\i {}", file.display());
        let answer = psql(&ask, &include).await;
        let direct = psql(&pg.conninfo("postgres"), &include).await;
        assert!(answer.as_ref().is_ok_and(|text| text.ends_with("|3200000")), "{answer:?}");
        assert_eq!(answer, direct);
    }
}
