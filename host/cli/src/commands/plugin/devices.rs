//! The devices that a policy is asked about here: from the inventory, from a file, or made up.
//!
//! They come a batch at a time and are gone with it, so that a million of them need no more memory than
//! a thousand. What a policy is told besides is the same as in a run, at a time that can be chosen.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use domain::device::Device;
use domain::id::{ProfileId, ProfileName, SerialNumber, TokenName};
use domain::verdict::Context;
use jiff::Timestamp;

use super::saved;
use super::surroundings::Surroundings;
use crate::Common;
use crate::app::{App, Policies};
use crate::exit::{Outcome, Problem};

/// The most devices that are asked about together, as in a run.
pub(super) const BATCH: usize = 1_000;
/// The seed of the fleet that is made up: the same devices every time.
const SEED: u64 = 1;

/// Where devices come from, as the command line says.
#[derive(clap::Args, Clone, Default)]
pub(super) struct From {
    /// Devices of a file: Apple's JSON of a page of devices, or what `deputy device list --json` prints
    #[arg(long, value_name = "FILE", conflicts_with = "simulated")]
    devices: Option<PathBuf>,
    /// So many devices that look like an organisation's, the same every time
    #[arg(long, value_name = "N")]
    simulated: Option<u64>,
    /// Of the inventory, the devices of this token; of a file, the token that its devices are said to be of
    #[arg(long, value_name = "NAME")]
    token: Option<TokenName>,
    /// Only these devices
    #[arg(long, value_name = "SERIAL", value_delimiter = ',')]
    serial: Vec<SerialNumber>,
    /// The time that the policy is told, such as 2026-02-01T00:00:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    now: Option<Timestamp>,
}

/// Devices of one token, at most as many as are asked about together.
pub(super) struct Batch {
    /// Whose.
    pub(super) token: TokenName,
    /// The devices.
    pub(super) devices: Vec<Device>,
}

/// Devices, a batch at a time. Waits while it reads, so it is for a thread that may.
pub(super) struct Devices {
    batches: Box<dyn Iterator<Item = Outcome<Batch>> + Send>,
    /// How many there are, if that is known.
    pub(super) total: Option<u64>,
    /// Where they come from, in words.
    pub(super) origin: String,
    only: Vec<SerialNumber>,
    now: Timestamp,
    defined: BTreeMap<TokenName, BTreeMap<ProfileId, ProfileName>>,
}

impl From {
    /// Devices of this file, or so many that are made up.
    pub(super) fn saved_or_simulated(file: Option<PathBuf>, count: u64) -> Self {
        let simulated = file.is_none().then_some(count);
        Self { devices: file, simulated, ..Self::default() }
    }

    /// The time that the policy is told.
    pub(super) fn moment(&self) -> Timestamp {
        self.now.unwrap_or_else(Timestamp::now)
    }

    /// The token that was asked for.
    pub(super) fn token(&self) -> Option<&TokenName> {
        self.token.as_ref()
    }

    /// Opens what the devices come from.
    pub(super) async fn open(&self, common: &Common) -> Outcome<Devices> {
        let now = self.moment();
        let token = self.token.clone().unwrap_or_else(|| "example".parse().expect("that is a name"));
        let devices = |batches, total, origin: String| Devices {
            batches,
            total,
            origin,
            only: self.serial.clone(),
            now,
            defined: BTreeMap::new(),
        };
        if let Some(file) = &self.devices {
            return Ok(devices(saved(file, token)?, None, file.display().to_string()));
        }
        if let Some(count) = self.simulated {
            return Ok(devices(simulated(count, token, now), Some(count), "the simulated fleet".to_owned()));
        }
        let hint = "`--devices FILE` takes devices from a file, `--simulated 1000` makes some up";
        if !common.config.exists() {
            return Err(Problem::usage(
                "there are no devices: without a configuration there is no inventory",
            )
            .hint(hint));
        }
        self.inventory(&App::open(&common.config, Policies::Unused).await?).await
    }

