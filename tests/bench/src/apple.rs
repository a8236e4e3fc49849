//! Apple, in a process of its own: the simulator with one server and its fleet.

use anyhow::Context as _;
use reqwest::{Client, RequestBuilder};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sim::{Options, ServerOptions, Settings, Sim};

use crate::measure::{self, Part, Process};

/// The only server.
const SERVER: &str = "bench";
/// The same fleet every time.
const SEED: u64 = 1;

/// What is played.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Play {
    /// So many devices.
    pub(crate) devices: u64,
    /// The largest page; the simulator's own if none is given.
    pub(crate) page_limit: Option<usize>,
    /// How long every answer takes.
    pub(crate) latency_ms: u64,
}

/// Plays Apple until standard input is closed; the first thing it says is its address.
pub(crate) fn play(play: Play) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        let settings = Settings { latency_ms: play.latency_ms, ..Settings::default() };
        let sim = Sim::start(Options { settings, ..Options::default() }).await?;
        sim.create_server(ServerOptions { page_limit: play.page_limit, ..ServerOptions::new(SERVER) });
        sim.generate_devices(SERVER, usize::try_from(play.devices)?, SEED)?;
        measure::answer(&sim.url())?;
        let closed =
            tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
        closed.await?.context("cannot tell when to end")?;
        Ok(())
    })
}

/// Apple as it runs elsewhere.
pub(crate) struct Apple {
    _process: Process,
    url: String,
    http: Client,
}

impl Apple {
    /// Starts it and waits until it answers.
    pub(crate) async fn start(play: Play) -> anyhow::Result<Self> {
        let mut process = Process::start(&Part::Apple(play)).await?;
        let url = process.answer().await.context("the simulator did not start")?;
        Ok(Self { _process: process, url, http: Client::new() })
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What an administrator downloads from the portal for a certificate.
    pub(crate) async fn token(&self, certificate_pem: String) -> anyhow::Result<Vec<u8>> {
        self.tell(self.http.post(self.at("token")).body(certificate_pem)).await
    }

    /// Gives some devices another asset tag, and returns how many.
    pub(crate) async fn change(&self, devices: u64, asset_tag: &str) -> anyhow::Result<u64> {
        let list = self.tell(self.http.get(self.at(&format!("devices?limit={devices}")))).await?;
        let list: Vec<Value> = serde_json::from_slice(&list).context("the simulator's list is no list")?;
        let change = json!({ "asset_tag": asset_tag }).to_string();
        for device in &list {
            let serial = device["serial_number"].as_str().context("a device without a serial number")?;
            self.tell(self.http.patch(self.at(&format!("devices/{serial}"))).body(change.clone())).await?;
        }
        Ok(list.len() as u64)
    }

    /// So many calls were answered so far.
    pub(crate) async fn calls(&self) -> anyhow::Result<u64> {
        let counters = self.tell(self.http.get(format!("{}/sim/counters", self.url))).await?;
        let counters: Value = serde_json::from_slice(&counters).context("the simulator counts nothing")?;
        counters["calls"].as_u64().context("the simulator counts no calls")
    }

    /// One request to the control side.
    async fn tell(&self, request: RequestBuilder) -> anyhow::Result<Vec<u8>> {
        let answer = request.send().await.and_then(reqwest::Response::error_for_status);
        let answer = answer.context("the simulator does not do what it is told")?;
        Ok(answer.bytes().await.context("the simulator breaks off")?.to_vec())
    }

    fn at(&self, what: &str) -> String {
        format!("{}/sim/servers/{SERVER}/{what}", self.url)
    }
}
