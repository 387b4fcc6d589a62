import t from "tap";
import { generateRows } from "../../firmware-sim/generate-rows.ts";
import { systemClock } from "../../src/base/clock.ts";
import { fineTune } from "../../src/learn/fine-tune.ts";
import type { FineTuned, FineTuneOptions } from "../../src/learn/fine-tune.ts";
import { trainOnTable } from "../../src/learn/train-on-table.ts";
import { defaultTrainingSettings } from "../../src/learn/training-settings.ts";
import { TuningProgress } from "../../src/learn/tuning-progress.ts";
import type { Model } from "../../src/model/model.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { MemoryDisk } from "../support/memory-disk.ts";
import { randomModel } from "../support/random-model.ts";

const OUT = "/state/learning/presses.onnx";
const HALF_A_MINUTE = 30_000;

async function setUp(): Promise<(more?: Partial<FineTuneOptions>) => Promise<FineTuned>> {
  const { streams, features } = generateRows({ signal: "vibration", seed: 5, devices: 6, steps: 300 });
  const { model: champion } = await trainOnTable({
    table: { features, streams: streams.slice(0, 3) },
    name: "bearing",
    source: "test",
    targets: ["vibration"],
    horizon: 1,
    split: { train: 0.6, validation: 0.2, test: 0.2 },
    settings: { ...defaultTrainingSettings, hidden: [8], epochsMax: 3 },
    clock: systemClock,
  });
  const runs = streams.map((stream) => ({ ...stream, positions: Float64Array.from({ length: stream.count }, (_, row) => row) }));
  return (more = {}) => fineTune({ champion, runs, seed: 1, clock: systemClock, source: "test", ...more });
}

function rmseOf({ spec }: Model): number {
  return Object.values(spec.training!.testRmse)[0]!;
}

t.test("a fine-tune that was ended goes on with the best it had come to, and is never worse for it", async (t) => {
  const tune = await setUp();
  const ended = new AbortController();
  const bests: Model[] = [];
  const onBest = async (best: () => Model): Promise<void> => {
    bests.push(best());
    if (bests.length === 4) ended.abort();
  };
  const first = await tune({ onBest, signal: ended.signal });
  const begun = bests.at(-1)!;
  t.equal(begun.spec.training!.epochs, first.epochs);
  const second = await tune({ begun });
  t.ok(second.epochs > first.epochs, `${second.epochs} passes in all`);
  t.ok(rmseOf(second.model) <= rmseOf(first.model) * (1 + 1e-6), `RMSE ${rmseOf(second.model)} after ${rmseOf(first.model)}`);
  t.ok(second.change > 0, "held against the champion");
  t.equal((await tune({ begun })).model.version, second.model.version, "the same once more gives the same bytes");
});

t.test("one that cannot be bettered comes out as it was", async (t) => {
  const tune = await setUp();
  const { model: begun } = await tune();
  const atEnd = { ...begun, spec: { ...begun.spec, training: { ...begun.spec.training!, epochs: 100 } } };
  const { epochs, model } = await tune({ begun: atEnd });
  t.equal(epochs, 101, "one pass at least");
  t.ok(rmseOf(model) <= rmseOf(begun) * (1 + 1e-6));
});

t.test("the best so far lies beside the challenger's file, by the champion's version", async (t) => {
  const [champion, best, better, other] = [1, 2, 3, 4].map((seed) => randomModel({ features: 1, hidden: [4], seed })) as [
    Model,
    Model,
    Model,
    Model,
  ];
  const [disk, clock] = [new MemoryDisk(), new FakeClock()];
  disk.put(OUT, other.bytes);
  disk.put("/state/learning/mills.onnx.part", other.bytes);
  const progress = new TuningProgress(disk, clock, OUT, champion);
  t.equal(await progress.load(), undefined);
  await progress.keep(() => best);
  t.equal(await progress.load(), undefined, "a short one writes nothing");
  clock.advance(HALF_A_MINUTE);
  await progress.keep(() => best);
  await progress.keep(() => better);
  t.equal((await progress.load())!.version, best.version, "not oftener than every half minute");
  t.equal(await new TuningProgress(disk, clock, OUT, other).load(), undefined, "another champion's is not gone on with");
  clock.advance(HALF_A_MINUTE);
  disk.intercept = (call) => {
    if (call === "write") throw Object.assign(new Error("ENOSPC"), { code: "ENOSPC" });
  };
  await progress.keep(() => better);
  disk.intercept = () => {};
  t.equal((await progress.load())!.version, best.version, "a full disk ends nothing");
  disk.bytes(`${OUT}.${champion.version}.part`)[700]! ^= 1;
  t.equal(await progress.load(), undefined, "one that is damaged is none");
  await progress.clear();
  t.strictSame(
    disk.paths.filter((path) => path.endsWith(".part")),
    ["/state/learning/mills.onnx.part"],
  );
});
