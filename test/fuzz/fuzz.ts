// `npm run fuzz -- --count N [--seed S] [--target name]`: N mutated inputs through everything that reads bytes from outside.
import { parseArgs } from "node:util";
import { runFuzz } from "./fuzz-run.ts";

const HEAP_GROWTH_BYTES_MAX = 16 * 2 ** 20;

const { values } = parseArgs({
  options: { count: { type: "string", default: "200000" }, seed: { type: "string", default: "1" }, target: { type: "string" } },
});
const startedAt = performance.now();
const { targets, wrong, heapGrowthBytes } = await runFuzz({
  count: Number(values.count),
  seed: Number(values.seed),
  target: values.target,
  write: (line) => console.log(line),
});
const seconds = (performance.now() - startedAt) / 1000;
for (const { slowestInput, slowestMs, ...report } of targets) {
  console.log(JSON.stringify({ ...report, slowestMs: Number(slowestMs.toFixed(2)) }));
  if (slowestMs > report.msMax) console.log(`  slow input ${slowestInput}`);
}
for (const text of wrong) console.log(text);
const slow = targets.filter(({ slowestMs, msMax }) => slowestMs > msMax);
const inputs = targets.reduce((sum, report) => sum + report.inputs, 0);
console.log(
  `${inputs} inputs in ${seconds.toFixed(0)} s (${Math.round(inputs / seconds)}/s), seed ${values.seed}: ${wrong.length} wrong, ` +
    `${slow.length} targets too slow, heap ${(heapGrowthBytes / 2 ** 20).toFixed(1)} MiB more (at most ` +
    `${HEAP_GROWTH_BYTES_MAX / 2 ** 20})`,
);
const passed = wrong.length === 0 && slow.length === 0 && heapGrowthBytes <= HEAP_GROWTH_BYTES_MAX;
console.log(passed ? "passed" : "failed");
process.exit(passed ? 0 : 1);
