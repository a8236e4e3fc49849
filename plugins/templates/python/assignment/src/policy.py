"""The decision: plain functions of plain values, tested without WebAssembly.

A device gets the profile of the longest prefix that its asset tag begins with, else the profile of
its family. What neither settles is held, with a reason, for somebody to look at.
"""

import json
from dataclasses import dataclass, field
from typing import Optional

KEYS = ("families", "prefixes")


@dataclass
class Problem:
    """Something that is wrong with the settings, and where: a JSON pointer."""

    pointer: str
    message: str
    hint: Optional[str] = None


@dataclass
class Policy:
    """The settings, with profiles as indices into the operator's list."""

    prefixes: dict[str, int] = field(default_factory=dict)
    families: dict[str, int] = field(default_factory=dict)


def read(settings: str, profiles: list[str]) -> tuple[Policy, list[Problem]]:
    """Reads the settings. With problems, the policy is not to be used."""
    value = json.loads(settings)
    policy, problems = Policy(), []
    if not isinstance(value, dict):
        return policy, [Problem("", "the settings are not a table")]
    for key in value:
        if key not in KEYS:
            hint = "the settings are `families` and `prefixes`"
            problems.append(Problem(f"/{escape(key)}", f"there is no setting `{key}`", hint))
    read_profiles(value, "families", profiles, policy.families, problems)
    read_profiles(value, "prefixes", profiles, policy.prefixes, problems)
    if "" in policy.prefixes:
        hint = "write what is for a whole family under `families`"
        problems.append(Problem("/prefixes/", "the empty text begins every asset tag", hint))
    if not problems and not policy.families and not policy.prefixes:
        hint = f'families = {{ iPad = "{profiles[0] if profiles else "standard"}" }}'
        problems.append(Problem("", "nothing is set, so no device would get a profile", hint))
    return policy, problems


def decide(policy: Policy, asset_tag: Optional[str], family: Optional[str]) -> tuple[Optional[int], str]:
    """The profile that a device gets, or none to hold it; and why."""
    fitting = [prefix for prefix in policy.prefixes if (asset_tag or "").startswith(prefix)]
    if fitting:
        prefix = max(fitting, key=len)
        return policy.prefixes[prefix], f"the asset tag begins with {prefix}"
    if not family:
        return None, "Apple does not say which family the device is of"
    if family not in policy.families:
        return None, "no profile is set for the family of the device"
    return policy.families[family], f"the family is {family}"


def read_profiles(
    settings: dict, key: str, profiles: list[str], into: dict[str, int], problems: list[Problem]
) -> None:
    """Reads the table `key`, from a text to the name of a profile."""
    table = settings.get(key, {})
    if not isinstance(table, dict):
        hint = f'{key} = {{ ... = "{profiles[0] if profiles else "standard"}" }}'
        problems.append(Problem(f"/{key}", f"`{key}` is not a table", hint))
        return
    for name, wanted in table.items():
        pointer = f"/{key}/{escape(name)}"
        if not isinstance(wanted, str):
            problems.append(Problem(pointer, "the name of a profile is a text"))
        elif wanted not in profiles:
            known = ", ".join(f"`{profile}`" for profile in profiles)
            problems.append(Problem(pointer, f"there is no profile `{wanted}`", f"there are {known}"))
        else:
            into[name] = profiles.index(wanted)


def escape(key: str) -> str:
    """A step of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")
