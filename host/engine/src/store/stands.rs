//! Devices as the planner looks at them: by how they stand, and one by one only where that does not say it all.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use domain::id::{PluginName, ProfileId, SerialNumber, TokenName};
use domain::plan::Candidate;
use domain::verdict::{Decision, Verdict};
use rusqlite::{Connection, Row, params};

use super::devices::{DeviceId, pause};
use super::plans::{Maker, Verdicts};
use super::ranges::Ranges;
use super::standing::{self, Numbers, Standings};
use super::verdicts::{self, Book};
use super::{Error, Store, to_json, typed};

/// Of so many standings the database passes over devices that stand otherwise. It would have to be told each time.
const FEW: usize = 1_000;

/// What a candidate is made of, besides what follows from its standing.
const CANDIDATE: &str = "r.serial_number, p.wait_until, p.wait_why, p.wait_times, n.device, n.standing";
const CANDIDATES: &str =
    "device_state n JOIN device_record r ON r.id = n.device LEFT JOIN pause p ON p.device = n.device";

/// The standings of a token's devices, as the planner looks at them.
pub(super) type Stands = BTreeMap<(i64, Option<i64>), Stand>;

/// So many devices that the planner cannot tell apart but by name.
pub(super) struct Stand {
    pub(super) on: Option<ProfileId>,
    pub(super) verdict: Option<Verdict>,
    /// A policy that was asked for an earlier plan of the run has decided.
    pub(super) decided_before: bool,
    pub(super) devices: u64,
}

