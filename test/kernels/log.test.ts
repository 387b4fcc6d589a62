// The logarithm of IEEE 754 operations alone, beside that of the platform.
import { test } from "tap";
import { createRandom } from "../../src/base/random.ts";
import { log } from "../../src/kernels/log.ts";

void test("the logarithm is within a few units of the last place over all doubles", async (t) => {
  const random = createRandom(1);
  let most = 0;
  for (let i = 0; i < 20_000; i++) {
    const x = i % 2 === 0 ? 2 ** (2140 * random.next() - 1074) : 0.5 + 1.5 * random.next();
    if (x === 0 || x === Infinity) continue;
    const error = Math.abs(log(x) - Math.log(x)) / Math.max(Math.abs(Math.log(x)), 0.5);
    if (error > most) most = error;
  }
  t.ok(most <= 4 * 2 ** -52, `${most / 2 ** -52} units`);
  t.equal(log(1), 0);
  t.equal(log(0), -Infinity);
  t.equal(log(Infinity), Infinity);
  t.ok(Number.isNaN(log(-1)) && Number.isNaN(log(Number.NaN)));
  t.ok(Math.abs(log(Number.MIN_VALUE) - Math.log(Number.MIN_VALUE)) < 1e-12);
  t.ok(Math.abs(log(Number.MAX_VALUE) - Math.log(Number.MAX_VALUE)) < 1e-12);
});
