//! The next page, on its way from Apple while the last one is read.
//!
//! Only one request goes on at a time, as ever: the next is sent when an answer has come, without waiting for what
//! the devices in it come to. Nothing depends on it. An answer for which nobody asks after all is let go.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use domain::device::Cursor;
use tokio::task::JoinSet;

use crate::apple::{Client, Error, PageAnswer, UnreadPage};
use crate::stop::Stop;
use crate::store::Phase;

/// Which page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) phase: Phase,
    /// None for the first of a fetch.
    pub(super) cursor: Option<Cursor>,
    pub(super) limit: u32,
}

/// Gets pages, and begins to get those after them.
pub(super) struct Ahead {
    client: Client,
    stop: Stop,
    next: Mutex<Option<(At, Asked)>>,
}

/// A request of its own task, which ends with this.
type Asked = JoinSet<Result<UnreadPage, Error>>;

impl Ahead {
    pub(super) fn new(client: Client, stop: Stop) -> Self {
        Self { client, stop, next: Mutex::new(None) }
    }

    /// A page. Then the next is asked for: of what changed meanwhile, if this was the last of a fetch. Not with a
    /// cursor that is among those that were `sent`: who goes round in circles need not hurry.
    pub(super) async fn page(&self, at: &At, sent: &HashSet<Cursor>) -> Result<PageAnswer, Error> {
        let page = match self.take(at) {
            Some(mut asked) => match asked.join_next().await {
                Some(Ok(answer)) => answer?,
                // It panicked, which is worth another try and no more.
                _ => ask(&self.client, at).await?,
            },
            None => ask(&self.client, at).await?,
        };
        let next = page.next().and_then(|(cursor, is_more)| match (is_more, at.phase) {
            (true, phase) => Some((phase, cursor)),
            (false, Phase::Sync) => None,
            (false, _) => Some((Phase::Sync, cursor)),
        });
        let is_new = |cursor: &Cursor| Some(cursor) != at.cursor.as_ref() && !sent.contains(cursor);
        if let Some((phase, cursor)) = next.filter(|(_, cursor)| is_new(cursor) && !self.stop.is_set()) {
            let (client, next) = (self.client.clone(), At { phase, cursor: Some(cursor), limit: at.limit });
            let mut asked = Asked::new();
            asked.spawn({
                let next = next.clone();
                async move { ask(&client, &next).await }
            });
            *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some((next, asked));
        }
        // Reading takes as long as some answers do. Who read it here would keep the thread that is to send the request.
        match tokio::task::spawn_blocking(move || page.read()).await {
            Ok(Ok(read)) => Ok(read),
            Ok(Err(unreadable)) => {
                self.let_go();
                Err(unreadable)
            }
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The process ends, and nobody waits for the answer.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Ends the request that goes on, if any: nobody will ask for its answer.
    pub(super) fn let_go(&self) {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// The request that goes on, if it is for this page. Any other is let go.
    fn take(&self, at: &At) -> Option<Asked> {
        let going_on = self.next.lock().unwrap_or_else(PoisonError::into_inner).take();
        going_on.filter(|(next, _)| next == at).map(|(_, asked)| asked)
    }
}

async fn ask(client: &Client, at: &At) -> Result<UnreadPage, Error> {
    match (at.phase, &at.cursor) {
        (Phase::Sync, Some(cursor)) => client.sync(cursor, at.limit).await,
        (_, cursor) => client.fetch(cursor.as_ref(), at.limit).await,
    }
}
