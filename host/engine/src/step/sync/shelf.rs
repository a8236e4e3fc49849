//! Pages on their way into the store, while the next ones are on their way from Apple.
//!
//! Few large writes cost much less than one for each page, and a write and a request can go on at the same
//! time. The invariant stays: devices and the cursor after them are stored together. What is lost when
//! the process dies is only the work of fetching the last pages again.

use domain::id::TokenName;
use tokio::task::JoinHandle;

use crate::store::{self, PageResult, Pages, Seen, Store};

/// No more devices than these wait in memory for a write that is going on.
const MOST: usize = 4_000;

/// Gathers pages and writes them in order, one write at a time.
pub(super) struct Shelf {
    store: Store,
    token: TokenName,
    gathered: Option<Pages>,
    writing: Option<JoinHandle<Result<PageResult, store::Error>>>,
    written: PageResult,
}

impl Shelf {
    pub(super) fn new(store: Store, token: TokenName) -> Self {
        Self { store, token, gathered: None, writing: None, written: PageResult::default() }
    }

    /// Takes a page. It is written at once if nothing else is, otherwise with what comes meanwhile; so the
    /// slower the store and the quicker Apple, the larger the writes.
    pub(super) async fn put(&mut self, page: Pages, seen: Seen) -> Result<(), store::Error> {
        match &mut self.gathered {
            Some(gathered) => {
                gathered.changes.extend(page.changes);
                gathered.unreadable.extend(page.unreadable);
                (gathered.cursor, gathered.phase) = (page.cursor, page.phase);
            }
            empty => *empty = Some(page),
        }
        let idle = self.writing.as_ref().is_none_or(JoinHandle::is_finished);
        let full = self
            .gathered
            .as_ref()
            .is_some_and(|gathered| gathered.changes.len() + gathered.unreadable.len() >= MOST);
        if idle || full { self.write(seen).await } else { Ok(()) }
    }

    /// Waits until everything is in the store, and tells what all of it made of the inventory.
    pub(super) async fn clear(&mut self, seen: Seen) -> Result<PageResult, store::Error> {
        self.write(seen).await?;
        self.settle().await?;
        Ok(self.written)
    }

    /// Begins to write what has gathered.
    async fn write(&mut self, seen: Seen) -> Result<(), store::Error> {
        self.settle().await?;
        if let Some(pages) = self.gathered.take() {
            let (store, token) = (self.store.clone(), self.token.clone());
            self.writing = Some(tokio::spawn(async move { store.store_pages(&token, pages, seen).await }));
        }
        Ok(())
    }

    /// Waits for the write that is going on.
    async fn settle(&mut self) -> Result<(), store::Error> {
        let Some(writing) = self.writing.take() else { return Ok(()) };
        // It panicked, and the thread of the store with it.
        let PageResult { added, changed, gone, twice } =
            writing.await.map_err(|_| store::Error::Closed)??;
        self.written.added += added;
        self.written.changed += changed;
        self.written.gone += gone;
        self.written.twice += twice;
        Ok(())
    }
}
