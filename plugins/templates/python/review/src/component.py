"""The glue between the contract in wit/ and the decision in policy.py.

What the functions mean is written in wit/policy.wit. `componentize-py` makes the module `wit_world`
of it; for an editor's sake, `.venv/bin/componentize-py -d wit -w {{world}} bindings build/bindings`
writes the same as files.
"""

import json

from componentize_py_types import Err
from wit_world.exports import plugin, review

import policy
from failures import told

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "ask_above": {
            "description": "A plan that moves more devices than this to another profile is shown to a person first",
            "type": "integer",
            "minimum": 0,
        },
        "protected": {
            "description": "Profiles that no device is moved away from",
            "type": "array",
            "items": {"type": "string"},
        },
    },
}

DECISIONS = {
    "approve": review.Decision.APPROVE,
    "ask": review.Decision.ASK,
    "refuse": review.Decision.REFUSE,
}

# Every call begins with a new instance, so what `configure` leaves here is for one call.
configured = policy.Policy()


class Plugin:
    def describe(self) -> plugin.Description:
        return plugin.Description("a person looks at plans that move many devices", "0.1.0", json.dumps(SCHEMA))

    @told
    def configure(self, settings: str, setup: plugin.Setup) -> None:
        global configured
        configured, problems = policy.read(settings, setup.profiles)
        if problems:
            raise Err([plugin.SettingsProblem(it.pointer, it.message, it.hint) for it in problems])

    def tables(self) -> list[plugin.TableUse]:
        return []


class Review:
    @told
    def review(self, context: review.Context, plan: review.Plan) -> review.Opinion:
        moves = [(move.from_, move.to, move.devices) for move in plan.moves]
        decision, reason = policy.review(configured, plan.reassignments, moves)
        return review.Opinion(DECISIONS[decision], reason)
