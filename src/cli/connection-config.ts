// The part of a config that says where the broker is, from options of a command, for those that connect before there are groups.
import { resolve } from "node:path";
import { Option } from "commander";
import type { Command } from "commander";
import { HiddenstateError } from "../base/errors.ts";
import { brokerFaults } from "../runtime/broker-faults.ts";
import { configSchema } from "../runtime/config-schema.ts";
import type { Config } from "../runtime/config-schema.ts";

/** As commander gives them. */
export interface BrokerOptions {
  readonly username?: string;
  readonly passwordFile?: string;
  readonly passwordEnv?: string;
  readonly ca?: string;
  readonly allowInsecure?: true;
}

/** Adds the options that say how to get into a broker. */
export function addBrokerOptions(command: Command): Command {
  return command
    .option("--username <name>", "for the broker")
    .option("--password-file <file>", "a file whose first line is the password")
    .addOption(new Option("--password-env <name>", "a variable of the environment that holds it").conflicts("passwordFile"))
    .option("--ca <file>", "a PEM file of who may sign the broker's certificate")
    .option("--allow-insecure", "speak plain MQTT to another machine");
}

/** As a config has it, with absolute paths. */
export function brokerSettings(url: string, options: BrokerOptions): ConnectionSettings["mqtt"] {
  const { username, passwordFile, passwordEnv, ca, allowInsecure } = options;
  return {
    url,
    username,
    passwordFile: passwordFile === undefined ? undefined : resolve(passwordFile),
    passwordEnv,
    tls: ca === undefined ? undefined : { ca: resolve(ca) },
    allowInsecure,
  };
}

export interface ConnectionSettings {
  readonly node: string;
  /** The state directory. */
  readonly state: string;
  readonly log?: string;
  /** As in a config. */
  readonly mqtt: {
    readonly url: string;
    readonly username: string | undefined;
    readonly passwordFile: string | undefined;
    readonly passwordEnv: string | undefined;
    readonly tls: { readonly ca: string } | undefined;
    readonly allowInsecure: true | undefined;
  };
  /** False alarms, as in a config. */
  readonly budget?: string;
}

/** A config whose one group nobody runs. Throws `bad_argument`, "cannot <verb> the broker: ..." where it is about that. */
export function connectionConfig(verb: string, { budget, ...settings }: ConnectionSettings): Config {
  const score = budget === undefined ? {} : { budget };
  const group = { name: "any", topic: "any/{thing}", codec: "json", features: ["any"], score };
  const parsed = configSchema.safeParse({ ...settings, groups: [group] });
  const fault = parsed.success ? brokerFaults(parsed.data, false)[0] : parsed.error.issues[0];
  if (parsed.success && fault === undefined) return parsed.data;
  // The URL may hold a password.
  const hint = fault!.message.includes("allowInsecure") ? "; here that is --allow-insecure" : "";
  const what = fault!.path[0] === "mqtt" ? `${verb} the broker` : `use the ${String(fault!.path.at(-1))}`;
  throw new HiddenstateError("bad_argument", `cannot ${what}: ${fault!.message}${hint}`);
}
