import json
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

import policy

SETTINGS = {"ask_above": 50, "protected": ["executive-mac"]}


class Policy(unittest.TestCase):
    def check(self, moves, expected):
        configured, problems = policy.read(json.dumps(SETTINGS), ["standard", "executive-mac"])
        self.assertEqual(problems, [])
        reassignments = sum(devices for source, _, devices in moves if source)
        self.assertEqual(": ".join(policy.review(configured, reassignments, moves)), expected)

    def check_problems(self, settings, expected):
        _, problems = policy.read(json.dumps(settings), ["standard"])
        self.assertEqual([f"{it.pointer}: {it.message}" for it in problems], expected)

    def test_a_plan_that_moves_few_is_approved(self):
        self.check([(None, "standard", 900), ("kiosk", "standard", 3)], "approve: 3 devices would be moved to another profile")

    def test_a_plan_that_moves_many_is_for_a_person(self):
        self.check([("kiosk", "standard", 51)], "ask: 51 devices would be moved to another profile, more than 50")

    def test_a_plan_that_moves_one_device_away_from_a_protected_profile_is_refused(self):
        expected = "refuse: 1 devices would be moved away from executive-mac, which is protected"
        self.check([("executive-mac", "standard", 1)], expected)

    def test_all_that_is_wrong_with_the_settings_is_said_at_once_with_its_place(self):
        self.check_problems(
            {"ask": 1, "ask_above": True, "protected": ["standard", "x"]},
            [
                "/ask: there is no setting `ask`",
                "/ask_above: not a whole number from 0",
                "/protected/1: there is no profile `x`",
            ],
        )

    def test_settings_that_would_stop_nothing_are_a_problem(self):
        self.check_problems({}, [": nothing is set, so every plan would be approved"])


if __name__ == "__main__":
    unittest.main()
