// A part of the anomaly benchmark, where it is at hand: what the whole run stands on, in a few seconds.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "tap";
import { sharedData } from "../support/shared-data.ts";
import { readCorpus, writeResults } from "./nab-corpus.ts";
import type { NabSeries } from "./nab-corpus.ts";
import { randomDetector, windowedGaussian, withNetwork, withoutNetwork } from "./nab-detectors.ts";
import type { Detection } from "./nab-detectors.ts";
import { scoreCorpus } from "./nab.ts";

const made: NabSeries = {
  name: "made/level.csv",
  timestamps: ["2026-01-01 00:00:00", "2026-01-01 00:05:00", "2026-01-01 00:10:00"],
  times: Float64Array.of(0, 300_000, 600_000),
  texts: ["1.50", "2", "3"],
  values: Float64Array.of(1.5, 2, 3),
  windows: [[1, 1]],
};

void test("results are written in the benchmark's layout", async (t) => {
  const out = mkdtempSync(join(tmpdir(), "nab-"));
  t.teardown(() => rmSync(out, { recursive: true }));
  writeResults(out, "mine", made, [0, 0.25, 1]);
  t.equal(
    readFileSync(join(out, "mine", "made", "mine_level.csv"), "utf8"),
    "timestamp,value,anomaly_score,label\n2026-01-01 00:00:00,1.50,0,0\n2026-01-01 00:05:00,2,0.25,1\n2026-01-01 00:10:00,3,1,0\n",
  );
});

void test("the windowed Gaussian says how unlikely a value is under those before it", async (t) => {
  const values = Float64Array.from({ length: 1001 }, (_, i) => (i === 1000 ? 3 : i % 2));
  const { scores } = windowedGaussian({ ...made, values });
  t.equal(scores[0], 0, "nothing came before");
  // Mean 0.5 and deviation 0.5: 3 lies five deviations off.
  t.ok(Math.abs(1 - scores[1000]! - 2.8665e-7) < 1e-9, `${1 - scores[1000]!}`);
  t.same(randomDetector(5)(made), randomDetector(5)(made));
});

const folder = sharedData("nab", "labels", "combined_windows.json") === undefined ? undefined : sharedData("nab");
const skip = folder === undefined && "../shared/data/nab is not here; its files may not be copied";

void test("windows by timestamps are those by row, and a detector gives the same scores twice", { skip }, async (t) => {
  const corpus = readCorpus(folder!);
  t.equal(corpus.length, 58);
  const byRow = JSON.parse(readFileSync(join(folder!, "windows_by_index.json"), "utf8")) as Record<string, { windows: unknown }>;
  t.same(
    corpus
      .filter(({ name, windows }) => JSON.stringify(windows) !== JSON.stringify(byRow[name]!.windows))
      .map(({ name }) => name),
    [],
  );
  const known = corpus.filter(({ name }) => /exchange-[23]|rogue_agent_key_hold|speed_7578/.test(name));
  t.equal(known.length, 6);
  const detections = known.map(withNetwork());
  t.same(known.map(withNetwork()), detections);
  const scoresOf = (of: readonly Detection[]): Float64Array[] => of.map(({ scores }) => scores);
  t.ok(scoreCorpus(known, scoresOf(detections)).standard.score > 60, "found most of them");
  t.ok(scoreCorpus(known, scoresOf(known.map(withoutNetwork))).standard.score > 50);
});
