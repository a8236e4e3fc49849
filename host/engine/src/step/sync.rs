//! Asks Apple what changed and stores it.
//!
//! The invariant: a page and the cursor after it are stored together. So a run that ends anywhere
//! goes on at the next page, and none is lost or skipped.

use domain::device::Cursor;
use domain::run::Synced;
use domain::workflow::Retry;

use super::Lane;
use crate::apple::{self, Lookup, Next, PageAnswer};
use crate::failure::Error;
use crate::store::Phase;

/// What Apple allows when it does not say otherwise. (Apple: "Get a List of Devices".)
const DEFAULT_PAGE: u32 = 100;
/// How many devices are read back in one call.
const LOOKUP_BATCH: usize = 1_000;
/// As many notes on devices that cannot be read go into the run's record.
const MOST_NOTES: usize = 20;

pub(crate) async fn sync(lane: &Lane<'_>, full: bool, retry: Retry) -> Result<Synced, Error> {
    let mut synced = Synced { read_back: lane.read_back, ..Synced::default() };
    let store = &lane.engine.store;
    let mut state = store.sync_state(&lane.token).await?;
    if full || (state.phase == Phase::Fetch && state.cursor.is_none()) {
        store.begin_full_fetch(&lane.token).await?;
        state.phase = Phase::Fetch;
        state.cursor = None;
    }
    let limit = state.page_limit.unwrap_or(DEFAULT_PAGE);
    let (mut phase, mut cursor) = (state.phase, state.cursor);
    let mut restarted = false;
    loop {
        lane.go_on()?;
        let answer = match phase {
            Phase::Fetch => {
                synced.full = true;
                lane.retrying(retry, || lane.client.fetch(cursor.as_ref(), limit)).await
            }
            Phase::Sync => {
                let sent = cursor.clone().unwrap_or(Cursor(String::new()));
                lane.retrying(retry, || lane.client.sync(&sent, limit)).await
            }
        };
        match answer {
            Ok(answer) => {
                synced.pages += 1;
                let stalled = answer.page.more_to_follow
                    && (answer.page.cursor.is_none() || answer.page.cursor == cursor);
                let more = answer.page.more_to_follow;
                cursor = take(lane, answer, cursor, phase, &mut synced).await?;
                lane.progress("sync", synced.added + synced.changed + synced.gone, None);
                if stalled {
                    return Err(Error::Stalled(lane.token.clone()));
                }
                match (phase, more) {
                    (_, true) => {}
                    (Phase::Fetch, false) => {
                        synced.gone += store.complete_full_fetch(&lane.token, cursor.clone()).await?;
                        // What changed while the pages were read is in no page; it is after the cursor.
                        phase = Phase::Sync;
                    }
                    (Phase::Sync, false) => break,
                }
            }
            Err(Error::Apple(error)) => match (error.next(), phase) {
                (Next::Done, Phase::Fetch) => {
                    synced.gone += store.complete_full_fetch(&lane.token, cursor.clone()).await?;
                    phase = Phase::Sync;
                }
                (Next::Done, Phase::Sync) => break,
                (Next::FetchEverything, _) if !restarted => {
                    tracing::info!(token = %lane.token, run = %lane.run, "{error}; fetching every device");
                    store.begin_full_fetch(&lane.token).await?;
                    (phase, cursor, restarted) = (Phase::Fetch, None, true);
                }
                _ => return Err(error.into()),
            },
            Err(other) => return Err(other),
        }
    }
    synced.devices = store.synced(&lane.token, lane.engine.now()).await?;
    Ok(synced)
}

/// Stores one page and returns the cursor after it.
async fn take(
    lane: &Lane<'_>,
    answer: PageAnswer,
    sent: Option<Cursor>,
    phase: Phase,
    synced: &mut Synced,
) -> Result<Option<Cursor>, Error> {
    let PageAnswer { page, unreadable } = answer;
    let cursor = page.cursor.or(sent);
    let unread = unreadable.iter().map(|device| device.serial.clone()).collect();
    let (store, now) = (&lane.engine.store, lane.engine.now());
    let stored = store.store_page(&lane.token, page.changes, unread, cursor.clone(), phase, now).await?;
    synced.added += stored.added;
    synced.changed += stored.changed;
    synced.gone += stored.gone;
    for device in unreadable {
        let serial =
            device.serial.map_or_else(|| "a device without serial number".to_owned(), |it| it.to_string());
        let note = format!("{serial}: {}", device.why);
        tracing::warn!(token = %lane.token, run = %lane.run, "a device was set aside: {note}");
        if synced.unreadable.len() < MOST_NOTES {
            synced.unreadable.push(note);
        }
    }
    Ok(cursor)
}

/// Asks Apple what became of assignments that were sent and never answered. Done before a lane's
/// first step, whatever that is. Returns how many are settled now.
pub(crate) async fn read_back(lane: &Lane<'_>) -> Result<u64, Error> {
    let in_flight = lane.engine.store.in_flight(&lane.token).await?;
    let mut read = 0;
    for batch in in_flight.chunks(LOOKUP_BATCH) {
        lane.go_on()?;
        let serials: Vec<_> = batch.iter().map(|(_, serial, _)| serial.clone()).collect();
        let mut answers = lane.client.devices(&serials).await?;
        let mut found = Vec::new();
        for (run, serial, profile) in batch {
            match answers.remove(serial) {
                Some(Lookup::Found(device)) => {
                    found.push((run.clone(), serial.clone(), profile.clone(), Some(*device)));
                }
                Some(Lookup::NotAccessible) => {
                    found.push((run.clone(), serial.clone(), profile.clone(), None))
                }
                // Not settled: it stays in flight and is asked about again.
                Some(Lookup::Failed(_)) | None => {}
            }
        }
        read += found.len() as u64;
        lane.engine.store.read_back(&lane.token, found, lane.engine.now()).await?;
    }
    Ok(read)
}

/// Whether an error leaves open if Apple carried the call out.
pub(super) fn is_ambiguous(error: &apple::Error) -> bool {
    matches!(error.next(), Next::Retry { .. })
}
