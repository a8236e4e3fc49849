//! Sets of devices, as stretches of their numbers: what changes together mostly came together.

use super::devices::DeviceId;

/// Devices, in stretches from the first to the last of each, in order and apart from each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<(DeviceId, DeviceId)>);

impl Ranges {
    /// Of these stretches, in any order, which may overlap.
    pub(super) fn of(mut stretches: Vec<(DeviceId, DeviceId)>) -> Self {
        stretches.retain(|(first, last)| first <= last);
        stretches.sort_unstable();
        let mut ranges: Vec<(DeviceId, DeviceId)> = Vec::new();
        for (first, last) in stretches {
            match ranges.last_mut() {
                Some((_, end)) if first <= end.next() => *end = last.max(*end),
                _ => ranges.push((first, last)),
            }
        }
        Self(ranges)
    }

    /// The stretches.
    pub(super) fn iter(&self) -> impl Iterator<Item = (DeviceId, DeviceId)> + '_ {
        self.0.iter().copied()
    }

    /// What of them comes after a device.
    pub(super) fn after(&self, device: DeviceId) -> impl Iterator<Item = (DeviceId, DeviceId)> + '_ {
        let begin = self.0.partition_point(|(_, last)| *last <= device);
        self.0[begin..].iter().map(move |(first, last)| ((*first).max(device.next()), *last))
    }

    /// These devices and those.
    pub(super) fn and(&self, devices: impl IntoIterator<Item = DeviceId>) -> Self {
        Self::of(self.iter().chain(devices.into_iter().map(|device| (device, device))).collect())
    }
}

impl FromIterator<DeviceId> for Ranges {
    fn from_iter<T: IntoIterator<Item = DeviceId>>(devices: T) -> Self {
        Self::default().and(devices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stretches such as `3-5 1`, and what becomes of them.
    #[track_caller]
    fn check(stretches: &str, expected: &str) {
        let device = |text: &str| DeviceId::before_first(0).plus(text.parse().unwrap());
        let stretch = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            (device(first), device(last))
        };
        let ranges = Ranges::of(stretches.split_whitespace().map(stretch).collect());
        let expected: Vec<_> = expected.split_whitespace().map(stretch).collect();
        assert_eq!(ranges.iter().collect::<Vec<_>>(), expected);
        let left: Vec<_> = ranges.after(device("4")).collect();
        let after = |(first, last): &(DeviceId, DeviceId)| ((*first).max(device("5")), *last);
        let all: Vec<_> = expected.iter().filter(|(_, last)| *last > device("4")).map(after).collect();
        assert_eq!(left, all, "after 4");
    }

    #[test]
    fn what_touches_or_overlaps_becomes_one() {
        check("7 1-2 3 5-9 9-10 12", "1-3 5-10 12");
    }

    #[test]
    fn one_within_another_changes_nothing() {
        check("1-9 2-3 9", "1-9");
    }

    #[test]
    fn of_none_nothing_is_left() {
        check("", "");
        check("5-4", "");
    }
}
