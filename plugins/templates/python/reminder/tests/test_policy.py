import json
import sys
import unittest
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

import policy

NOW = 1_800_000_000


def fact(ends=None, trouble=None, told=None):
    return SimpleNamespace(kind="token", name="", ends=ends, trouble=trouble, told=told)


class Policy(unittest.TestCase):
    def check(self, fact, expected):
        configured, problems = policy.read("{}")
        self.assertEqual(problems, [])
        said = policy.remind(configured, NOW, "emea", fact)
        self.assertEqual(said and (said.threshold, said.severity, said.subject), expected)

    def check_problems(self, settings, expected):
        _, problems = policy.read(json.dumps(settings))
        self.assertEqual([f"{it.pointer}: {it.message}" for it in problems], expected)

    def test_an_end_is_told_at_the_smallest_threshold_that_has_come(self):
        day = policy.DAY
        self.check(fact(NOW + 31 * day), None)
        self.check(fact(NOW + 30 * day), (30 * day, "info", "emea: token ends in 30 days"))
        self.check(fact(NOW + 6 * day), (7 * day, "warning", "emea: token ends in 6 days"))
        self.check(fact(NOW - day), (day, "critical", "emea: token has ended"))

    def test_trouble_is_told_at_once(self):
        trouble = SimpleNamespace(message="the terms are not signed", advice="sign them")
        self.check(fact(trouble=trouble), (0, "critical", "emea: the terms are not signed"))

    def test_what_was_told_is_told_to_be_well_again(self):
        self.check(fact(told=0), (None, "info", "emea: token is well again"))

    def test_all_that_is_wrong_with_the_settings_is_said_at_once_with_its_place(self):
        self.check_problems(
            {"day": 1, "days": [30, "7"]},
            ["/day: there is no setting `day`", "/days/1: not a whole number from 0"],
        )


if __name__ == "__main__":
    unittest.main()
