//! Asks Apple what changed and stores it.
//!
//! The invariant: devices and the cursor after them are stored together. So a run that ends anywhere
//! goes on after what is stored, and no page is lost or skipped.

mod ahead;
mod shelf;

use std::collections::HashSet;
use std::time::Duration;

use domain::device::Cursor;
use domain::id::SerialNumber;
use domain::run::Synced;
use domain::workflow::{Full, Retry};
use jiff::Timestamp;

use self::ahead::{Ahead, At};
use self::shelf::Shelf;
use super::Lane;
use crate::apple::{self, Lookup, Next, PageAnswer};
use crate::failure::Error;
use crate::store::{Limits, PageResult, Pages, Phase, ReadBack, SyncState};

/// What Apple allows when it does not say otherwise. (Apple: "Get a List of Devices".)
const DEFAULT_PAGE: u32 = 100;
/// How many devices are read back in one call.
const LOOKUP_BATCH: usize = 1_000;
/// As many notes on devices that cannot be read go into the run's record, and as many into the log.
const MOST_NOTES: usize = 20;
/// For so long Apple is asked what became of an assignment or a removal; then it counts as failed.
pub(super) const GIVEN_UP: Duration = Duration::from_secs(24 * 3_600);
/// As many empty pages in a row are believed to lead somewhere.
const MOST_EMPTY: u32 = 100;

pub(crate) async fn sync(lane: &Lane<'_>, full: Full, retry: Retry) -> Result<Synced, Error> {
    let state = lane.engine.store.sync_state(&lane.token).await?;
    let begin = begins_anew(full, &state, lane.engine.now());
    let mut syncing = Syncing {
        lane,
        retry,
        limit: state.limits.page.unwrap_or(DEFAULT_PAGE),
        phase: if state.phase == Phase::Sync { Phase::Sync } else { Phase::Fetch },
        cursor: state.cursor,
        fetched_anew: false,
        // A fetch that was interrupted has more to come.
        more_promised: state.phase == Phase::Fetch && !begin,
        doubted: false,
        may_heal: is_older(state.healed_at, Full::SHORTEST, lane.engine.now()),
        sent: HashSet::new(),
        ahead: Ahead::new(lane.client.clone(), lane.stop.clone()),
        empty_pages: 0,
        shelf: Shelf::new(lane.engine.store.clone(), lane.token.clone()),
        fetched: 0,
        twice: 0,
        synced: Synced { read_back: lane.read_back, ..Synced::default() },
    };
    let outcome = syncing.all(begin, state.phase == Phase::Fetched).await;
    syncing.ahead.let_go();
    // Whatever came is kept, also if no more came.
    let PageResult { added, changed, gone, twice } = syncing.shelf.clear(lane.seen()).await?;
    let twice = twice + syncing.twice + lane.engine.store.enter_serials(&lane.token, lane.seen()).await?;
    outcome?;
    let mut synced = syncing.synced;
    (synced.added, synced.changed) = (added.saturating_sub(twice), changed);
    synced.gone += gone;
    synced.devices = lane.engine.store.synced(&lane.token, lane.engine.now()).await?;
    Ok(synced)
}

/// Whether every device is to be fetched from the first page on. A fetch that was interrupted goes on
/// where it was, unless a person wants it anew.
fn begins_anew(full: Full, state: &SyncState, now: Timestamp) -> bool {
    match (full, state.phase) {
        (Full::Now, _) => true,
        (Full::Every(_), Phase::Fetch | Phase::Fetched) => state.cursor.is_none(),
        (Full::Every(every), Phase::Sync) => state.cursor.is_none() || is_older(state.full_at, every, now),
    }
}

pub(super) fn is_older(at: Option<Timestamp>, than: Duration, now: Timestamp) -> bool {
    at.is_none_or(|at| Duration::try_from(now.duration_since(at)).unwrap_or_default() >= than)
}

/// A sync under way.
struct Syncing<'a, 'b> {
    lane: &'a Lane<'b>,
    retry: Retry,
    limit: u32,
    phase: Phase,
    cursor: Option<Cursor>,
    /// This run has begun a full fetch. It does so once: what needs another has not healed by it.
    fetched_anew: bool,
    /// The page before claimed that more follows.
    more_promised: bool,
    /// And Apple then said that there is nothing more.
    doubted: bool,
    /// The last full fetch that nobody asked for is long enough ago for another.
    may_heal: bool,
    /// The cursors of this run.
    sent: HashSet<Cursor>,
    ahead: Ahead,
    /// Pages in a row without a device that claim more to follow.
    empty_pages: u32,
    shelf: Shelf,
    /// Devices that came so far.
    fetched: u64,
    /// How many of a first fetch were listed twice.
    twice: u64,
    synced: Synced,
}

