import t from "tap";
import { runCorruptions } from "./corrupt-run.ts";

t.setTimeout(240_000);

t.test(
  "2,000 damaged state directories: the fold of a prefix of what was accepted, told where it can be told, or a refusal",
  { timeout: 240_000 },
  async (t) => {
    const { wrong, ...report } = await runCorruptions({ count: 2000, seed: 2026 });
    t.comment(JSON.stringify(report));
    t.strictSame(wrong, []);
    for (const outcome of ["whole", "told", "cutOff", "begunAnew", "refused"] as const) {
      t.ok(report[outcome] > 10, `${outcome}: ${report[outcome]}`);
    }
  },
);
