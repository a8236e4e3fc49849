//! The devices of one server, and the journal of what happened to them.
//!
//! Both only grow, so a page costs what it shows and not what the fleet is: the full list is walked by
//! slot (a device keeps its slot, and gets a new one when it comes back), the changes by their place in
//! the journal. A record shows the device as it is now; the record with the latest time is the truth anyway.

use crate::device::{Device, Op, ProfileStatus};
use crate::profile::ProfileUuid;
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Debug, Default)]
pub(crate) struct Inventory {
    slots: Vec<Device>,
    by_serial: HashMap<Arc<str>, u32>,
    journal: Vec<Record>,
    pub(crate) most_assignments: u32,
}

/// One line of the journal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    slot: u32,
    op: Op,
    at: i64,
}

/// Part of a list, where the next part starts, and whether there is one.
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next: u32,
    pub(crate) more: bool,
}

impl Inventory {
    /// How many devices are on the server now.
    pub(crate) fn len(&self) -> usize {
        self.by_serial.len()
    }

    pub(crate) fn slots(&self) -> u32 {
        self.slots.len() as u32
    }

    pub(crate) fn journal_end(&self) -> u32 {
        self.journal.len() as u32
    }

    pub(crate) fn get(&self, serial: &str) -> Option<&Device> {
        self.by_serial.get(serial).and_then(|slot| self.slots.get(*slot as usize))
    }

    /// The devices on the server, oldest first.
    pub(crate) fn devices(&self) -> impl Iterator<Item = &Device> {
        self.slots.iter().filter(|device| !device.gone)
    }

    /// Adds a device; `false` if its serial number is already here.
    pub(crate) fn add(&mut self, device: Device, now: i64) -> bool {
        if self.by_serial.contains_key(&device.serial) {
            return false;
        }
        let slot = self.slots();
        self.by_serial.insert(device.serial.clone(), slot);
        self.slots.push(device);
        self.journal.push(Record { slot, op: Op::Added, at: now });
        true
    }

    /// Changes a device, and records that; what `change` refuses leaves no record.
    pub(crate) fn change<E>(
        &mut self,
        serial: &str,
        now: i64,
        change: impl FnOnce(&mut Device) -> Result<(), E>,
    ) -> Option<Result<(), E>> {
        let slot = *self.by_serial.get(serial)?;
        let device = self.slots.get_mut(slot as usize)?;
        let mut changed = device.clone();
        if let Err(refused) = change(&mut changed) {
            return Some(Err(refused));
        }
        *device = changed;
        self.journal.push(Record { slot, op: Op::Modified, at: now });
        Some(Ok(()))
    }

    /// Takes a device off the server; `false` if it is not there.
    pub(crate) fn remove(&mut self, serial: &str, with_record: bool, now: i64) -> bool {
        let Some(slot) = self.by_serial.remove(serial) else { return false };
        if let Some(device) = self.slots.get_mut(slot as usize) {
            device.gone = true;
        }
        if with_record {
            self.journal.push(Record { slot, op: Op::Deleted, at: now });
        }
        true
    }

    /// `false` if the device is not on this server.
    pub(crate) fn assign(&mut self, serial: &str, profile: ProfileUuid, now: i64) -> bool {
        let mut count = 0;
        let done = self.change(serial, now, |device| {
            device.assign(profile, now);
            count = device.assignments;
            Ok::<(), ()>(())
        });
        self.most_assignments = self.most_assignments.max(count);
        done.is_some()
    }

    /// `false` if the device is not on this server. One that never had a profile stays as it is.
    pub(crate) fn clear(&mut self, serial: &str, now: i64) -> bool {
        match self.get(serial).map(|device| device.status) {
            None => false,
            Some(ProfileStatus::Empty | ProfileStatus::Removed) => true,
            Some(_) => {
                let done = self.change(serial, now, |device| {
                    device.set_status(ProfileStatus::Removed, now);
                    Ok::<(), ()>(())
                });
                done.is_some()
            }
        }
    }