impl Syncing<'_, '_> {
    /// From the first page on, or from where the last run ended: perhaps only to complete a fetch.
    async fn all(&mut self, begin: bool, is_fetched: bool) -> Result<(), Error> {
        if begin {
            self.begin_full_fetch().await?;
        } else if is_fetched {
            self.synced.full = true;
            self.end_of_phase().await?;
        }
        while self.next_page().await? {}
        Ok(())
    }

    /// One page. False if it was the last.
    async fn next_page(&mut self) -> Result<bool, Error> {
        self.lane.go_on()?;
        let lane = self.lane;
        let at = At { phase: self.phase, cursor: self.cursor.clone(), limit: self.limit };
        self.synced.full |= at.phase == Phase::Fetch || at.cursor.is_none();
        match lane.retrying(self.retry, || self.ahead.page(&at, &self.sent)).await {
            Ok(answer) => self.take(answer).await,
            Err(Error::Apple(error)) => match error.next() {
                Next::Done => self.exhausted(error).await,
                Next::FetchEverything if !self.fetched_anew && self.may_heal => {
                    tracing::info!(token = %lane.token, run = %lane.run, "{error}; fetching every device");
                    self.heal().await?;
                    Ok(true)
                }
                _ => Err(error.into()),
            },
            Err(other) => Err(other),
        }
    }

    /// Has a page stored with the cursor after it. False if it was the last.
    async fn take(&mut self, answer: PageAnswer) -> Result<bool, Error> {
        let lane = self.lane;
        let PageAnswer { page, unreadable: set_aside } = answer;
        self.sent.extend(self.cursor.clone());
        self.empty_pages =
            if page.changes.is_empty() && set_aside.is_empty() { self.empty_pages + 1 } else { 0 };
        let repeats = page.cursor.as_ref().is_none_or(|cursor| self.sent.contains(cursor));
        let stalled = page.more_to_follow && (repeats || self.empty_pages > MOST_EMPTY);
        self.cursor = page.cursor.or(self.cursor.take());
        (self.more_promised, self.doubted) = (page.more_to_follow, false);
        self.synced.pages += 1;
        self.fetched += page.changes.len() as u64;
        lane.progress("sync", self.fetched, None);
        let unreadable = set_aside.iter().map(|device| device.serial.clone()).collect();
        let phase = match (self.phase, page.more_to_follow) {
            (Phase::Fetch, false) => Phase::Fetched,
            (phase, _) => phase,
        };
        let (changes, cursor) = (page.changes, self.cursor.clone());
        self.shelf.put(Pages { changes, unreadable, cursor, phase }, lane.seen()).await?;
        for device in set_aside {
            self.set_aside(device);
        }
        match page.more_to_follow {
            true if stalled => self.stalled().await,
            true => Ok(true),
            false => self.end_of_phase().await,
        }
    }

    /// Apple says that nothing is left. Whoever believes that of a fetch takes the devices that were not
    /// listed for gone, so it has to make sense: before the first page it does not, and when more was
    /// promised a moment ago, Apple is asked a second time, then once more from the first page on.
    async fn exhausted(&mut self, error: apple::Error) -> Result<bool, Error> {
        match self.phase {
            Phase::Fetch if self.cursor.is_none() => Err(error.into()),
            Phase::Fetch if self.more_promised && !self.doubted => {
                self.doubted = true;
                Ok(true)
            }
            Phase::Fetch if self.more_promised && self.fetched_anew => Err(error.into()),
            Phase::Fetch if self.more_promised && self.may_heal => {
                self.heal().await?;
                Ok(true)
            }
            _ => self.end_of_phase().await,
        }
    }

    /// What changed while the pages of a fetch were read is in none of them: it is after the cursor.
    async fn end_of_phase(&mut self) -> Result<bool, Error> {
        if self.phase == Phase::Sync {
            return Ok(false);
        }
        let (lane, cursor) = (self.lane, self.cursor.clone());
        self.shelf.clear(lane.seen()).await?;
        self.twice += lane.engine.store.enter_serials(&lane.token, lane.seen()).await?;
        self.synced.gone += lane.engine.store.complete_full_fetch(&lane.token, cursor, lane.seen()).await?;
        self.phase = Phase::Sync;
        Ok(true)
    }

