"""The decision: plain functions of plain values, tested without WebAssembly.

Trouble is told at once, ends some days ahead, and what people were told about is told again when all
is well. Deputy leaves out what was said before, so nothing has to be remembered here.
"""

import json
from dataclasses import dataclass, field
from typing import Optional

DAY = 86_400


@dataclass
class Problem:
    """Something that is wrong with the settings, and where: a JSON pointer."""

    pointer: str
    message: str
    hint: Optional[str] = None


@dataclass
class Policy:
    """The settings: how many days before an end people are told, the most first."""

    days: list[int] = field(default_factory=lambda: [30, 14, 7, 1])


@dataclass
class Reminder:
    """What is to be said about a fact. Without a threshold, in seconds, that all is well again."""

    threshold: Optional[int]
    severity: str
    subject: str
    text: str


def read(settings: str) -> tuple[Policy, list[Problem]]:
    """Reads the settings. With problems, the policy is not to be used."""
    value = json.loads(settings)
    policy, problems = Policy(), []
    if not isinstance(value, dict):
        return policy, [Problem("", "the settings are not a table")]
    for key in value:
        if key != "days":
            problems.append(Problem(f"/{escape(key)}", f"there is no setting `{key}`", "there is `days`"))
    days = value.get("days", policy.days)
    if not isinstance(days, list) or not days:
        problems.append(Problem("/days", "not a list of days", "days = [30, 14, 7, 1]"))
        days = []
    for index, day in enumerate(days):
        # In Python a bool is an int.
        if type(day) is not int or day < 0:
            problems.append(Problem(f"/days/{index}", "not a whole number from 0"))
    policy.days = days
    return policy, problems


def remind(policy: Policy, now: int, token: str, fact) -> Optional[Reminder]:
    """What is to be said about one fact of a token now, if anything."""
    what = f"{fact.kind} {fact.name}".strip()
    if fact.trouble is not None:
        text = "\n".join(line for line in (fact.trouble.message, fact.trouble.advice) if line)
        return Reminder(0, "critical", f"{token}: {fact.trouble.message}", text)
    due = [day for day in policy.days if fact.ends is not None and now >= fact.ends - day * DAY]
    if due:
        day = min(due)
        severity = "critical" if day <= 1 else "warning" if day <= 7 else "info"
        left = (fact.ends - now) // DAY
        when = f"ends in {left} days" if left >= 0 else "has ended"
        return Reminder(day * DAY, severity, f"{token}: {what} {when}", f"The {what} of {token} {when}.")
    if fact.told is not None:
        return Reminder(None, "info", f"{token}: {what} is well again", f"Nothing more is to be done about the {what} of {token}.")
    return None


def escape(key: str) -> str:
    """A step of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")
