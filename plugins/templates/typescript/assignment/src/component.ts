// The glue between the contract in wit/ and the decision in policy.ts. What the functions mean is
// written in wit/policy.wit; `npm run types` makes TypeScript types of it.

import type * as Assignment from "deputy:policy/assignment@1.1.0";
import { log } from "deputy:policy/log@1.1.0";
import type * as Plugin from "deputy:policy/plugin@1.1.0";
import { type Policy, decide, read } from "./policy.js";

// Every call begins with a new instance, so what `configure` leaves here is for one call.
let policy: Policy = { prefixes: new Map(), families: new Map() };

export const plugin: typeof Plugin = {
  describe() {
    return { summary: "a profile by asset tag, else by family", version: "0.1.0", settingsSchema: SCHEMA };
  },
  configure(settings, setup) {
    const { policy: wanted, problems } = told(() => read(settings, setup.profiles));
    if (problems.length > 0) {
      // The error of a `result` is what is thrown.
      throw problems satisfies Plugin.SettingsProblem[];
    }
    policy = wanted;
  },
  tables() {
    return [];
  },
};

export const assignment: typeof Assignment = {
  reads() {
    return { assetTag: true, deviceFamily: true };
  },
  decide(_context, devices) {
    const indices = new Map<string, number>();
    const verdicts = devices.map((device): Assignment.Verdict => {
      const { assign, reason } = told(() => decide(policy, device));
      if (!indices.has(reason)) {
        indices.set(reason, indices.size);
      }
      const decision: Assignment.Decision =
        assign === undefined ? { tag: "hold", val: undefined } : { tag: "assign", val: assign };
      return { decision, reason: indices.get(reason)! };
    });
    return { verdicts, reasons: [...indices.keys()] };
  },
};

/** Has what is thrown say what it is in the operator's log: nobody would hear more than that the policy failed. */
function told<Answer>(answer: () => Answer): Answer {
  try {
    return answer();
  } catch (error) {
    log("error", error instanceof Error ? `${error}; in ${error.stack}` : String(error));
    throw error;
  }
}

const SCHEMA = JSON.stringify({
  type: "object",
  additionalProperties: false,
  properties: {
    families: {
      description: "The profile of each device family",
      type: "object",
      additionalProperties: { type: "string" },
    },
    prefixes: {
      description: "The profile of the asset tags that begin so; the longest prefix decides, before any family",
      type: "object",
      additionalProperties: { type: "string" },
    },
  },
});
