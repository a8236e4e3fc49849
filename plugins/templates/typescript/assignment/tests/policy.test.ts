import assert from "node:assert/strict";
import { test } from "node:test";
import { decide, read } from "../src/policy.js";

const PROFILES = ["standard", "lab-ipad", "kiosk"];
const SETTINGS = JSON.stringify({
  families: { Mac: "standard", iPad: "lab-ipad" },
  prefixes: { "LIB-": "lab-ipad", "LIB-K": "kiosk" },
});

function check(deviceFamily: string | undefined, assetTag: string | undefined, expected: string): void {
  const { policy, problems } = read(SETTINGS, PROFILES);
  assert.deepEqual(problems, []);
  const { assign, reason } = decide(policy, { deviceFamily, assetTag });
  assert.equal(`${assign === undefined ? "hold" : PROFILES[assign]}: ${reason}`, expected);
}

function checkProblems(settings: unknown, expected: string[]): void {
  const { problems } = read(JSON.stringify(settings), PROFILES);
  assert.deepEqual(problems.map(({ pointer, message }) => `${pointer}: ${message}`), expected);
}

test("the longest prefix decides, before the family", () => {
  check("Mac", "LIB-1", "lab-ipad: the asset tag begins with LIB-");
  check("Mac", "LIB-K1", "kiosk: the asset tag begins with LIB-K");
});

test("without a prefix that fits the family decides", () => {
  check("Mac", undefined, "standard: the family is Mac");
  check("iPad", "POOL-1", "lab-ipad: the family is iPad");
});

test("what cannot be decided is held", () => {
  check("Vision", undefined, "hold: no profile is set for the family of the device");
  check(undefined, "", "hold: Apple does not say which family the device is of");
});

test("all that is wrong with the settings is said at once, with its place", () => {
  checkProblems({ familys: {}, families: { Mac: "sandard" }, prefixes: { "a/b": 1 } }, [
    "/familys: there is no setting `familys`",
    "/families/Mac: there is no profile `sandard`",
    "/prefixes/a~1b: the name of a profile is a text",
  ]);
});

test("settings that would decide nothing are a problem", () => {
  checkProblems({}, [": nothing is set, so no device would get a profile"]);
});
