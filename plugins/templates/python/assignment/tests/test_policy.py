import json
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

import policy

PROFILES = ["standard", "lab-ipad", "kiosk"]
SETTINGS = {
    "families": {"Mac": "standard", "iPad": "lab-ipad"},
    "prefixes": {"LIB-": "lab-ipad", "LIB-K": "kiosk"},
}


class Policy(unittest.TestCase):
    def check(self, family, asset_tag, expected):
        configured, problems = policy.read(json.dumps(SETTINGS), PROFILES)
        self.assertEqual(problems, [])
        profile, reason = policy.decide(configured, asset_tag, family)
        name = "hold" if profile is None else PROFILES[profile]
        self.assertEqual(f"{name}: {reason}", expected)

    def check_problems(self, settings, expected):
        _, problems = policy.read(json.dumps(settings), PROFILES)
        self.assertEqual([f"{it.pointer}: {it.message}" for it in problems], expected)

    def test_the_longest_prefix_decides_before_the_family(self):
        self.check("Mac", "LIB-1", "lab-ipad: the asset tag begins with LIB-")
        self.check("Mac", "LIB-K1", "kiosk: the asset tag begins with LIB-K")

    def test_without_a_prefix_that_fits_the_family_decides(self):
        self.check("Mac", None, "standard: the family is Mac")
        self.check("iPad", "POOL-1", "lab-ipad: the family is iPad")

    def test_what_cannot_be_decided_is_held(self):
        self.check("Vision", None, "hold: no profile is set for the family of the device")
        self.check(None, "", "hold: Apple does not say which family the device is of")

    def test_all_that_is_wrong_with_the_settings_is_said_at_once_with_its_place(self):
        self.check_problems(
            {"familys": {}, "families": {"Mac": "sandard"}, "prefixes": {"a/b": 1}},
            [
                "/familys: there is no setting `familys`",
                "/families/Mac: there is no profile `sandard`",
                "/prefixes/a~1b: the name of a profile is a text",
            ],
        )

    def test_settings_that_would_decide_nothing_are_a_problem(self):
        self.check_problems({}, [": nothing is set, so no device would get a profile"])


if __name__ == "__main__":
    unittest.main()
