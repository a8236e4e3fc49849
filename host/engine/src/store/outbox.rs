//! Messages on their way to people: what waits, what arrived, what was given up.
//!
//! A message is put in by the transaction that causes it ([`enqueue`]), so neither is there without the
//! other. For one recipient of one channel, deliveries end in the order they were put in; one that is
//! set aside lets those behind it pass.

use std::time::Duration;

use domain::id::{ChannelName, MessageId};
use domain::message::Message;
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

use super::{Error, Store, from_json, maybe_time, millis, time, to_json, typed};

/// Where a message goes: a recipient of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The channel.
    pub channel: ChannelName,
    /// A mail address; empty where the channel itself is the recipient.
    pub recipient: String,
}

/// A message and where it goes.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// What people should know.
    pub message: Message,
    /// Where. Without any, nothing is put in.
    pub addresses: Vec<Address>,
}

/// Why a message did not arrive, and what a person can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What happened.
    pub why: String,
    /// What to do.
    pub advice: Option<String>,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// It is still to be tried.
    Waiting,
    /// It arrived.
    Delivered,
    /// It was refused for good, or is too old; a person can have it tried again.
    SetAside,
    /// A person did not want it delivered any more.
    Dropped,
}

/// A message on its way to one recipient.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its place in the order.
    pub number: i64,
    /// Where it goes.
    pub address: Address,
    /// What became of it.
    pub state: DeliveryState,
    /// How often it was tried.
    pub tries: u32,
    /// Not to be tried before.
    pub next_at: Timestamp,
    /// Why the last try failed.
    pub trouble: Option<Reason>,
    /// When it was delivered or given up.
    pub ended_at: Option<Timestamp>,
    /// What is said.
    pub message: Message,
}

/// How it goes with a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChannelState {
    /// Which.
    pub name: ChannelName,
    /// Deliveries that wait.
    pub waiting: u64,
    /// The oldest of them: when its message was written.
    pub oldest: Option<Timestamp>,
    /// Deliveries set aside.
    pub set_aside: u64,
    /// When something arrived last.
    pub delivered_at: Option<Timestamp>,
    /// Since when it cannot be reached.
    pub failing_since: Option<Timestamp>,
    /// Tries in a row that did not reach it.
    pub failures: u32,
    /// Not to be tried before.
    pub next_at: Timestamp,
    /// Why it cannot be reached; or else, why the first of those that wait does.
    pub trouble: Option<Reason>,
}

/// Which deliveries a person means.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// Of this channel.
    pub channel: Option<ChannelName>,
    /// Of these messages; of all if there are none.
    pub messages: Vec<MessageId>,
    /// In one of these states; in all if there are none.
    pub states: Vec<DeliveryState>,
}

/// No longer is anything put off. What is put off for longer was when the clock was wrong, and is due.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);

const COLUMNS: &str =
    "d.number, d.channel, d.recipient, d.state, d.tries, d.next_at, d.trouble, d.ended_at, m.body";

/// Puts a message into the outbox, in the caller's transaction. Done twice, it is there once.
pub(crate) fn enqueue(connection: &Connection, outgoing: &Outgoing) -> Result<(), Error> {
    let Outgoing { message, addresses } = outgoing;
    if addresses.is_empty() {
        return Ok(());
    }
    connection
        .prepare_cached("INSERT OR IGNORE INTO message (id, created_at, body) VALUES (?1, ?2, ?3)")?
        .execute(params![message.id.as_str(), millis(message.created_at), to_json(message)])?;
    let mut insert = connection
        .prepare_cached("INSERT OR IGNORE INTO delivery (message, channel, recipient) VALUES (?1, ?2, ?3)")?;
    for Address { channel, recipient } in addresses {
        insert.execute(params![message.id.as_str(), channel.as_str(), recipient])?;
    }
    Ok(())
}

impl Store {
    /// Puts a message into the outbox, where nothing else is to be written with it.
    pub async fn enqueue(&self, outgoing: Outgoing) -> Result<(), Error> {
        self.write(move |connection| enqueue(connection, &outgoing)).await
    }

