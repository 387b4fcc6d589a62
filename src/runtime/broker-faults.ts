// What a config may not say of its broker: what would send readings or a password to whoever listens, or would not be looked at at all.
import { HiddenstateError } from "../base/errors.ts";
import { parseBrokerUrl } from "../mqtt/broker-address.ts";
import type { Config } from "./config-schema.ts";
import type { Fault } from "./config-fault.ts";

/** `dev`: a developer's own run, in which a broker's certificate need not be anybody's. */
export function brokerFaults({ mqtt }: Config, dev: boolean): Fault[] {
  const faults: Fault[] = [];
  const add = (key: string, message: string, ...below: string[]): void => {
    faults.push({ path: ["mqtt", key, ...below], message });
  };
  try {
    const { secure, isLoopback } = parseBrokerUrl(mqtt.url);
    if (!secure && !isLoopback && !mqtt.allowInsecure) {
      add(
        "url",
        "plain MQTT to another machine can be read and changed on the way; use mqtts://, or set mqtt.allowInsecure: true",
      );
    }
    if (!secure && mqtt.tls !== undefined) add("tls", "it is for mqtts://, and the URL is mqtt://");
  } catch (thrown) {
    if (!(thrown instanceof HiddenstateError)) throw thrown;
    add("url", thrown.message);
  }
  if (mqtt.passwordFile !== undefined && mqtt.passwordEnv !== undefined) {
    add("passwordEnv", "the password comes from passwordFile already; name one of them");
  }
  const { cert, key, verify = true } = mqtt.tls ?? {};
  if ((cert === undefined) !== (key === undefined)) add("tls", "cert and key go together: name both, or neither");
  if (!verify && !dev) add("tls", "false lets anybody pose as the broker; only hiddenstate run --dev takes it", "verify");
  return faults;
}
