// What Prometheus is told beside the runtime's own counts: the process, the groups, and whether it works.
import type { Status } from "../runtime/status.ts";
import type { Family, Sample } from "./prometheus-text.ts";

const NONE = {};

function one(name: string, help: string, value: number, type: Family["type"] = "gauge"): Family {
  return { name, type, help, samples: [{ labels: NONE, value }] };
}

function byGroup(status: Status, sample: (group: Status["groups"][number]) => Sample): Sample[] {
  return status.groups.map(sample);
}

/** The labels are the config's group names and what steps each of them: as many as there are groups. */
export function processFamilies(status: Status, isReady: boolean, version: string, freeBytes: number | undefined): Family[] {
  const { user, system } = process.cpuUsage();
  return [
    one("process_resident_memory_bytes", "Memory of the process.", process.memoryUsage.rss()),
    one("process_cpu_seconds_total", "Processor time of the process.", (user + system) / 1e6, "counter"),
    one("hiddenstate_up_seconds", "How long the runtime has run.", status.upSeconds),
    one("hiddenstate_ready", "1 while readings can come in and predictions go out.", isReady ? 1 : 0),
    one("hiddenstate_disk_free_bytes", "Room left where the state lies.", freeBytes ?? Number.NaN),
    {
      name: "hiddenstate_build_info",
      type: "gauge",
      help: "Always 1; the labels name the release and the version of Node.",
      samples: [{ labels: { version, node: process.version }, value: 1 }],
    },
    {
      name: "hiddenstate_group_streams",
      type: "gauge",
      help: "Streams of a group.",
      samples: byGroup(status, ({ name, streams }) => ({ labels: { group: name }, value: streams })),
    },
    {
      name: "hiddenstate_group_info",
      type: "gauge",
      help: "Always 1; the labels say what steps a group.",
      samples: byGroup(status, ({ name, engine, kernel, version: model }) => ({
        labels: { group: name, engine, kernel, model: model.slice(0, 16) },
        value: 1,
      })),
    },
  ];
}