impl Store {
    /// These devices of a token as the planner looks at them; those that the token does not have are not
    /// among them.
    pub async fn look_up(
        &self,
        token: &TokenName,
        serials: Vec<SerialNumber>,
    ) -> Result<BTreeMap<SerialNumber, (DeviceId, Candidate)>, Error> {
        let token = token.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {CANDIDATE} FROM {CANDIDATES} WHERE n.device =
                     (SELECT device FROM serial s JOIN token t ON t.number = s.token
                      WHERE t.name = ?1 AND s.serial_number = ?2)"
            ))?;
            let mut standings = Standings::new(connection)?;
            let mut found = BTreeMap::new();
            for serial in serials {
                let mut rows = statement.query([token.as_str(), serial.as_str()])?;
                let Some(row) = rows.next()? else { continue };
                let standing = standings.get(row.get(5)?)?;
                if !standing.gone {
                    let on = standing.on().cloned();
                    found.insert(serial, (row.get(4)?, Candidate { on, ..candidate(row)? }));
                }
            }
            Ok(found)
        })
        .await
    }

    /// The ways in which a token's devices stand, with what these verdicts make of them.
    pub(super) async fn stands(&self, token: &TokenName, verdicts: Verdicts) -> Result<Stands, Error> {
        let token = token.clone();
        self.read(move |connection| {
            let numbers = Numbers::of(connection, &token)?;
            let present = standing::present(connection, numbers.token)?;
            let counts = match verdicts.book {
                Book::Live => {
                    present.iter().map(|(id, (it, devices))| ((*id, it.opinion), *devices)).collect()
                }
                // Nobody counts those apart.
                Book::Shadow => shadow_counts(connection, numbers)?,
            };
            let mut stands = Stands::new();
            for ((id, opinion), devices) in counts {
                let Some((standing, _)) = present.get(&id) else { continue };
                let said = opinion.map(|opinion| verdicts::opinion(connection, opinion)).transpose()?;
                let is_of =
                    |policies: &[PluginName]| said.as_ref().is_some_and(|(_, by)| policies.contains(by));
                let ignored = said.as_ref().is_some_and(|(it, _)| it.decision == Decision::Ignore);
                let (of, before) = (is_of(&verdicts.of), !ignored && is_of(&verdicts.not_of));
                let stand = Stand {
                    on: standing.on().cloned(),
                    // What another policy said is still there only if all of these ignored the device.
                    verdict: said.map(|(it, _)| if of { it } else { Verdict::ignore() }),
                    decided_before: before,
                    devices,
                };
                stands.insert((id, opinion), stand);
            }
            Ok(stands)
        })
        .await
    }

    /// Where the devices that stand so are: among those that changed, that are paused or in flight, if these are
    /// all of them; it is seen by their number whether that is so. Else anywhere among the token's.
    pub(super) async fn among(
        &self,
        maker: &Maker,
        verdicts: &Verdicts,
        stands: &Arc<Stands>,
        in_flight: &HashSet<DeviceId>,
    ) -> Result<Ranges, Error> {
        let (token, stands) = (maker.token.clone(), stands.clone());
        let (changed, in_flight) = (verdicts.changed.clone(), in_flight.clone());
        self.read(move |connection| {
            let numbers = Numbers::of(connection, &token)?;
            let Some(changed) = changed else { return Ok(numbers.all()) };
            let mut paused =
                connection.prepare_cached("SELECT device FROM pause WHERE device > ?1 AND device <= ?2")?;
            let paused =
                paused.query_map(params![numbers.before_first(), numbers.keyed], |row| row.get(0))?;
            let few = changed.and(paused.collect::<Result<Vec<_>, _>>()?).and(in_flight);
            let mut select = connection
                .prepare_cached("SELECT standing FROM device_state WHERE device >= ?1 AND device <= ?2")?;
            let mut found = 0;
            for (first, last) in few.iter() {
                let mut rows = select.query([first, last])?;
                while let Some(row) = rows.next()? {
                    let standing: i64 = row.get(0)?;
                    let mut of_standing = stands.range((standing, None)..=(standing, Some(i64::MAX)));
                    found += u64::from(of_standing.next().is_some());
                }
            }
            let sought: u64 = stands.values().map(|stand| stand.devices).sum();
            Ok(if found == sought { few } else { numbers.all() })
        })
        .await
    }

    /// The devices that stand so, a stretch at a time.
    pub(super) async fn candidates(
        &self,
        among: Ranges,
        after: Option<DeviceId>,
        book: Book,
        stands: Arc<Stands>,
        limit: u32,
    ) -> Result<Vec<(DeviceId, Candidate)>, Error> {
        self.read(move |connection| {
            let (opinion, book) = match book {
                Book::Live => ("g.opinion", "JOIN standing g ON g.id = n.standing"),
                Book::Shadow => ("v.opinion", "LEFT JOIN shadow_state v ON v.device = n.device"),
            };
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {CANDIDATE}, {opinion} FROM {CANDIDATES} {book}
                 WHERE n.device >= ?1 AND n.device <= ?2
                     AND (?3 IS NULL OR n.standing IN (SELECT value FROM json_each(?3)))
                 ORDER BY n.device"
            ))?;
            let standings = || stands.keys().map(|(standing, _)| *standing).collect::<Vec<i64>>();
            let standings = (stands.len() <= FEW).then(|| to_json(&standings()));
            let mut candidates = Vec::new();
            for (first, last) in among.after(after.unwrap_or_default()) {
                let mut rows = statement.query(params![first, last, standings])?;
                while let Some(row) = rows.next()? {
                    let Some(stand) = stands.get(&(row.get(5)?, row.get(6)?)) else { continue };
                    let candidate = Candidate {
                        on: stand.on.clone(),
                        verdict: stand.verdict.clone(),
                        decided_before: stand.decided_before,
                        ..candidate(row)?
                    };
                    candidates.push((row.get(4)?, candidate));
                    if candidates.len() >= limit as usize {
                        return Ok(candidates);
                    }
                }
            }
            Ok(candidates)
        })
        .await
    }
}

/// How many devices stand how, by what policies say in shadow mode.
fn shadow_counts(
    connection: &Connection,
    numbers: Numbers,
) -> Result<BTreeMap<(i64, Option<i64>), u64>, Error> {
    let mut all = connection.prepare_cached(
        "SELECT n.standing, v.opinion FROM device_state n LEFT JOIN shadow_state v ON v.device = n.device
         WHERE n.device > ?1 AND n.device <= ?2",
    )?;
    let mut rows = all.query(params![numbers.before_first(), numbers.keyed])?;
    let mut counts = BTreeMap::new();
    while let Some(row) = rows.next()? {
        *counts.entry((row.get(0)?, row.get(1)?)).or_default() += 1;
    }
    Ok(counts)
}

/// A candidate without what follows from its standing, from the columns of [`CANDIDATE`].
fn candidate(row: &Row<'_>) -> Result<Candidate, Error> {
    Ok(Candidate {
        serial_number: typed(row.get(0)?, "serial number")?,
        on: None,
        pause: pause(row, 1)?,
        in_flight: false,
        verdict: None,
        decided_before: false,
    })
}
