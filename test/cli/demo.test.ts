import t from "tap";
import { liveTableLines, sparkline } from "../../src/cli/live-table.ts";
import type { LiveRow } from "../../src/cli/live-table.ts";
import { runCli, startCli } from "../support/cli.ts";

const rows = (count: number): LiveRow[] =>
  Array.from({ length: count }, (_, i) => ({
    stream: `device-${String(i + 1).padStart(3, "0")}`,
    step: 7,
    value: 1.5,
    prediction: 1.25,
    errors: Array.from({ length: 24 }, (_, k) => (k === 23 ? 8 : k % 2)),
  }));

const text = {
  header: ["hiddenstate demo: x", "resumed 20 streams at step 65"],
  valueName: "vibration",
  unit: "mm/s",
  footer: "foot",
};

t.test(
  "the table fits its terminal: the header stands, the newest errors are drawn, and what is left out is counted",
  async (t) => {
    const wide = liveTableLines(rows(2), text, 120, 40);
    t.strictSame(wide.slice(0, 3), [...text.header, ""]);
    t.equal(wide[4], `device-001         7             1.500           1.250     0.792  ${"▁▂".repeat(11)}▁█`);
    t.equal(wide.length, 7);
    const narrow = liveTableLines(rows(20), text, 80, 23);
    t.equal(narrow.length, 23);
    t.ok(narrow.every((line) => line.length <= 80));
    t.ok(narrow[4]!.endsWith("█"), "a sparkline loses its beginning, not its end");
    t.strictSame(narrow.slice(-2), ["... and 3 more streams", "foot"]);
    t.equal(liveTableLines(rows(18), text, 80, 23).at(-2)!.slice(0, 10), "device-018", "where all fit, all are shown");
    t.equal(liveTableLines(rows(19), text, 80, 23).at(-2), "... and 2 more streams");
    t.equal(sparkline([]), "");
    t.equal(sparkline([0, 0]), "▁▁");
  },
);

t.test("the demo goes on where it was: after its time, after kill -9, after a Ctrl-C that npm repeats", async (t) => {
  const state = `${t.testdir({})}/state`;
  const demo = (...more: string[]) => ["demo", "--state", state, "--rate", "20", ...more];
  const first = await runCli(demo("--seconds", "2", "--json"));
  t.equal(first.code, 0);
  const summary = JSON.parse(first.stdout) as Record<string, number>;
  t.match(summary, { streams: 20, resumedStreams: 0, readingsLost: 0, predictions: summary["readings"]! });
  t.ok(summary["readings"]! > 0);

  const killed = startCli(demo());
  await killed.printed("20 streams, ");
  t.match(await runCli(demo("--seconds", "1")), { code: 75, stderr: /another process is using it/ });
  killed.child.kill("SIGKILL");
  t.match((await killed.ended).stdout, /^resumed 20 streams at step \d+, from /);

  const stopped = startCli(demo());
  await stopped.printed("20 streams, ");
  stopped.child.kill("SIGINT");
  stopped.child.kill("SIGINT");
  const ended = await stopped.ended;
  t.equal(ended.code, 0);
  t.match(ended.stdout, /\n(\d+) readings of 20 streams and \1 predictions in \d+\.?\d* s; readings lost: 0\n$/);
});
