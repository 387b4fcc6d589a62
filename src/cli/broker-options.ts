// A broker that is named on the command line: its options, and what a config would say of it.
import { resolve } from "node:path";
import type { Command } from "commander";
import { HiddenstateError } from "../base/errors.ts";
import { brokerFaults } from "../runtime/broker-faults.ts";
import { configSchema } from "../runtime/config-schema.ts";
import type { Config } from "../runtime/config-schema.ts";

export interface BrokerOptions {
  readonly username?: string;
  readonly passwordFile?: string;
  readonly ca?: string;
  readonly allowInsecure?: true;
}

export function addBrokerOptions(command: Command): Command {
  return command
    .option("--username <name>", "for the broker")
    .option("--password-file <file>", "a file whose first line is the password")
    .option("--ca <file>", "a PEM file of who may sign the broker's certificate")
    .option("--allow-insecure", "speak plain MQTT to another machine");
}

/** As `mqtt` of a config. */
export function mqttOf(url: string, { username, passwordFile, ca, allowInsecure }: BrokerOptions) {
  return {
    url,
    username,
    passwordFile: passwordFile && resolve(passwordFile),
    ...(ca === undefined ? {} : { tls: { ca: resolve(ca) } }),
    allowInsecure: allowInsecure === true,
  };
}

/** A config that names this broker, and beside it nothing but `more`. Throws `bad_argument`: cannot `verb` the URL. */
export function connectionOf(verb: string, url: string, options: BrokerOptions, more: object): Config {
  const group = { name: "any", topic: "any/{thing}", codec: "json", features: ["any"] };
  const parsed = configSchema.safeParse({ node: "any", state: ".", mqtt: mqttOf(url, options), groups: [group], ...more });
  const fault = parsed.success ? brokerFaults(parsed.data, false)[0] : parsed.error.issues[0];
  if (parsed.success && fault === undefined) return parsed.data;
  const hint = fault!.message.includes("allowInsecure") ? "; here that is --allow-insecure" : "";
  throw new HiddenstateError("bad_argument", `cannot ${verb} ${url}: ${fault!.message}${hint}`);
}
