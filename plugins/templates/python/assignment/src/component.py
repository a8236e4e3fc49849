"""The glue between the contract in wit/ and the decision in policy.py.

What the functions mean is written in wit/policy.wit. `componentize-py` makes the module `wit_world`
of it; for an editor's sake, `.venv/bin/componentize-py -d wit -w {{world}} bindings build/bindings`
writes the same as files.
"""

import json

from componentize_py_types import Err
from wit_world.exports import assignment, plugin

import policy
from failures import told

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "families": {
            "description": "The profile of each device family",
            "type": "object",
            "additionalProperties": {"type": "string"},
        },
        "prefixes": {
            "description": "The profile of the asset tags that begin so; the longest prefix decides, before any family",
            "type": "object",
            "additionalProperties": {"type": "string"},
        },
    },
}

# Every call begins with a new instance, so what `configure` leaves here is for one call.
configured = policy.Policy()


class Plugin:
    def describe(self) -> plugin.Description:
        return plugin.Description("a profile by asset tag, else by family", "0.1.0", json.dumps(SCHEMA))

    @told
    def configure(self, settings: str, setup: plugin.Setup) -> None:
        global configured
        configured, problems = policy.read(settings, setup.profiles)
        if problems:
            raise Err([plugin.SettingsProblem(it.pointer, it.message, it.hint) for it in problems])

    def tables(self) -> list[plugin.TableUse]:
        return []


class Assignment:
    def reads(self) -> assignment.DeviceFields:
        return assignment.DeviceFields.ASSET_TAG | assignment.DeviceFields.DEVICE_FAMILY

    @told
    def decide(self, context: assignment.Context, devices: list[assignment.Device]) -> assignment.Verdicts:
        indices: dict[str, int] = {}
        verdicts = []
        for device in devices:
            profile, reason = policy.decide(configured, device.asset_tag, device.device_family)
            index = indices.setdefault(reason, len(indices))
            hold = assignment.Decision_Hold(None)
            decision = hold if profile is None else assignment.Decision_Assign(profile)
            verdicts.append(assignment.Verdict(decision, index))
        return assignment.Verdicts(verdicts, list(indices))
