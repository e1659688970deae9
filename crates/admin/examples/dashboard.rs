//! The dashboard with made-up rows, to look at it without a cluster:
//! `cargo run -p howdah-admin --example dashboard -- 127.0.0.1:9187`, with `plain` behind it for a pooler without
//! clusters.

use std::sync::Arc;
use std::time::Instant;

#[path = "../tests/admin/fake.rs"]
mod fake;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9187".to_owned());
    let no_clusters = std::env::args().nth(2).is_some_and(|word| word == "plain");
    let listener = tokio::net::TcpListener::bind(&address).await?;
    eprintln!("http://{}/ until Ctrl-C", listener.local_addr()?);
    let pooler = fake::Fake { busy_since: Some(Instant::now()), no_clusters, ..fake::Fake::default() };
    let until = async {
        // proof: without a signal handler there is nothing to wait for, and Ctrl-C ends the process anyway.
        let _ = tokio::signal::ctrl_c().await;
    };
    howdah_admin::http::serve(listener, Arc::new(pooler), until).await
}
