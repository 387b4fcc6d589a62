import * as fc from "fast-check";
import t from "tap";
import { limits } from "../../src/base/limits.ts";
import { isAccepted, judgeSequence } from "../../src/message/identity.ts";
import type { SequencePoint, SequenceVerdict } from "../../src/message/identity.ts";
import { rounds } from "../support/emulation.ts";

const T0 = 1_764_000_000_000;

function point(boot: number, nonce: number, sequence: number, seenMs = T0): SequencePoint {
  return { boot, nonce, sequence, seenMs };
}

t.test("every case of the sequence rule has its verdict", async (t) => {
  const last = point(5, 77, 100);
  const silence = limits.bootSilenceMs;
  const cases: [string, SequencePoint | undefined, SequencePoint, SequenceVerdict, number][] = [
    ["no reading yet", undefined, point(9, 1, 4711), "first", 0],
    ["the following number", last, point(5, 77, 101), "next", 0],
    ["one number left out", last, point(5, 77, 102), "gap", 1],
    ["many left out", last, point(5, 77, 1101), "gap", 1000],
    ["the same number", last, point(5, 77, 100), "duplicate", 0],
    ["an older number", last, point(5, 77, 0), "duplicate", 0],
    ["an older number, long after", last, point(5, 77, 3, T0 + 10 * silence), "duplicate", 0],
    ["the same boot under another nonce", last, point(5, 78, 101), "boot_conflict", 0],
    ["the same, long after", last, point(5, 78, 101, T0 + 10 * silence), "boot_conflict", 0],
    ["the next boot", last, point(6, 1, 0), "new_boot", 0],
    ["a boot further on, beginning late", last, point(60, 1, 500), "new_boot", 0],
    ["a higher boot that drew the same nonce", last, point(6, 77, 0), "new_boot", 0],
    ["a higher boot, received before by a clock put back", last, point(6, 1, 0, T0 - 5), "new_boot", 0],
    ["a lower boot at once", last, point(4, 1, 0), "stale_boot", 0],
    ["a lower boot just before the silence is long enough", last, point(4, 1, 0, T0 + silence - 1), "stale_boot", 0],
    ["a lower boot after the silence", last, point(4, 1, 0, T0 + silence), "boot_reset", 0],
    ["a lower boot after the silence, beginning late", last, point(1, 1, 900, T0 + silence), "boot_reset", 0],
    ["a lower boot under the same nonce, however late", last, point(4, 77, 0, T0 + 100 * silence), "stale_boot", 0],
    ["a lower boot while this box's clock went back", last, point(4, 1, 0, T0 - silence), "stale_boot", 0],
    ["the highest numbers there are", point(1, 1, 2 ** 53 - 3), point(1, 1, 2 ** 53 - 1), "gap", 1],
  ];
  for (const [name, before, next, verdict, missed] of cases) t.same(judgeSequence(before, next), { verdict, missed }, name);
});

t.test("what does not step a stream is refused, everything else is accepted", async (t) => {
  const verdicts: SequenceVerdict[] = [
    "first",
    "next",
    "gap",
    "new_boot",
    "boot_reset",
    "duplicate",
    "stale_boot",
    "boot_conflict",
  ];
  t.same(verdicts.filter(isAccepted), ["first", "next", "gap", "new_boot", "boot_reset"]);
});

/** The rule retold with a memory of everything: which (boot, nonce, sequence) were accepted, which boots were ever seen. */
class NaiveStream {
  #boot = -1;
  #nonce = -1;
  #lastAt = 0;
  #taken = new Set<number>();

  offer({ boot, nonce, sequence, seenMs }: SequencePoint): { verdict: SequenceVerdict; missed: number } {
    const begin = (verdict: SequenceVerdict): { verdict: SequenceVerdict; missed: number } => {
      this.#boot = boot;
      this.#nonce = nonce;
      this.#taken = new Set([sequence]);
      this.#lastAt = seenMs;
      return { verdict, missed: 0 };
    };
    if (this.#boot === -1) return begin("first");
    if (boot > this.#boot) return begin("new_boot");
    if (boot < this.#boot) {
      const believed = nonce !== this.#nonce && seenMs >= this.#lastAt + limits.bootSilenceMs;
      return believed ? begin("boot_reset") : { verdict: "stale_boot", missed: 0 };
    }
    if (nonce !== this.#nonce) return { verdict: "boot_conflict", missed: 0 };
    const highest = Math.max(...this.#taken);
    if (sequence <= highest) return { verdict: "duplicate", missed: 0 };
    let missed = 0;
    for (let number = highest + 1; number < sequence; number++) missed++;
    this.#taken.add(sequence);
    this.#lastAt = seenMs;
    return { verdict: missed === 0 ? "next" : "gap", missed };
  }
}

t.test(
  "over any history the rule agrees with a model that remembers everything, and steps no number of a boot twice",
  async (t) => {
    const arrival = fc.record({
      boot: fc.integer({ min: 1, max: 4 }),
      nonce: fc.integer({ min: 1, max: 3 }),
      sequence: fc.integer({ min: 0, max: 12 }),
      waitMs: fc.constantFrom(0, 1, limits.bootSilenceMs / 2, limits.bootSilenceMs, -1000),
    });
    const seen = new Set<SequenceVerdict>();
    fc.assert(
      fc.property(fc.array(arrival, { maxLength: 60 }), (arrivals) => {
        const naive = new NaiveStream();
        let last: SequencePoint | undefined;
        let now = T0;
        let stepped = new Set<number>();
        for (const { waitMs, ...identity } of arrivals) {
          now += waitMs;
          const next = { ...identity, seenMs: now };
          const judgement = judgeSequence(last, next);
          const expected = naive.offer(next);
          seen.add(judgement.verdict);
          if (judgement.verdict !== expected.verdict || judgement.missed !== expected.missed) return false;
          if (!isAccepted(judgement.verdict)) continue;
          if (last?.boot !== next.boot) stepped = new Set();
          if (stepped.has(next.sequence)) return false;
          stepped.add(next.sequence);
          last = next;
        }
        return true;
      }),
      { seed: 5, numRuns: rounds(3000) },
    );
    t.equal(seen.size, 8, "every verdict came up");
  },
);