    /// Up to `limit` devices of the slots from `next` to `end`.
    pub(crate) fn fetch(&self, next: u32, end: u32, limit: usize) -> Page<&Device> {
        let end = end.min(self.slots());
        let mut items = Vec::with_capacity(limit.min(1000));
        let mut at = next;
        while at < end {
            let device = &self.slots[at as usize];
            if !device.gone {
                if items.len() == limit {
                    return Page { items, next: at, more: true };
                }
                items.push(device);
            }
            at += 1;
        }
        Page { items, next: end, more: false }
    }

    /// Up to `limit` records of the journal from `next` on.
    pub(crate) fn sync(&self, next: u32, limit: usize) -> Page<(&Device, Op, i64)> {
        let from = (next as usize).min(self.journal.len());
        let to = (from + limit).min(self.journal.len());
        let items = self.journal[from..to]
            .iter()
            .filter_map(|record| Some((self.slots.get(record.slot as usize)?, record.op, record.at)))
            .collect();
        Page { items, next: to as u32, more: to < self.journal.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Kind;
    use expect_test::{Expect, expect};

    /// Plays a story (`+A` adds, `~A` changes, `-A` removes, `?A` removes without a record, `=A` assigns)
    /// and shows the pages of a fetch begun at `|` and of the sync that follows it.
    fn check(story: &str, limit: usize, expect: Expect) {
        let mut inventory = Inventory::default();
        let (mut end, mut journal) = (0, 0);
        for (now, step) in story.split(' ').enumerate() {
            let now = now as i64;
            let (verb, serial) = step.split_at(1);
            match verb {
                "|" => (end, journal) = (inventory.slots(), inventory.journal_end()),
                "+" => {
                    inventory.add(Device::new(serial, Arc::new(Kind::default()), "-1".into(), now), now);
                }
                "~" => {
                    inventory.change(serial, now, |_| Ok::<(), ()>(()));
                }
                "=" => {
                    inventory.assign(serial, ProfileUuid(1), now);
                }
                _ => {
                    inventory.remove(serial, verb == "-", now);
                }
            }
        }
        let mut out = String::new();
        let mut next = 0;
        loop {
            let page = inventory.fetch(next, end, limit);
            let serials = page.items.iter().map(|device| &*device.serial).collect::<Vec<_>>();
            out.push_str(&format!("fetch {} more={}\n", serials.join(" "), page.more));
            next = page.next;
            if !page.more {
                break;
            }
        }
        loop {
            let page = inventory.sync(journal, limit);
            let records = page.items.iter().map(|(device, op, at)| format!("{op:?} {}@{at}", device.serial));
            out.push_str(&format!("sync {} more={}\n", records.collect::<Vec<_>>().join(", "), page.more));
            journal = page.next;
            if !page.more {
                break;
            }
        }
        expect.assert_eq(&out);
    }

    #[test]
    fn a_device_added_during_a_fetch_comes_with_the_first_sync() {
        check(
            "+A +B +C | +D",
            2,
            expect![[r#"
            fetch A B more=true
            fetch C more=false
            sync Added D@4 more=false
        "#]],
        );
    }

    #[test]
    fn a_device_removed_during_a_fetch_is_not_listed_any_more() {
        check(
            "+A +B +C | -C",
            2,
            expect![[r#"
            fetch A B more=false
            sync Deleted C@4 more=false
        "#]],
        );
    }

    #[test]
    fn a_device_that_comes_back_is_listed_once_and_last() {
        check(
            "+A +B -A +A |",
            10,
            expect![[r#"
            fetch B A more=false
            sync  more=false
        "#]],
        );
    }

    #[test]
    fn a_sync_tells_the_whole_story_since_the_fetch_began() {
        check(
            "+A +B | ~A -A +A =A",
            10,
            expect![[r#"
            fetch B more=false
            sync Modified A@3, Deleted A@4, Added A@5, Modified A@6 more=false
        "#]],
        );
    }

    #[test]
    fn a_release_without_a_record_is_silent() {
        check(
            "+A +B | ?A ~A =A",
            10,
            expect![[r#"
            fetch B more=false
            sync  more=false
        "#]],
        );
    }
}
