//! `deputy-sim`: the simulator as a program, for people and for clients in any language.

use anyhow::Context;
use clap::Parser;
use serde_json::Value;
use sim::{Fault, Options, ServerOptions, Settings, Sim};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

/// Plays Apple's device enrolment service (DEP, Automated Device Enrollment) on this machine.
///
/// Point any client at the URL it prints instead of https://mdmenrollment.apple.com. Server tokens, devices,
/// profiles, cursors, sessions and error bodies behave as Apple's do; everything is in memory and gone when
/// the program ends. `/sim/` on the same address is where you do what an administrator does in Apple's
/// portal, and arrange bad days.
#[derive(Parser)]
#[command(name = "deputy-sim", after_help = EXAMPLES)]
struct Arguments {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8170", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// A server entry to begin with; may be repeated [default: Demo]
    #[arg(long = "server", value_name = "NAME")]
    servers: Vec<String>,
    /// Devices to put on each of these servers
    #[arg(long, default_value_t = 0, value_name = "N")]
    devices: usize,
    /// Which fleet: the same number makes the same devices
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// Largest page of devices, for all of these servers
    #[arg(long, value_name = "N")]
    page_limit: Option<usize>,
    /// How long every answer of Apple's side takes, in milliseconds
    #[arg(long, default_value_t = 0, value_name = "MS")]
    latency: u64,
    /// Any of the settings that `/sim/settings` shows; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<(String, Value)>,
    /// A fault as `/sim/faults` takes it, in JSON; may be repeated
    #[arg(long = "fault", value_name = "JSON", value_parser = fault)]
    faults: Vec<Fault>,
}

/// A value is JSON if it can be, and else a text.
fn setting(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("a setting is written NAME=VALUE")?;
    Ok((name.into(), serde_json::from_str(value).unwrap_or_else(|_| value.into())))
}

fn fault(text: &str) -> Result<Fault, String> {
    Fault::from_json(serde_json::from_str(text).map_err(|error| error.to_string())?)
}

const EXAMPLES: &str = r#"Examples:
  deputy-sim --devices 250
  deputy-sim --server emea --server amer --devices 5000 --page-limit 500 --latency 50
  deputy-sim --devices 250 --set throttle_after=3 --set duplicates=true --set error_style=quoted
  deputy-sim --fault '{"kind": "hang_up_after", "probability": 0.1, "times": 0}'
  deputy-sim --fault '{"name": "too_many_requests", "endpoint": "session", "times": 2}'

A server token for your client, from its certificate:
  curl --data-binary @certificate.pem http://127.0.0.1:8170/sim/servers/Demo/token > token.p7m
Everything else the control side can do:
  curl http://127.0.0.1:8170/sim/"#;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let listen = arguments.listen;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime");
    let Err(error) = runtime.and_then(|runtime| runtime.block_on(run(arguments))) else {
        return ExitCode::SUCCESS;
    };
    eprintln!("error: {error}");
    error.chain().skip(1).for_each(|cause| eprintln!("  caused by: {cause}"));
    let taken = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|it| it.kind() == io::ErrorKind::AddrInUse)
    };
    if error.chain().any(taken) {
        eprintln!("hint: something listens on {listen} already; `--listen 127.0.0.1:0` takes a free port");
    }
    ExitCode::FAILURE
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let settings = Settings { latency_ms: arguments.latency, ..Settings::default() };
    let settings = settings.with(arguments.settings.into_iter().collect()).context("`--set` is not right")?;
    let sim = Sim::start(Options { listen: arguments.listen, settings }).await?;
    let servers = if arguments.servers.is_empty() { vec!["Demo".to_owned()] } else { arguments.servers };
    for name in &servers {
        let options = ServerOptions { page_limit: arguments.page_limit, ..ServerOptions::new(name) };
        sim.create_server(options);
        sim.generate_fleet(name, arguments.devices, arguments.seed)?;
    }
    arguments.faults.into_iter().for_each(|fault| sim.fault(fault));
    greet(&sim.url(), &servers, arguments.devices);
    until_told_to_stop().await?;
    sim.stop().await;
    Ok(())
}

/// Whoever started us may have stopped listening; that is no reason to stop answering.
fn greet(url: &str, servers: &[String], devices: usize) {
    let first = servers.first().map_or("Demo", String::as_str).replace(' ', "%20");
    let servers = servers.join(", ");
    let greeting = format!(
        "\
Apple's device enrolment service, simulated, at {url}
servers: {servers} ({devices} devices each)

a token for your client:  curl --data-binary @certificate.pem {url}/sim/servers/{first}/token
ten more devices:         curl -d '{{\"count\": 10}}' {url}/sim/servers/{first}/devices
what was called:          curl {url}/sim/calls
everything else:          curl {url}/sim/

stop with Ctrl-C
"
    );
    let mut out = std::io::stdout();
    _ = out.write_all(greeting.as_bytes()).and_then(|()| out.flush());
}

#[cfg(unix)]
async fn until_told_to_stop() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot listen for Ctrl-C"),
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn until_told_to_stop() -> anyhow::Result<()> {
    tokio::signal::ctrl_c().await.context("cannot listen for Ctrl-C")
}
