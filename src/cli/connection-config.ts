// The part of a config that says where the broker is, from options of a command, for those that connect before there are groups.
import { HiddenstateError } from "../base/errors.ts";
import { brokerFaults } from "../runtime/broker-faults.ts";
import { configSchema } from "../runtime/config-schema.ts";
import type { Config } from "../runtime/config-schema.ts";

export interface ConnectionSettings {
  readonly node: string;
  /** The state directory. */
  readonly state: string;
  readonly log?: string;
  /** As in a config. */
  readonly mqtt: Readonly<Record<string, unknown>> & { readonly url: string };
  /** False alarms, as in a config. */
  readonly budget?: string;
}

/** A config whose one group nobody runs. Throws `bad_argument`, "cannot <verb> the broker: ...". */
export function connectionConfig(verb: string, { budget, ...settings }: ConnectionSettings): Config {
  const score = budget === undefined ? {} : { budget };
  const group = { name: "any", topic: "any/{thing}", codec: "json", features: ["any"], score };
  const parsed = configSchema.safeParse({ ...settings, groups: [group] });
  const fault = parsed.success ? brokerFaults(parsed.data, false)[0] : parsed.error.issues[0];
  if (parsed.success && fault === undefined) return parsed.data;
  // The URL may hold a password.
  const hint = fault!.message.includes("allowInsecure") ? "; here that is --allow-insecure" : "";
  throw new HiddenstateError("bad_argument", `cannot ${verb} the broker: ${fault!.message}${hint}`);
}
