"""The decision: plain functions of plain values, tested without WebAssembly.

A plan that would move devices away from a protected profile is refused; one that would move many is
shown to a person first. What the operator's own limits refuse never comes here.
"""

import json
from dataclasses import dataclass, field
from typing import Optional

KEYS = ("ask_above", "protected")


@dataclass
class Problem:
    """Something that is wrong with the settings, and where: a JSON pointer."""

    pointer: str
    message: str
    hint: Optional[str] = None


@dataclass
class Policy:
    """The settings."""

    ask_above: Optional[int] = None
    protected: list[str] = field(default_factory=list)


def read(settings: str, profiles: list[str]) -> tuple[Policy, list[Problem]]:
    """Reads the settings. With problems, the policy is not to be used."""
    value = json.loads(settings)
    policy, problems = Policy(), []
    if not isinstance(value, dict):
        return policy, [Problem("", "the settings are not a table")]
    for key in value:
        if key not in KEYS:
            hint = "the settings are `ask_above` and `protected`"
            problems.append(Problem(f"/{escape(key)}", f"there is no setting `{key}`", hint))
    policy.ask_above = value.get("ask_above")
    # In Python a bool is an int.
    if "ask_above" in value and (type(policy.ask_above) is not int or policy.ask_above < 0):
        problems.append(Problem("/ask_above", "not a whole number from 0", "ask_above = 50"))
    protected = value.get("protected", [])
    if not isinstance(protected, list):
        problems.append(Problem("/protected", "not a list of profiles", 'protected = ["executive-mac"]'))
        protected = []
    for index, profile in enumerate(protected):
        if profile not in profiles:
            known = ", ".join(f"`{name}`" for name in profiles)
            problems.append(Problem(f"/protected/{index}", f"there is no profile `{profile}`", f"there are {known}"))
    policy.protected = protected
    if not value:
        problems.append(Problem("", "nothing is set, so every plan would be approved", "ask_above = 50"))
    return policy, problems


def review(policy: Policy, reassignments: int, moves: list[tuple[Optional[str], str, int]]) -> tuple[str, str]:
    """`approve`, `ask` or `refuse`, and why. A move is from which profile, to which, and how many devices."""
    for source, _, devices in moves:
        if source in policy.protected:
            return "refuse", f"{devices} devices would be moved away from {source}, which is protected"
    if policy.ask_above is not None and reassignments > policy.ask_above:
        return "ask", f"{reassignments} devices would be moved to another profile, more than {policy.ask_above}"
    return "approve", f"{reassignments} devices would be moved to another profile"


def escape(key: str) -> str:
    """A step of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")