    /// The next delivery of a channel, of those with a number beyond `after`: the first that waits, is due
    /// `now` together with its channel (without a time, everything is), and has none before it for the same
    /// recipient.
    pub async fn next_delivery(
        &self,
        channel: &ChannelName,
        after: i64,
        now: Option<Timestamp>,
    ) -> Result<Option<Delivery>, Error> {
        let channel = channel.clone();
        let (due, never) = now.map_or((i64::MAX, i64::MAX), |now| (millis(now), beyond(now)));
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM delivery d JOIN message m ON m.id = d.message
                 WHERE d.channel = ?1 AND d.state = 'waiting' AND d.number > ?2 AND (d.next_at <= ?3 OR d.next_at > ?4)
                     AND NOT EXISTS (SELECT 1 FROM delivery e WHERE e.channel = d.channel
                         AND e.recipient = d.recipient AND e.state = 'waiting' AND e.number < d.number)
                     AND NOT EXISTS (SELECT 1 FROM channel c WHERE c.name = d.channel
                         AND c.next_at > ?3 AND c.next_at <= ?4)
                 ORDER BY d.number LIMIT 1"
            ))?;
            let mut rows = statement.query(params![channel.as_str(), after, due, never])?;
            rows.next()?.map(delivery).transpose()
        })
        .await
    }

    /// When the next delivery of each channel with something waiting is due.
    pub async fn channels_due(&self, now: Timestamp) -> Result<Vec<(ChannelName, Timestamp)>, Error> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT d.channel, max(min(iif(d.next_at > ?1, 0, d.next_at)),
                         max(iif(coalesce(c.next_at, 0) > ?1, 0, coalesce(c.next_at, 0)))) FROM delivery d
                     LEFT JOIN channel c ON c.name = d.channel
                 WHERE d.state = 'waiting' AND NOT EXISTS (SELECT 1 FROM delivery e WHERE e.channel = d.channel
                     AND e.recipient = d.recipient AND e.state = 'waiting' AND e.number < d.number)
                 GROUP BY d.channel",
            )?;
            let mut rows = statement.query([beyond(now)])?;
            let mut due = Vec::new();
            while let Some(row) = rows.next()? {
                due.push((typed(row.get(0)?, "channel name")?, time(row.get(1)?)?));
            }
            Ok(due)
        })
        .await
    }

    /// A try begins. False if it does not wait any more: somebody has dropped it meanwhile.
    pub async fn begin_delivery(&self, delivery: &Delivery) -> Result<bool, Error> {
        let number = delivery.number;
        self.write(move |connection| {
            let begun = connection.execute(
                "UPDATE delivery SET tries = tries + 1 WHERE number = ?1 AND state = 'waiting'",
                [number],
            )?;
            Ok(begun > 0)
        })
        .await
    }

    /// It arrived, so the channel can be reached.
    pub async fn delivered(&self, delivery: &Delivery, now: Timestamp) -> Result<(), Error> {
        let (number, channel) = (delivery.number, delivery.address.channel.clone());
        self.write(move |connection| {
            end(connection, number, DeliveryState::Delivered, None, now)?;
            connection.execute(
                "INSERT INTO channel (name, delivered_at) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE
                     SET delivered_at = ?2, failing_since = NULL, failures = 0, next_at = 0, trouble = NULL",
                params![channel.as_str(), millis(now)],
            )?;
            Ok(())
        })
        .await
    }

    /// It will not be tried again by itself.
    pub async fn set_aside(&self, delivery: &Delivery, reason: Reason, now: Timestamp) -> Result<(), Error> {
        let number = delivery.number;
        self.write(move |connection| end(connection, number, DeliveryState::SetAside, Some(&reason), now))
            .await
    }

    /// This recipient is to be tried later; the channel itself can be reached.
    pub async fn put_off(
        &self,
        delivery: &Delivery,
        reason: Reason,
        next_at: Timestamp,
    ) -> Result<(), Error> {
        let number = delivery.number;
        self.write(move |connection| {
            connection.execute(
                "UPDATE delivery SET next_at = ?2, trouble = ?3 WHERE number = ?1 AND state = 'waiting'",
                params![number, millis(next_at), to_json(&reason)],
            )?;
            Ok(())
        })
        .await
    }

    /// The channel cannot be reached; all that waits for it is to be tried later.
    pub async fn channel_failed(
        &self,
        delivery: &Delivery,
        reason: Reason,
        now: Timestamp,
        next_at: Timestamp,
    ) -> Result<(), Error> {
        let (number, channel) = (delivery.number, delivery.address.channel.clone());
        self.write(move |connection| {
            connection.execute(
                "UPDATE delivery SET trouble = ?2 WHERE number = ?1 AND state = 'waiting'",
                params![number, to_json(&reason)],
            )?;
            connection.execute(
                "INSERT INTO channel (name, failing_since, failures, next_at, trouble) VALUES (?1, ?2, 1, ?3, ?4)
                 ON CONFLICT (name) DO UPDATE SET failing_since = coalesce(failing_since, ?2),
                     failures = failures + 1, next_at = ?3, trouble = ?4",
                params![channel.as_str(), millis(now), millis(next_at), to_json(&reason)],
            )?;
            Ok(())
        })
        .await
    }

    /// How it goes with every channel that something was ever put in for.
    pub async fn channel_states(&self) -> Result<Vec<ChannelState>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT n.name, coalesce(q.waiting, 0), q.oldest, coalesce(q.set_aside, 0),
                     c.delivered_at, c.failing_since, coalesce(c.failures, 0), coalesce(c.next_at, 0),
                     coalesce(c.trouble, (SELECT e.trouble FROM delivery e WHERE e.channel = n.name
                         AND e.state = 'waiting' AND e.trouble IS NOT NULL ORDER BY e.number LIMIT 1))
                 FROM (SELECT name FROM channel UNION SELECT DISTINCT channel FROM delivery) n
                 LEFT JOIN channel c ON c.name = n.name
                 LEFT JOIN (SELECT d.channel, sum(d.state = 'waiting') AS waiting, sum(d.state = 'set-aside') AS set_aside,
                         min(CASE d.state WHEN 'waiting' THEN m.created_at END) AS oldest
                     FROM delivery d JOIN message m ON m.id = d.message
                     WHERE d.state IN ('waiting', 'set-aside') GROUP BY d.channel) q ON q.channel = n.name
                 ORDER BY n.name",
            )?;
            let mut rows = statement.query([])?;
            let mut states = Vec::new();
            while let Some(row) = rows.next()? {
                states.push(ChannelState {
                    name: typed(row.get(0)?, "channel name")?,
                    waiting: row.get(1)?,
                    oldest: maybe_time(row.get(2)?)?,
                    set_aside: row.get(3)?,
                    delivered_at: maybe_time(row.get(4)?)?,
                    failing_since: maybe_time(row.get(5)?)?,
                    failures: row.get(6)?,
                    next_at: time(row.get(7)?)?,
                    trouble: reason(row.get(8)?)?,
                });
            }
            Ok(states)
        })
        .await
    }

    /// Deliveries, in their order.
    pub async fn deliveries(&self, filter: DeliveryFilter, limit: u32) -> Result<Vec<Delivery>, Error> {
        self.read(move |connection| {
            let mut statement = connection.prepare(&format!(
                "SELECT {COLUMNS} FROM delivery d JOIN message m ON m.id = d.message
                 WHERE {} ORDER BY d.number DESC LIMIT ?1",
                filter.sql()
            ))?;
            let mut rows = statement.query([limit])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(delivery(row)?);
            }
            found.reverse();
            Ok(found)
        })
        .await
    }

    /// Has deliveries that wait or were set aside tried again, at once. How many.
    pub async fn retry_deliveries(&self, filter: DeliveryFilter) -> Result<u64, Error> {
        self.write(move |connection| {
            let wanted = filter.sql();
            connection.execute(
                &format!(
                    "UPDATE channel SET next_at = 0 WHERE name IN (SELECT d.channel FROM delivery d
                         WHERE d.state IN ('waiting', 'set-aside') AND {wanted})"
                ),
                [],
            )?;
            // The outbox knows by a reason without tries that a person wants it, however old it is.
            let asked = Reason { why: "somebody asked for it".to_owned(), advice: None };
            let changed = connection.execute(
                &format!(
                    "UPDATE delivery AS d SET state = 'waiting', ended_at = NULL, tries = 0, next_at = 0,
                         trouble = coalesce(d.trouble, ?1)
                     WHERE d.state IN ('waiting', 'set-aside') AND {wanted}"
                ),
                [to_json(&asked)],
            )?;
            Ok(changed as u64)
        })
        .await
    }

    /// Gives deliveries that wait or were set aside up. How many.
    pub async fn drop_deliveries(&self, filter: DeliveryFilter, now: Timestamp) -> Result<u64, Error> {
        self.write(move |connection| {
            let changed = connection.execute(
                &format!(
                    "UPDATE delivery AS d SET state = 'dropped', ended_at = ?1
                     WHERE d.state IN ('waiting', 'set-aside') AND {}",
                    filter.sql()
                ),
                [millis(now)],
            )?;
            Ok(changed as u64)
        })
        .await
    }

    /// Forgets what was delivered or dropped before one time, and what was set aside before another.
    pub async fn forget_deliveries(&self, ended: Timestamp, set_aside: Timestamp) -> Result<(), Error> {
        self.write(move |connection| {
            connection.execute(
                "DELETE FROM delivery WHERE ended_at < CASE state WHEN 'set-aside' THEN ?2 ELSE ?1 END",
                [millis(ended), millis(set_aside)],
            )?;
            connection.execute(
                "DELETE FROM message WHERE created_at < ?1 AND id NOT IN (SELECT message FROM delivery)",
                [millis(ended)],
            )?;
            Ok(())
        })
        .await
    }
}

