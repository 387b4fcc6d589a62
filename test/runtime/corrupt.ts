// `npm run corrupt -- --count N [--seed S]`: N damaged state directories, each recovered and held against the fold of what was accepted.
import { parseArgs } from "node:util";
import { runCorruptions } from "./corrupt-run.ts";

const { values } = parseArgs({
  options: { count: { type: "string", default: "10000" }, seed: { type: "string", default: "1" } },
});
const startedAt = performance.now();
const { wrong, ...report } = await runCorruptions({
  count: Number(values.count),
  seed: Number(values.seed),
  write: (line) => console.log(line),
});
const seconds = (performance.now() - startedAt) / 1000;
console.log(JSON.stringify({ ...report, wrong: wrong.length, seed: Number(values.seed), seconds: Math.round(seconds) }));
console.log(wrong.length === 0 ? "passed: never a wrong state, never a crash" : `failed: ${wrong.length} cases`);
process.exit(wrong.length === 0 ? 0 : 1);
