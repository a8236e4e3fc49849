// The decision: plain functions of plain values, tested by `npm test` without WebAssembly.
//
// A device gets the profile of the longest prefix that its asset tag begins with, else the profile
// of its family. What neither settles is held, with a reason, for somebody to look at.

/** Something that is wrong with the settings, and where: a JSON pointer. */
export interface Problem {
  pointer: string;
  message: string;
  hint?: string;
}

/** The settings, with profiles as indices into the operator's list. */
export interface Policy {
  prefixes: Map<string, number>;
  families: Map<string, number>;
}

/** What the decision looks at. */
export interface Device {
  assetTag?: string | undefined;
  deviceFamily?: string | undefined;
}

/** A profile to assign, or none to hold the device; and why. */
export interface Verdict {
  assign?: number;
  reason: string;
}

const KEYS = ["families", "prefixes"];

/** Reads the settings. With problems, the policy is not to be used. */
export function read(settings: string, profiles: string[]): { policy: Policy; problems: Problem[] } {
  const value: unknown = JSON.parse(settings);
  const problems: Problem[] = [];
  const policy: Policy = { prefixes: new Map(), families: new Map() };
  if (!isTable(value)) {
    return { policy, problems: [{ pointer: "", message: "the settings are not a table" }] };
  }
  for (const key of Object.keys(value)) {
    if (!KEYS.includes(key)) {
      const hint = "the settings are `families` and `prefixes`";
      problems.push({ pointer: `/${escape(key)}`, message: `there is no setting \`${key}\``, hint });
    }
  }
  readProfiles(value, "families", profiles, policy.families, problems);
  readProfiles(value, "prefixes", profiles, policy.prefixes, problems);
  if (policy.prefixes.has("")) {
    const message = "the empty text begins every asset tag";
    problems.push({ pointer: "/prefixes/", message, hint: "write what is for a whole family under `families`" });
  }
  if (problems.length === 0 && policy.families.size + policy.prefixes.size === 0) {
    const hint = `families = { iPad = "${profiles[0] ?? "standard"}" }`;
    problems.push({ pointer: "", message: "nothing is set, so no device would get a profile", hint });
  }
  return { policy, problems };
}

/** What becomes of one device. */
export function decide(policy: Policy, device: Device): Verdict {
  const prefix = longestPrefix(policy, device.assetTag ?? "");
  if (prefix !== undefined) {
    return { assign: policy.prefixes.get(prefix)!, reason: `the asset tag begins with ${prefix}` };
  }
  if (!device.deviceFamily) {
    return { reason: "Apple does not say which family the device is of" };
  }
  const profile = policy.families.get(device.deviceFamily);
  if (profile === undefined) {
    return { reason: "no profile is set for the family of the device" };
  }
  return { assign: profile, reason: `the family is ${device.deviceFamily}` };
}

function longestPrefix(policy: Policy, tag: string): string | undefined {
  let longest: string | undefined;
  for (const prefix of policy.prefixes.keys()) {
    if (tag.startsWith(prefix) && (longest === undefined || prefix.length > longest.length)) {
      longest = prefix;
    }
  }
  return longest;
}

/** Reads the table `key`, from a text to the name of a profile. */
function readProfiles(
  settings: Record<string, unknown>,
  key: string,
  profiles: string[],
  into: Map<string, number>,
  problems: Problem[],
): void {
  const table = settings[key] ?? {};
  if (!isTable(table)) {
    const hint = `${key} = { ... = "${profiles[0] ?? "standard"}" }`;
    problems.push({ pointer: `/${key}`, message: `\`${key}\` is not a table`, hint });
    return;
  }
  for (const [name, wanted] of Object.entries(table)) {
    const pointer = `/${key}/${escape(name)}`;
    const profile = profiles.indexOf(wanted as string);
    if (typeof wanted !== "string") {
      problems.push({ pointer, message: "the name of a profile is a text" });
    } else if (profile < 0) {
      const known = profiles.map((profile) => `\`${profile}\``).join(", ");
      problems.push({ pointer, message: `there is no profile \`${wanted}\``, hint: `there are ${known}` });
    } else {
      into.set(name, profile);
    }
  }
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A step of a JSON pointer. */
function escape(key: string): string {
  return key.replaceAll("~", "~0").replaceAll("/", "~1");
}
