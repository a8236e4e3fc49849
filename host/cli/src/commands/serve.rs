//! `deputy serve`: the daemon.

use std::sync::Arc;
use std::time::Duration;

use engine::daemon::{self, Event};
use engine::engine::Engine;
use engine::lock::Held;
use engine::settings::Settings;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::Common;
use crate::app::{App, Policies, settings};
use crate::config::Config;
use crate::exit::{Exit, Outcome, Problem};

/// What `deputy serve` takes.
#[derive(clap::Args)]
#[command(
    after_help = "SIGTERM and Ctrl-C stop it cleanly: a run comes to the end of its page or call first.
SIGHUP reads the configuration again; with a mistake in it, the daemon goes on with the one before."
)]
pub(crate) struct Arguments {}

/// Carries the command out.
pub(crate) async fn run(common: &Common, _: &Arguments) -> Outcome {
    // From here on SIGHUP waits: plugins may take a while to compile, and a reload is no reason to end.
    let hangup = signal(SignalKind::hangup()).map_err(unheard)?;
    let app = App::open(&common.config, Policies::All).await?;
    app.engine.store.check_integrity().await?;
    let Some(_held) = hold(&app.engine).await? else {
        let problem = Problem::new(Exit::Failure, "another `deputy serve` works with this store");
        return Err(problem.hint("stop it first, or leave the work to it"));
    };
    tell_unusable(&app.engine.settings);
    let (tokens, workflows) = (app.config.tokens.len(), app.config.workflows.len());
    let (sender, events) = mpsc::channel(8);
    listen(sender, hangup)?;
    tracing::info!("serving; tokens: {tokens}, workflows: {workflows}");

    let path = common.config.clone();
    let reload = Arc::new(move |before: &Settings| match Config::read(&path) {
        Ok(config) => {
            let settings = settings(&config, Policies::Checked, Some(before));
            tell_unusable(&settings);
            Ok(settings)
        }
        Err(problem) => Err(problem.chain.join(": ")),
    });
    daemon::serve(app.engine, events, reload).await?;
    Ok(Exit::Success)
}

/// Others take what the daemon holds for a moment, to see whether somebody serves.
const TRIES: u32 = 10;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(150);

/// Makes sure that nobody else serves this store; none if somebody does.
async fn hold(engine: &Engine) -> Outcome<Option<Held>> {
    for _ in 1..TRIES {
        if let Some(held) = engine.hold_daemon()? {
            return Ok(Some(held));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(engine.hold_daemon()?)
}

/// Plugins that cannot be used cost their own workflows, and somebody should know before they are due.
fn tell_unusable(settings: &Settings) {
    for unusable in settings.policies.values().filter_map(|policy| policy.as_ref().err()) {
        let hint = unusable.hint.as_ref().map_or(String::new(), |hint| format!("\nhint: {hint}"));
        tracing::error!("{}{hint}", unusable.error);
    }
}

/// Turns signals into events.
fn listen(events: mpsc::Sender<Event>, mut hangup: Signal) -> Outcome<()> {
    let mut terminate = signal(SignalKind::terminate()).map_err(unheard)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unheard)?;
    tokio::spawn(async move {
        loop {
            let event = tokio::select! {
                _ = terminate.recv() => Event::Shutdown,
                _ = interrupt.recv() => Event::Shutdown,
                _ = hangup.recv() => Event::Reload,
            };
            if events.send(event).await.is_err() {
                return;
            }
        }
    });
    Ok(())
}

fn unheard(error: std::io::Error) -> Problem {
    Problem::new(Exit::Failure, format!("cannot listen for signals: {error}"))
}
