// `hiddenstate watch mqtt://HOST 'zigbee2mqtt/#'`: from nothing to scores, without a config: what measures something is found, learned and
// watched, and a line says when it does what it has not done before.
import { resolve } from "node:path";
import { Command } from "commander";
import { systemClock } from "../base/clock.ts";
import { systemDisk } from "../base/disk.ts";
import { createLog } from "../base/log.ts";
import { createSystemRandom } from "../base/random.ts";
import { parseBrokerUrl } from "../mqtt/broker-address.ts";
import type { Config } from "../runtime/config-schema.ts";
import { createRuntime } from "../runtime/runtime.ts";
import { openControl } from "../runtime/stopped-state.ts";
import { Watch } from "../runtime/watch.ts";
import type { WatchNews } from "../runtime/watch.ts";
import { WATCH_NODE } from "../runtime/watch-config.ts";
import type { WatchSettings } from "../runtime/watch-config.ts";
import { brokerPort } from "./broker-port.ts";
import { addBrokerOptions, brokerSettings, connectionConfig } from "./connection-config.ts";
import type { BrokerOptions } from "./connection-config.ts";
import { stopSignal } from "./stop-signal.ts";
import { newsLine } from "./watch-lines.ts";

interface WatchCommandOptions extends BrokerOptions {
  readonly state: string;
  readonly budget: string;
  readonly forget?: string;
  readonly verbose?: true;
  readonly json?: true;
}

/** What every config of the watch has in common, as one without groups of its own would have it. Throws `bad_argument`. */
function settingsOf(url: string, options: WatchCommandOptions): { settings: WatchSettings; connection: Config } {
  const { state, budget, verbose } = options;
  const mqtt = brokerSettings(url, options);
  const settings = { state: resolve(state), budget, mqtt, log: verbose === true ? "info" : "error" };
  return { settings, connection: connectionConfig("watch", { ...settings, node: WATCH_NODE }) };
}

/** Its stream keeps what it has learned under another name; the topic is discovered anew. */
async function forget(topic: string, state: string): Promise<void> {
  await Watch.forget(systemDisk, resolve(state), topic);
  const control = await openControl(resolve(state));
  try {
    await control.request("rename", { stream: topic, to: `${topic}~${systemClock.wallMs()}` });
  } finally {
    await control.close();
  }
}

async function watch(url: string, filters: readonly string[], options: WatchCommandOptions): Promise<void> {
  const { settings, connection } = settingsOf(url, options);
  if (options.forget !== undefined) await forget(options.forget, options.state);
  const [clock, random, disk, log] = [systemClock, createSystemRandom(), systemDisk, createLog(connection.log)];
  const port = await brokerPort(connection, { clientId: "hiddenstate-watch-discovery", disk, clock, random, log });
  const tell = (news: WatchNews): void => {
    process.stdout.write(`${options.json === true ? JSON.stringify(news) : newsLine(news, clock.wallMs())}\n`);
  };
  const stopped = stopSignal();
  const one = await Watch.start({
    settings,
    filters,
    port,
    startRuntime: (config) => createRuntime(config, { log }),
    tell,
    disk,
    clock,
    log,
  });
  const known = one.topics.length === 0 ? "nothing is known yet" : `${one.topics.length} topics are known`;
  if (options.json !== true)
    process.stdout.write(`watching ${filters.join(", ")} on ${parseBrokerUrl(url).display}; ${known} (${options.state})\n`);
  await Promise.race([stopped, one.failed]);
  await one.stop();
  process.exit(0);
}

export function watchCommand(): Command {
  const command = new Command("watch")
    .description("find what measures something on a broker, learn it, and say when it does what it has not done before")
    .argument("<url>", "the broker: mqtt://host or mqtts://host")
    .argument("<filters...>", "which topics: MQTT filters, such as 'zigbee2mqtt/#'")
    .option("-s, --state <directory>", "where everything that is learned is kept", ".hiddenstate-watch")
    .option("--budget <rate>", "false alarms of a stream: a number per hour, day, week, month or year", "1/week");
  return addBrokerOptions(command)
    .option("--forget <topic>", "discover a topic anew, with the fields it has by now")
    .option("--verbose", "log what the runtime does on standard error")
    .option("--json", "print each line as JSON")
    .action(watch);
}
