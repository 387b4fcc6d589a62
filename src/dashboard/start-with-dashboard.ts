// A runtime together with the dashboard that its config asks for.
import { systemClock } from "../base/clock.ts";
import { readWhole, systemDisk } from "../base/disk.ts";
import type { Disk } from "../base/disk.ts";
import { reasonOf } from "../base/errors.ts";
import { createLog } from "../base/log.ts";
import { Metrics } from "../base/metrics.ts";
import type { Config } from "../runtime/config-schema.ts";
import { readDashboardSecrets } from "../runtime/credentials.ts";
import { createRuntime } from "../runtime/runtime.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { Surroundings } from "../runtime/surroundings.ts";
import type { Dashboard } from "./dashboard.ts";
import { LogMemory } from "./log-memory.ts";

export interface Started {
  readonly runtime: Runtime;
  /** Absent where the config asks for none, or its address is taken. */
  readonly dashboard: Dashboard | undefined;
}

async function ownVersion(disk: Disk): Promise<string> {
  const bytes = await readWhole(disk, new URL("../../../package.json", import.meta.url).pathname);
  return (JSON.parse(Buffer.from(bytes!).toString()) as { version: string }).version;
}

/**
 * Starts a runtime, and its dashboard where the config has one. Throws what `createRuntime` throws, and `bad_config` where a file that the
 * dashboard names is absent. Where the dashboard cannot listen, the log says so, and readings go on without it; with `anyPort` it takes another
 * port instead.
 */
export async function startWithDashboard(
  config: Config,
  surroundings: Partial<Surroundings> = {},
  { anyPort = false }: { readonly anyPort?: boolean } = {},
): Promise<Started> {
  const { dashboard } = config;
  if (dashboard === undefined) return { runtime: await createRuntime(config, surroundings), dashboard: undefined };
  const { clock = systemClock, disk = systemDisk, metrics = new Metrics() } = surroundings;
  const log = new LogMemory(surroundings.log ?? createLog(config.log), clock);
  const secrets = await readDashboardSecrets(dashboard, disk, process.env);
  const version = await ownVersion(systemDisk);
  const runtime = await createRuntime(config, { ...surroundings, clock, disk, log, metrics });
  // Loaded where it is asked for: most boxes have no use for a web server.
  const { Dashboard: Opened } = await import("./dashboard.ts");
  const open = (listen: string): Promise<Dashboard> =>
    Opened.open({ config, dashboard: { ...dashboard, listen }, secrets, runtime, metrics, version, clock, disk, log });
  try {
    return { runtime, dashboard: await open(dashboard.listen) };
  } catch (thrown) {
    if (anyPort) return { runtime, dashboard: await open("127.0.0.1:0") };
    log.error("there is no dashboard", { reason: reasonOf(thrown) });
    return { runtime, dashboard: undefined };
  }
}
