// A connection of a command to the broker that a config names, beside those of the runtime.
import type { Disk } from "../base/disk.ts";
import { createMqttPort } from "../mqtt/mqttjs-port.ts";
import type { MqttPort, MqttPortOptions } from "../mqtt/mqttjs-port.ts";
import type { Config } from "../runtime/config-schema.ts";
import { readCredentials } from "../runtime/credentials.ts";

type BrokerPortOptions = Pick<
  MqttPortOptions,
  "clientId" | "sessionExpirySeconds" | "receiveMax" | "clock" | "random" | "log"
> & { readonly disk: Disk };

/** Not opened yet. The broker keeps no session of it unless asked to. Throws `bad_config` where the credentials cannot be read. */
export async function brokerPort(config: Config, { disk, ...options }: BrokerPortOptions): Promise<MqttPort> {
  const { url, protocol } = config.mqtt;
  const credentials = await readCredentials(config, disk, process.env);
  return createMqttPort({ url, ...credentials, protocol, sessionExpirySeconds: 0, ...options });
}
