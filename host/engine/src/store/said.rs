//! What channels were told is wrong, and is not over: so that nobody is told the same at every run.

use std::collections::{BTreeMap, BTreeSet};

use domain::id::{ChannelName, SerialNumber, TableName, TokenName};
use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::outbox::enqueue;
use super::{Error, Outgoing, Store, millis, typed};

/// What is said something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// How the runs of a workflow end.
    Run,
    /// Devices that are without their profile for too long.
    Fresh,
    /// Devices that were expected and do not come.
    Late,
    /// A switch that waits for our ping.
    Ping,
}

impl Topic {
    fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Fresh => "fresh",
            Self::Late => "late",
            Self::Ping => "ping",
        }
    }
}

/// What one channel knows after a message: about one subject, or one token of it. An empty token is the
/// subject as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saying {
    /// Which channel.
    pub channel: ChannelName,
    /// About which token.
    pub token: Option<TokenName>,
    /// What is wrong, as a word that stays the same while the same is wrong; none if it is over.
    pub kind: Option<String>,
}

/// By channel and token: what was said to be wrong, and when.
pub type Said = BTreeMap<(ChannelName, Option<TokenName>), (String, Timestamp)>;

impl Store {
    /// What channels were told of a subject, and is not over.
    pub async fn said(&self, topic: Topic, name: &str) -> Result<Said, Error> {
        let name = name.to_owned();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT channel, token, kind, said_at FROM said WHERE topic = ?1 AND name = ?2",
            )?;
            let mut rows = statement.query([topic.as_str(), &name])?;
            let mut said = Said::new();
            while let Some(row) = rows.next()? {
                let token: String = row.get(1)?;
                let token = if token.is_empty() { None } else { Some(typed(token, "token name")?) };
                let key = (typed(row.get(0)?, "channel name")?, token);
                said.insert(key, (row.get(2)?, super::time(row.get(3)?)?));
            }
            Ok(said)
        })
        .await
    }

    /// Puts messages into the outbox and notes what their channels know then: both, or neither.
    pub async fn say(
        &self,
        topic: Topic,
        name: &str,
        messages: Vec<Outgoing>,
        sayings: Vec<Saying>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let name = name.to_owned();
        self.write(move |connection| {
            for message in &messages {
                enqueue(connection, message)?;
            }
            sayings.iter().try_for_each(|saying| note(connection, topic, &name, saying, now))
        })
        .await
    }
}

impl Store {
    /// Which devices of a list each channel was told are late.
    pub async fn late_said(
        &self,
        list: &TableName,
    ) -> Result<BTreeMap<ChannelName, BTreeSet<SerialNumber>>, Error> {
        let (from, to) = (format!("{list}/"), format!("{list}0"));
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT channel, substr(name, ?3) FROM said WHERE topic = 'late' AND name > ?1 AND name < ?2",
            )?;
            let mut rows = statement.query(params![from, to, from.len() + 1])?;
            let mut said: BTreeMap<ChannelName, BTreeSet<SerialNumber>> = BTreeMap::new();
            while let Some(row) = rows.next()? {
                let serial = typed(row.get(1)?, "serial number")?;
                said.entry(typed(row.get(0)?, "channel name")?).or_default().insert(serial);
            }
            Ok(said)
        })
        .await
    }

    /// Puts a message into the outbox and notes what its channel knows then of several subjects.
    pub async fn say_each(
        &self,
        topic: Topic,
        message: Option<Outgoing>,
        sayings: Vec<(String, Saying)>,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.write(move |connection| {
            if let Some(message) = &message {
                enqueue(connection, message)?;
            }
            sayings.iter().try_for_each(|(name, saying)| note(connection, topic, name, saying, now))
        })
        .await
    }
}

fn note(
    connection: &Connection,
    topic: Topic,
    name: &str,
    saying: &Saying,
    now: Timestamp,
) -> Result<(), Error> {
    let token = saying.token.as_ref().map_or("", TokenName::as_str);
    let channel = saying.channel.as_str();
    match &saying.kind {
        None => connection.execute(
            "DELETE FROM said WHERE topic = ?1 AND name = ?2 AND token = ?3 AND channel = ?4",
            [topic.as_str(), name, token, channel],
        )?,
        Some(kind) => connection.execute(
            "INSERT INTO said (topic, name, token, channel, kind, said_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET kind = excluded.kind, said_at = excluded.said_at",
            params![topic.as_str(), name, token, channel, kind, millis(now)],
        )?,
    };
    Ok(())
}
