#!/usr/bin/env python3
"""The times of a year, worked out apart from Deputy: python3 make.py, in this folder.

Nothing here reads a cron expression or knows how Deputy works times out. Every minute of the year is
visited in UTC; what the clocks of the place show then comes from Python's zoneinfo, and a line of Python
says whether that is a time of the schedule. The rule for changes of clocks is the documented one:

- where the clocks leave out minutes of the schedule, it is due at the first minute after them;
- a minute that they show twice counts the first time, and the second only if the schedule runs through
  all hours.

A file for each zone; a line for each workflow and day in UTC on which it is due. Made with tzdata 2025b
(the rules of 2025 do not change any more).
"""

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

BEGIN = datetime(2025, 1, 1, tzinfo=timezone.utc)
END = datetime(2026, 1, 1, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)

ZONES = ["Africa/Cairo", "America/Havana", "America/New_York", "Australia/Lord_Howe", "Europe/Paris"]

# What is written in the workflow, whether it runs through all hours, and when it is due.
SCHEDULES = {
    "night": ("30 2 * * *", False, lambda t: (t.hour, t.minute) == (2, 30)),
    "midnight": ("@daily", False, lambda t: (t.hour, t.minute) == (0, 0)),
    "office": (
        "15 8-18/2 * * mon-fri",
        False,
        lambda t: t.isoweekday() <= 5 and t.hour in (8, 10, 12, 14, 16, 18) and t.minute == 15,
    ),
    "month": ("0 12 1 * *", False, lambda t: (t.day, t.hour, t.minute) == (1, 12, 0)),
    "late": ("45 23,0,1 * * *", False, lambda t: t.hour in (23, 0, 1) and t.minute == 45),
    "through": ("10 */6 * * *", True, lambda t: t.hour % 6 == 0 and t.minute == 10),
    "all-hours": (
        "40 * 24-31 3,4,10,11 *",
        True,
        lambda t: t.day >= 24 and t.month in (3, 4, 10, 11) and t.minute == 40,
    ),
}


def due(zone, through_all_hours, matches):
    """The minutes at which a schedule is due."""
    minute = BEGIN + MINUTE
    while minute <= END:
        local, before = minute.astimezone(zone), (minute - MINUTE).astimezone(zone)
        # Without their offsets: what the clocks show, and would show if they went on evenly.
        shown, expected = local.replace(tzinfo=None), before.replace(tzinfo=None) + MINUTE
        is_due = matches(shown) and (local.fold == 0 or through_all_hours)
        while expected < shown and not is_due:
            is_due = matches(expected)
            expected += MINUTE
        if is_due:
            yield minute
        minute += MINUTE


for name in ZONES:
    zone = ZoneInfo(name)
    with open(name.replace("/", "-") + ".txt", "w") as file:
        for label, (cron, through_all_hours, matches) in SCHEDULES.items():
            print(f"# {label}: {cron}", file=file)
            days = {}
            for minute in due(zone, through_all_hours, matches):
                days.setdefault(minute.date(), []).append(minute.strftime("%H:%M"))
            for day, times in days.items():
                print(day, *times, file=file)