    /// Apple repeats a cursor and claims that more follows: to ask again would never end. A new
    /// cursor comes only with a full fetch.
    async fn stalled(&mut self) -> Result<bool, Error> {
        let lane = self.lane;
        if self.fetched_anew || !self.may_heal {
            return Err(Error::Stalled(lane.token.clone()));
        }
        tracing::warn!(token = %lane.token, run = %lane.run, "Apple repeats the sync cursor; fetching every device");
        self.heal().await?;
        Ok(true)
    }

    /// Goes back to the first page because nothing else helps. Not more often than once an hour, whatever
    /// Apple does: it costs a call for every page of the fleet.
    async fn heal(&mut self) -> Result<(), Error> {
        let (lane, store) = (self.lane, &self.lane.engine.store);
        store.healed(&lane.token, lane.engine.now()).await?;
        self.begin_full_fetch().await
    }

    /// Goes back to the first page, after a look at whose devices these are and how large a page may be.
    async fn begin_full_fetch(&mut self) -> Result<(), Error> {
        let (lane, store) = (self.lane, &self.lane.engine.store);
        self.ahead.let_go();
        self.shelf.clear(lane.seen()).await?;
        self.twice += store.enter_serials(&lane.token, lane.seen()).await?;
        let account = lane.retrying(self.retry, || lane.client.account()).await?;
        let gone = || Error::NotImported { token: lane.token.clone(), others: Vec::new() };
        let known = store.token(&lane.token).await?.ok_or_else(gone)?;
        if let Some(theirs) = account.server_uuid.filter(|theirs| *theirs != known.server_uuid) {
            // Everything of the other server would look new, and everything of ours gone.
            return Err(Error::OtherServer {
                token: lane.token.clone(),
                ours: format!("\"{}\" ({})", known.server_name, known.server_uuid),
                theirs: format!("\"{}\" ({theirs})", account.server_name.unwrap_or_default()),
            });
        }
        let limits = Limits { page: account.page_limit, assign: account.assign_limit };
        self.limit = limits.page.unwrap_or(DEFAULT_PAGE);
        let mut token = known;
        token.server_name = account.server_name.unwrap_or(token.server_name);
        token.org_name = account.org_name.unwrap_or(token.org_name);
        token.org_id = account.org_id.or(token.org_id);
        token.admin_id = account.admin_id.unwrap_or(token.admin_id);
        store.refresh_token(token, limits).await?;
        store.begin_full_fetch(&lane.token).await?;
        (self.phase, self.cursor, self.fetched_anew) = (Phase::Fetch, None, true);
        // The same cursors may come again, and lead on this time.
        self.sent.clear();
        self.empty_pages = 0;
        Ok(())
    }

    /// A device that cannot be read costs itself, and is named.
    fn set_aside(&mut self, device: apple::Unreadable) {
        let serial =
            device.serial.map_or_else(|| "a device without serial number".to_owned(), |it| it.to_string());
        let note = format!("{serial}: {}", device.why);
        self.synced.set_aside += 1;
        if self.synced.unreadable.len() < MOST_NOTES {
            tracing::warn!(token = %self.lane.token, run = %self.lane.run, "a device was set aside: {note}");
            self.synced.unreadable.push(note);
        }
    }
}

/// Asks Apple what became of assignments that were sent and never answered. Done before a lane's
/// first step, whatever that is. Returns how many are settled now.
pub(crate) async fn read_back(lane: &Lane<'_>, retry: Retry) -> Result<u64, Error> {
    let in_flight = lane.engine.store.in_flight(&lane.token).await?;
    let mut read = 0;
    for batch in in_flight.chunks(LOOKUP_BATCH) {
        lane.go_on()?;
        let serials: Vec<SerialNumber> =
            batch.iter().map(|(action, ..)| action.serial_number.clone()).collect();
        let mut answers = lane.retrying(retry, || lane.client.devices(&serials)).await?;
        let mut found = Vec::new();
        for (action, profile, since) in batch {
            let became = match answers.remove(&action.serial_number) {
                Some(Lookup::Found(device)) => ReadBack::Found(device),
                Some(Lookup::NotAccessible) => ReadBack::NotOurs,
                Some(Lookup::Failed(_)) | None if is_older(Some(*since), GIVEN_UP, lane.now) => {
                    ReadBack::Untold
                }
                // Not settled: it stays in flight and is asked about again.
                Some(Lookup::Failed(_)) | None => continue,
            };
            found.push((action.clone(), profile.clone(), became));
        }
        read += found.len() as u64;
        lane.engine.store.read_back(&lane.token, found, lane.seen()).await?;
    }
    Ok(read)
}
