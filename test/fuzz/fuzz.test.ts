import t from "tap";
import { runFuzz } from "./fuzz-run.ts";

t.setTimeout(240_000);

t.test("200,000 mutated inputs: each gives a value that holds what it promises, or an error of the family", async (t) => {
  const { targets, wrong, heapGrowthBytes } = await runFuzz({ count: 200_000, seed: 2026 });
  t.strictSame(wrong, []);
  for (const { name, inputs, values, errors, slowestMs } of targets) {
    t.comment(`${name}: ${inputs} inputs, ${values} values, ${JSON.stringify(errors)}, slowest ${slowestMs.toFixed(2)} ms`);
    t.ok(inputs > 500, `${name} had its share`);
    t.ok(values > 0, `${name} takes some`);
  }
  t.equal(
    targets.reduce((sum, { inputs }) => sum + inputs, 0),
    200_000,
  );
  t.ok(heapGrowthBytes < 16 * 2 ** 20, `the heap grew by ${(heapGrowthBytes / 2 ** 20).toFixed(1)} MiB`);
});
