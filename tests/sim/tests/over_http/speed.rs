//! How fast a large fleet is made and listed. Measures, and so is not run unless asked for:
//! `cargo test --release -p sim --test over_http -- --ignored --nocapture speed`

use crate::client::Client;
use serde_json::json;
use sim::{Options, ServerOptions, Sim};
use std::time::Instant;

const FLEET: usize = 1_000_000;

/// Reads the whole list, looks at nothing but the cursor, and returns how many bytes came.
async fn list(client: &Client, limit: usize) -> usize {
    let (mut bytes, mut body) = (0, json!({ "limit": limit }));
    loop {
        let page = client.post("/server/devices", body).await;
        assert_eq!(page.status, 200, "{}", page.text);
        bytes += page.text.len();
        let head = &page.text[..300];
        if head.contains(r#""more_to_follow":false"#) {
            return bytes;
        }
        let cursor = head.split('"').nth(3).unwrap();
        body = json!({ "limit": limit, "cursor": cursor });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn speed_of_a_fleet_of_a_million() {
    let began = Instant::now();
    let sim = Sim::start(Options::default()).await.unwrap();
    sim.create_server(ServerOptions { page_limit: Some(5000), ..ServerOptions::new("emea") });
    sim.generate_fleet("emea", FLEET, 1).unwrap();
    println!("made {FLEET} devices in {:.2} s", began.elapsed().as_secs_f64());
    let client = crate::client(&sim).await;
    for limit in [1000, 5000] {
        let began = Instant::now();
        let bytes = list(&client, limit).await;
        let seconds = began.elapsed().as_secs_f64();
        println!(
            "listed them in pages of {limit} in {seconds:.2} s: {:.0} devices/s, {:.0} MB/s",
            FLEET as f64 / seconds,
            bytes as f64 / seconds / 1e6
        );
    }
}
