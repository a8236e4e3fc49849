"""The glue between the contract in wit/ and the decision in policy.py.

What the functions mean is written in wit/policy.wit. `componentize-py` makes the module `wit_world`
of it; for an editor's sake, `.venv/bin/componentize-py -d wit -w {{world}} bindings build/bindings`
writes the same as files.
"""

import json

from componentize_py_types import Err
from wit_world.exports import plugin, reminder

import policy
from failures import told

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "days": {
            "description": "How many days before something ends people are told",
            "type": "array",
            "items": {"type": "integer", "minimum": 0},
        },
    },
}

SEVERITIES = {
    "info": reminder.Severity.INFO,
    "warning": reminder.Severity.WARNING,
    "critical": reminder.Severity.CRITICAL,
}

# Every call begins with a new instance, so what `configure` leaves here is for one call.
configured = policy.Policy()


class Plugin:
    def describe(self) -> plugin.Description:
        return plugin.Description("trouble at once, ends some days ahead", "0.1.0", json.dumps(SCHEMA))

    @told
    def configure(self, settings: str, setup: plugin.Setup) -> None:
        global configured
        configured, problems = policy.read(settings)
        if problems:
            raise Err([plugin.SettingsProblem(it.pointer, it.message, it.hint) for it in problems])

    def tables(self) -> list[plugin.TableUse]:
        return []


class Reminder:
    @told
    def remind(self, context: reminder.Context, tokens: list[reminder.Token]) -> list[list[reminder.Reminder]]:
        return [reminders(context.now, token) for token in tokens]


def reminders(now: int, token: reminder.Token) -> list[reminder.Reminder]:
    due = []
    for index, fact in enumerate(token.facts):
        said = policy.remind(configured, now, token.name, fact)
        if said is not None:
            recovered = reminder.Occasion_Recovered()
            occasion = recovered if said.threshold is None else reminder.Occasion_Threshold(said.threshold)
            # No channels: all of the workflow's.
            due.append(reminder.Reminder(index, occasion, SEVERITIES[said.severity], [], said.subject, said.text))
    return due
