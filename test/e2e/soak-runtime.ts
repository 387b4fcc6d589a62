// A runtime as a process of its own that tells its parent every few seconds what it takes up: heap after a full collection, resident
// memory, descriptors, and how late its event loop was.
import { readdirSync, readFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { parseConfig } from "../../src/runtime/config.ts";
import { createRuntime } from "../../src/runtime/runtime.ts";

export interface SoakSample {
  /** Since the process began. */
  readonly seconds: number;
  readonly heapBytes: number;
  readonly rssBytes: number;
  readonly descriptors: number;
  readonly loopMsP99: number;
  readonly accepted: number;
  readonly streams: number;
}

const SAMPLE_MS = 5000;

const path = process.argv[2]!;
const runtime = await createRuntime(parseConfig(readFileSync(path, "utf8"), path));
const delay = monitorEventLoopDelay({ resolution: 5 });
delay.enable();
await runtime.connected;
process.send!("connected");
const timer = setInterval(() => {
  const loopMsP99 = delay.percentile(99) / 1e6;
  globalThis.gc!();
  delay.reset();
  const { metrics, streams } = runtime.status();
  const sample: SoakSample = {
    seconds: process.uptime(),
    heapBytes: process.memoryUsage().heapUsed,
    rssBytes: process.memoryUsage.rss(),
    descriptors: readdirSync("/proc/self/fd").length,
    loopMsP99,
    accepted: metrics["readings_accepted"] ?? 0,
    streams,
  };
  process.send!(sample);
}, SAMPLE_MS);
process.once("message", () => {
  clearInterval(timer);
  void runtime.stop().then(() => process.disconnect());
});