    /// The devices that the store knows.
    pub(super) async fn inventory(&self, app: &App) -> Outcome<Devices> {
        let tokens = app.tokens(self.token.as_slice())?;
        let mut defined = BTreeMap::new();
        for token in &tokens {
            let known = app.engine.store.defined_profiles(token).await?;
            defined.insert(token.clone(), known.into_iter().map(|(id, (name, _))| (id, name)).collect());
        }
        let handle = tokio::runtime::Handle::current();
        let mut waiting = tokens.into_iter();
        let mut place = waiting.next().map(|token| (token, None));
        let store = app.engine.store.clone();
        let batches = std::iter::from_fn(move || {
            loop {
                let (token, after) = place.clone()?;
                let found = handle.block_on(store.devices_after(
                    &token,
                    &engine::store::Walk::default(),
                    after,
                    BATCH as u32,
                ));
                match found {
                    Err(error) => {
                        place = None;
                        return Some(Err(error.into()));
                    }
                    Ok(found) => match found.last() {
                        None => place = waiting.next().map(|token| (token, None)),
                        Some((last, _)) => {
                            place = Some((token.clone(), Some(*last)));
                            let devices = found.into_iter().map(|(_, device)| device).collect();
                            return Some(Ok(Batch { token, devices }));
                        }
                    },
                }
            }
        });
        let (only, origin) = (self.serial.clone(), "the inventory".to_owned());
        Ok(Devices { batches: Box::new(batches), total: None, origin, only, now: self.moment(), defined })
    }
}

impl Devices {
    /// What a policy is told besides the devices of a token.
    pub(super) fn context(&self, token: &TokenName, surroundings: &Surroundings) -> Context {
        Context {
            now: self.now,
            utc_offset: surroundings.timezone.to_offset(self.now),
            token: token.clone(),
            profiles: surroundings.profiles.clone(),
            defined: self.defined.get(token).cloned().unwrap_or_default(),
            tables: surroundings.tables.clone(),
        }
    }

    /// That there were none is the mistake of whoever asked.
    pub(super) fn none_found(&self) -> Problem {
        let Self { origin, only, .. } = self;
        let hint = "`--devices FILE` takes devices from a file, `--simulated 1000` makes some up";
        match only.as_slice() {
            [] => Problem::usage(format!("there are no devices: {origin} has none"))
                .hint(format!("`deputy sync` fetches the inventory; {hint}")),
            [one] => Problem::usage(format!("there is no device {one} in {origin}")),
            [first, ..] => Problem::usage(format!("{origin} has none of these devices, such as {first}")),
        }
    }
}

impl Iterator for Devices {
    type Item = Outcome<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut batch = match self.batches.next()? {
                Ok(batch) => batch,
                Err(problem) => return Some(Err(problem)),
            };
            if !self.only.is_empty() {
                batch.devices.retain(|device| self.only.contains(&device.serial_number));
            }
            if !batch.devices.is_empty() {
                return Some(Ok(batch));
            }
        }
    }
}

type Batches = Box<dyn Iterator<Item = Outcome<Batch>> + Send>;

fn simulated(count: u64, token: TokenName, now: Timestamp) -> Batches {
    let mut fleet = sim::fleet(SEED, token.as_str(), now.as_second());
    let mut left = count;
    Box::new(std::iter::from_fn(move || {
        let size = left.min(BATCH as u64);
        left -= size;
        let read = |json: String| engine::apple::read_device(&json).ok();
        let devices: Vec<Device> = fleet.by_ref().take(size as usize).filter_map(read).collect();
        (size > 0).then(|| Ok(Batch { token: token.clone(), devices }))
    }))
}

/// A file is read on a thread of its own, which is never more than a few batches ahead.
fn saved(file: &Path, token: TokenName) -> Outcome<Batches> {
    let opened = std::fs::File::open(file).map_err(|error| Problem::file("read", file, &error))?;
    let (name, (send, receive)) = (file.display().to_string(), std::sync::mpsc::sync_channel(2));
    std::thread::spawn(move || {
        let mut batch: Option<Batch> = None;
        // Whoever listened may have gone: that ends the reading.
        let read = saved::read(BufReader::new(opened), &mut |device| {
            let (of, device) = device?;
            let of = of.unwrap_or_else(|| token.clone());
            let full = batch.as_ref().is_some_and(|it| it.devices.len() == BATCH || it.token != of);
            if let Some(batch) = batch.take_if(|_| full) {
                send.send(Ok(batch)).map_err(|_| "nobody listens".to_owned())?;
            }
            batch.get_or_insert_with(|| Batch { token: of, devices: Vec::new() }).devices.push(device);
            Ok(())
        });
        let last = match read {
            Ok(()) => batch.map(Ok),
            Err(why) => Some(Err(Problem::usage(format!("{name} cannot be read: {why}")).hint(
                "a file of devices is Apple's answer to a request for devices, or what `deputy device list --json` prints",
            ))),
        };
        last.map(|last| send.send(last));
    });
    Ok(Box::new(receive.into_iter()))
}
