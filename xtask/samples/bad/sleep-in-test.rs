//! A test that waits for a while and hopes.

#[tokio::test]
async fn waits() {
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
}