impl DeliveryState {
    const ALL: [Self; 4] = [Self::Waiting, Self::Delivered, Self::SetAside, Self::Dropped];

    /// The word for it, the same everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::SetAside => "set-aside",
            Self::Dropped => "dropped",
        }
    }
}

impl DeliveryFilter {
    /// As a condition. Every value in it is of a type that holds no quotes.
    fn sql(&self) -> String {
        let list = |texts: Vec<&str>| {
            let quoted: Vec<String> = texts.into_iter().map(|text| format!("'{text}'")).collect();
            quoted.join(", ")
        };
        let mut parts = vec!["1".to_owned()];
        if let Some(channel) = &self.channel {
            parts.push(format!("d.channel = '{channel}'"));
        }
        if !self.messages.is_empty() {
            let ids = list(self.messages.iter().map(MessageId::as_str).collect());
            parts.push(format!("d.message IN ({ids})"));
        }
        if !self.states.is_empty() {
            let states = list(self.states.iter().map(|state| state.as_str()).collect());
            parts.push(format!("d.state IN ({states})"));
        }
        parts.join(" AND ")
    }
}

/// Until when what is put off may be, and a little more: clocks are set right all the time.
fn beyond(now: Timestamp) -> i64 {
    millis(now).saturating_add(LONGEST_PAUSE.as_millis() as i64 + 3_600_000)
}

