//! The log: one line where a thing is handled, on standard error, so that results can be piped.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Starts the log. The daemon tells what it does; a command has its result, and logs only if asked.
/// `DEPUTY_LOG` overrides both, in the syntax of `tracing` (`info`, `engine=debug`).
pub(crate) fn start(verbose: u8, serving: bool) {
    let level = match (verbose, serving) {
        (0, false) => "off",
        (0, true) | (1, false) => "info",
        _ => "debug",
    };
    // What libraries say below a warning is for their authors.
    let words = format!("warn,deputy={level},engine={level},sandbox={level},domain={level}");
    let words = if level == "off" { level.to_owned() } else { words };
    let filter = EnvFilter::try_from_env("DEPUTY_LOG").unwrap_or_else(|_| EnvFilter::new(words));
    let channel = format!("{}=info", engine::channel::LOG_TARGET);
    let filter = filter.add_directive(channel.parse().expect("a good directive"));
    let waiting = format!("{}=info", engine::runner::WAITING_TARGET);
    let filter = filter.add_directive(waiting.parse().expect("a good directive"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}
