//! `deputy sync`: asks Apple what changed, now.

use std::time::Duration;

use domain::id::TokenName;
use domain::workflow::{Full, Mode, Promises, Retry, Step, Uses, Workflow};

use crate::Common;
use crate::app::{App, Policies};
use crate::commands::run::{Manner, carry_out};
use crate::exit::Outcome;

/// What `deputy sync` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only these tokens [default: all]
    tokens: Vec<TokenName>,
    /// Fetch every device instead of the changes
    #[arg(long)]
    full: bool,
}

/// Carries the command out.
pub(crate) async fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let app = App::open(&common.config, Policies::Unused).await?;
    let tokens = app.tokens(&arguments.tokens)?;
    let retry = Retry { attempts: 3, backoff: Duration::from_secs(1) };
    // Between two full fetches of a workflow's own accord; a person gets theirs at once.
    let full = if arguments.full { Full::Now } else { Full::Every(Duration::from_secs(24 * 3600)) };
    let workflow = Workflow {
        // Not the name of a file in workflows/: their runs are told apart.
        name: "sync-by-hand".parse().expect("a good name"),
        description: String::new(),
        enabled: true,
        mode: Mode::Live,
        tokens: Some(tokens),
        timing: None,
        promises: Promises::default(),
        timeout: Duration::from_secs(24 * 3600),
        steps: vec![Step::new(Uses::Sync { full, retry })],
    };
    carry_out(common, &app, &workflow, Manner::default()).await
}