fn end(
    connection: &Connection,
    number: i64,
    state: DeliveryState,
    reason: Option<&Reason>,
    now: Timestamp,
) -> Result<(), Error> {
    connection.execute(
        "UPDATE delivery SET state = ?2, trouble = ?3, ended_at = ?4 WHERE number = ?1",
        params![number, state.as_str(), reason.map(to_json), millis(now)],
    )?;
    Ok(())
}

fn delivery(row: &Row<'_>) -> Result<Delivery, Error> {
    let (state, body): (String, String) = (row.get(3)?, row.get(8)?);
    let known = DeliveryState::ALL.into_iter().find(|known| known.as_str() == state);
    Ok(Delivery {
        number: row.get(0)?,
        address: Address { channel: typed(row.get(1)?, "channel name")?, recipient: row.get(2)? },
        state: known.ok_or(Error::Corrupt { what: "state of a delivery", text: state })?,
        tries: row.get(4)?,
        next_at: time(row.get(5)?)?,
        trouble: reason(row.get(6)?)?,
        ended_at: maybe_time(row.get(7)?)?,
        message: from_json(&body, "message")?,
    })
}

fn reason(text: Option<String>) -> Result<Option<Reason>, Error> {
    text.map(|text| from_json(&text, "reason")).transpose()
}
