// `npm run soak -- --minutes 10 [--rate 2000] [--streams 1000]`: twice the rated load, which is 1,000 messages a second.
import { parseArgs } from "node:util";
import { runSoak } from "./soak-run.ts";
import type { Trend } from "./soak-run.ts";

const MIB = 2 ** 20;
/** What the fitted lines may rise by; noise around them may be mistaken for it in a short run. */
const HEAP_GROWTH_MAX = 2 * MIB;
const RSS_GROWTH_MAX = 12 * MIB;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    rate: { type: "string", default: "2000" },
    streams: { type: "string", default: "1000" },
  },
});
const report = await runSoak({
  minutes: Number(values.minutes),
  rate: Number(values.rate),
  streams: Number(values.streams),
  write: (line) => console.log(line),
});
const { published, accepted, predictions, rate, samples, heap, rss, descriptors, loopMsP99 } = report;
const line = (name: string, { mean, slopePerHour, growth, noise }: Trend, unit: number, of: string): string =>
  `${name}: mean ${(mean / unit).toFixed(2)}${of}, slope ${(slopePerHour / unit).toFixed(2)}${of}/h, ` +
  `over the run ${(growth / unit).toFixed(2)}${of}, noise ${(noise / unit).toFixed(2)}${of}`;
console.log(
  `${published} readings published at ${rate.toFixed(0)}/s, ${accepted} accepted, ${predictions} predictions, ${samples} samples`,
);
console.log(line("heap", heap, MIB, " MiB"));
console.log(line("RSS", rss, MIB, " MiB"));
console.log(line("descriptors", descriptors, 1, ""));
console.log(`event loop: p99 at most ${loopMsP99.toFixed(0)} ms`);
const isFlat =
  heap.growth <= Math.max(HEAP_GROWTH_MAX, 2 * heap.noise) &&
  rss.growth <= Math.max(RSS_GROWTH_MAX, 2 * rss.noise) &&
  descriptors.growth < 1;
const isWhole = accepted === published && predictions >= published;
console.log(isFlat && isWhole ? "passed: flat" : `failed: ${isWhole ? "" : "readings are missing; "}${isFlat ? "" : "not flat"}`);
process.exit(isFlat && isWhole ? 0 : 1);
