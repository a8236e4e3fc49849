//! The devices of one server, and the journal of what happened to them.
//!
//! Both only grow, so a page costs what it shows and not what the fleet is: the full list is walked by
//! slot (a device keeps its slot, and gets a new one when it comes back), the changes by their place in
//! the journal. A record shows the device as it is now; the record with the latest time is the truth anyway.
//! If changes take time to show, the lists see for so long the device as it was.

use crate::device::{Device, Op, ProfileStatus};
use crate::profile::ProfileUuid;
use crate::serial::Index;
use std::collections::HashMap;

#[derive(Debug, Default)]
pub(crate) struct Inventory {
    slots: Vec<Device>,
    index: Index,
    here: usize,
    journal: Vec<Record>,
    pub(crate) most_assignments: u32,
    /// How many seconds the lists take to know of a change.
    pub(crate) delay: i64,
    /// By slot: devices as they were, and until when they are seen so.
    shadows: HashMap<u32, (Device, i64)>,
}

/// One line of the journal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    slot: u32,
    op: Op,
    at: i64,
}

/// How a list is looked at.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    /// At most so many devices.
    pub(crate) limit: usize,
    pub(crate) now: i64,
    /// Devices that are not to be seen.
    pub(crate) hidden: &'a dyn Fn(&Device) -> bool,
    /// A page that is not the first also repeats something that was on one before it.
    pub(crate) duplicates: bool,
}

/// Part of a list, where the next part starts, and whether there is one.
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next: u32,
    pub(crate) more: bool,
}

/// How far back a record is looked for to be shown again.
const REACH: usize = 1000;

impl Inventory {
    /// How many devices are on the server now.
    pub(crate) fn len(&self) -> usize {
        self.here
    }

    pub(crate) fn slots(&self) -> u32 {
        self.slots.len() as u32
    }

    /// Where the journal ends for who looks at it now.
    pub(crate) fn journal_end(&self, now: i64) -> u32 {
        match self.delay {
            0 => self.journal.len() as u32,
            delay => self.journal.partition_point(|record| record.at + delay <= now) as u32,
        }
    }

    pub(crate) fn get(&self, serial: &str) -> Option<&Device> {
        self.last_seen(serial).filter(|device| !device.gone)
    }

    /// A device that is on the server, or was.
    pub(crate) fn last_seen(&self, serial: &str) -> Option<&Device> {
        self.slots.get(self.slot(serial)? as usize)
    }

    /// The devices on the server, oldest first.
    pub(crate) fn devices(&self) -> impl Iterator<Item = &Device> {
        self.slots.iter().filter(|device| !device.gone)
    }

    /// Makes room for so many more.
    pub(crate) fn reserve(&mut self, count: usize) {
        self.slots.reserve_exact(count);
        self.journal.reserve_exact(count);
    }

    /// Adds a device; `false` if its serial number is already here.
    pub(crate) fn add(&mut self, device: Device, now: i64) -> bool {
        self.add_as(device, Op::Added, now)
    }

    /// Adds a device with a record of this kind.
    pub(crate) fn add_as(&mut self, device: Device, op: Op, now: i64) -> bool {
        if self.get(&device.serial).is_some() {
            return false;
        }
        let slot = self.slots();
        let Self { slots, index, .. } = self;
        index.put(&device.serial, slot, |slot| slots.get(slot as usize).map_or("", |device| &device.serial));
        if self.delay > 0 {
            let mut before = device.clone();
            before.gone = true;
            self.cast_shadow(slot, before, now);
        }
        self.slots.push(device);
        self.journal.push(Record { slot, op, at: now });
        self.here += 1;
        true
    }

    /// Changes a device, and records that; what `change` refuses leaves no record.
    pub(crate) fn change<E>(
        &mut self,
        serial: &str,
        now: i64,
        change: impl FnOnce(&mut Device) -> Result<(), E>,
    ) -> Option<Result<(), E>> {
        let slot = self.slot(serial)?;
        let device = self.slots.get_mut(slot as usize).filter(|device| !device.gone)?;
        let mut changed = device.clone();
        if let Err(refused) = change(&mut changed) {
            return Some(Err(refused));
        }
        let before = std::mem::replace(device, changed);
        self.cast_shadow(slot, before, now);
        self.journal.push(Record { slot, op: Op::Modified, at: now });
        Some(Ok(()))
    }

