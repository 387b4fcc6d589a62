// `hiddenstate run config.yaml`: the runtime as a service, until a signal ends it.
import { Command } from "commander";
import { dashboardSchema } from "../runtime/dashboard-config.ts";
import { startWithDashboard } from "../dashboard/start-with-dashboard.ts";
import type { Started } from "../dashboard/start-with-dashboard.ts";
import { Supervisor } from "./supervisor.ts";
import { stopSignal } from "./stop-signal.ts";
import { withConfig } from "./with-config.ts";

interface RunOptions {
  readonly dev?: true;
  readonly dashboard?: true;
}

/** Starts what the config at `path` says. What is wrong with it is told with file, line and column. */
function startFrom(path: string, options: RunOptions): Promise<Started> {
  return withConfig(path, options, (config) =>
    startWithDashboard(
      options.dashboard === true ? { ...config, dashboard: config.dashboard ?? dashboardSchema.parse({}) } : config,
    ),
  );
}

export function runCommand(): Command {
  return new Command("run")
    .description("subscribe to the config's streams, step them and publish predictions, until SIGTERM or SIGINT")
    .argument("<config>", "the YAML config; docs/config.md describes it")
    .option("--dev", "take what only a developer's own machine should: mqtt.tls.verify: false")
    .option("--dashboard", "show a page and /metrics on http://127.0.0.1:8787, or where the config says")
    .action(async (path: string, options: RunOptions) => {
      const stopped = stopSignal();
      const supervisor = Supervisor.take(process.env);
      const { runtime, dashboard } = await startFrom(path, options);
      supervisor?.up(runtime);
      try {
        await Promise.race([stopped, runtime.failed]);
      } finally {
        supervisor?.stopping();
      }
      await dashboard?.close();
      await runtime.stop();
      // Sockets of a broker that has gone silent must not hold the process.
      process.exit(0);
    });
}