    /// Changes a device of which nobody is told.
    pub(crate) fn mark(&mut self, serial: &str, change: impl FnOnce(&mut Device)) {
        let slot = self.slot(serial);
        if let Some(device) = slot.and_then(|slot| self.slots.get_mut(slot as usize)) {
            change(device);
        }
    }

    /// Takes a device off the server; `false` if it is not there.
    pub(crate) fn remove(&mut self, serial: &str, with_record: bool, now: i64) -> bool {
        let Some(slot) = self.slot(serial) else { return false };
        let device = self.slots.get_mut(slot as usize).filter(|device| !device.gone);
        let Some(device) = device else { return false };
        let before = (self.delay > 0).then(|| device.clone());
        device.gone = true;
        self.here -= 1;
        if let Some(before) = before {
            self.cast_shadow(slot, before, now);
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

    /// Some devices of the slots from `next` to `end`.
    pub(crate) fn fetch(&self, next: u32, end: u32, look: Look) -> Page<&Device> {
        let end = end.min(self.slots());
        let seen = |slot| {
            let device = self.listed(slot, look.now)?;
            (!device.gone && !(look.hidden)(device)).then_some(device)
        };
        let again = match look.duplicates && look.limit > 1 {
            true => (0..next.min(end)).rev().find_map(seen),
            false => None,
        };
        let limit = look.limit - usize::from(again.is_some());
        let mut items = Vec::with_capacity(look.limit.min(1000));
        for slot in next..end {
            if let Some(device) = seen(slot) {
                if items.len() == limit {
                    items.extend(again);
                    return Page { items, next: slot, more: true };
                }
                items.push(device);
            }
        }
        items.extend(again);
        Page { items, next: end, more: false }
    }

    /// Some records of the journal from `next` on.
    pub(crate) fn sync(&self, next: u32, look: Look) -> Page<(&Device, Op, i64)> {
        let end = self.journal_end(look.now) as usize;
        let from = (next as usize).min(end);
        let again = if look.duplicates && look.limit > 1 && from < end { self.older(from) } else { None };
        let to = (from + look.limit - usize::from(again.is_some())).min(end);
        let shown = |record: &Record| {
            let device = self.listed(record.slot, look.now)?;
            (!(look.hidden)(device)).then_some((device, record.op, record.at))
        };
        let items = self.journal[from..to].iter().chain(again).filter_map(shown).collect();
        Page { items, next: to as u32, more: to < end }
    }

    /// A record before this place: of a device that comes again after it, if there is one near.
    fn older(&self, from: usize) -> Option<&Record> {
        let comes = self.journal.get(from)?.slot;
        let near = self.journal[from.saturating_sub(REACH)..from].iter().rev();
        near.clone().find(|record| record.slot == comes).or(near.clone().next())
    }

    fn slot(&self, serial: &str) -> Option<u32> {
        self.index.find(serial, |slot| self.slots.get(slot as usize).map_or("", |device| &device.serial))
    }

    /// A device as the lists know it now.
    fn listed(&self, slot: u32, now: i64) -> Option<&Device> {
        let shadow = if self.shadows.is_empty() { None } else { self.shadows.get(&slot) };
        let shadow = shadow.filter(|(_, until)| now < *until).map(|(device, _)| device);
        shadow.or(self.slots.get(slot as usize))
    }

    /// Lets a device be seen as it was for a while, after a change that follows another for longer.
    fn cast_shadow(&mut self, slot: u32, before: Device, now: i64) {
        if self.delay == 0 {
            return;
        }
        let until = now + self.delay;
        match self.shadows.get_mut(&slot).filter(|(_, until)| now < *until) {
            Some(shadow) => shadow.1 = until,
            None => {
                if self.shadows.len() == self.shadows.capacity() {
                    self.shadows.retain(|_, (_, until)| now < *until);
                }
                self.shadows.insert(slot, (before, until));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Kind;
    use expect_test::{Expect, expect};
    use std::sync::Arc;

    /// Plays a story (`+A` adds, `~A` changes, `-A` removes, `?A` removes without a record, `=A` assigns)
    /// and shows the pages of a fetch begun at `|` and of the sync that follows it.
    fn check(story: &str, limit: usize, expect: Expect) {
        let look = Look { limit, now: i64::MAX, hidden: &|_| false, duplicates: false };
        check_with(0, story, look, expect);
    }

    fn check_with(delay: i64, story: &str, look: Look, expect: Expect) {
        let mut inventory = Inventory { delay, ..Inventory::default() };
        let (mut end, mut journal) = (0, 0);
        for (now, step) in story.split(' ').enumerate() {
            let now = now as i64;
            let (verb, serial) = step.split_at(1);
            match verb {
                "." => {}
                "|" => (end, journal) = (inventory.slots(), inventory.journal_end(now)),
                "+" => {
                    inventory.add(Device::new(serial, Arc::new(Kind::default()), now), now);
                }
                "~" => {
                    inventory.change(serial, now, |_| Ok::<(), ()>(()));
                }
                "=" => {
                    inventory.assign(serial, ProfileUuid::new(1), now);
                }
                _ => {
                    inventory.remove(serial, verb == "-", now);
                }
            }
        }
        let mut out = String::new();
        let mut next = 0;
        loop {
            let page = inventory.fetch(next, end, look);
            let letter = |device: &&Device| match device.status {
                ProfileStatus::Assigned => format!("{}=", device.serial),
                _ => device.serial.to_string(),
            };
            let serials = page.items.iter().map(letter).collect::<Vec<_>>();
            out.push_str(&format!("fetch {} more={}\n", serials.join(" "), page.more));
            next = page.next;
            if !page.more {
                break;
            }
        }
        loop {
            let page = inventory.sync(journal, look);
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

    #[test]
    fn a_device_is_listed_again_on_a_later_page_and_an_older_record_after_the_newer() {
        check_with(
            0,
            "+A +B +C +D | ~A ~B ~A ~C",
            Look { limit: 3, now: i64::MAX, hidden: &|_| false, duplicates: true },
            expect![[r#"
                fetch A B C more=true
                fetch D C more=false
                sync Modified A@5, Modified B@6, Added A@0 more=true
                sync Modified A@7, Modified C@8, Modified A@5 more=false
            "#]],
        );
    }

    #[test]
    fn pages_of_one_have_no_room_for_duplicates() {
        check_with(
            0,
            "+A +B | ~A ~B",
            Look { limit: 1, now: i64::MAX, hidden: &|_| false, duplicates: true },
            expect![[r#"
                fetch A more=true
                fetch B more=false
                sync Modified A@3 more=true
                sync Modified B@4 more=false
            "#]],
        );
    }

    #[test]
    fn hidden_devices_are_in_no_list() {
        check_with(
            0,
            "+A +B +C | ~A ~B -C",
            Look { limit: 2, now: i64::MAX, hidden: &|device| &*device.serial == "A", duplicates: false },
            expect![[r#"
                fetch B more=false
                sync Modified B@5 more=true
                sync Deleted C@6 more=false
            "#]],
        );
    }

    #[test]
    fn changes_show_after_a_delay_and_until_then_all_is_as_it_was() {
        let look = |now| Look { limit: 9, now, hidden: &|_| false, duplicates: false };
        let story = "+A +B . . . . =A -B +C |";
        check_with(
            5,
            story,
            look(9),
            expect![[r#"
            fetch A B more=false
            sync  more=false
        "#]],
        );
        check_with(
            5,
            story,
            look(11),
            expect![[r#"
            fetch A= B more=false
            sync Modified A@6 more=false
        "#]],
        );
        check_with(
            5,
            story,
            look(12),
            expect![[r#"
            fetch A= more=false
            sync Modified A@6, Deleted B@7 more=false
        "#]],
        );
        check_with(
            5,
            story,
            look(13),
            expect![[r#"
            fetch A= C more=false
            sync Modified A@6, Deleted B@7, Added C@8 more=false
        "#]],
        );
    }
}
