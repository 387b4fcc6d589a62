import t from "tap";
import { limits } from "../../src/base/limits.ts";
import { Box } from "../support/box.ts";
import { predictions, turns } from "../support/one-group.ts";

const group = {
  name: "own",
  topic: "s/{device}/r",
  codec: "json",
  features: ["flow"],
  horizons: [6, 24],
  score: { budget: "1/day" },
};

function start(more: Readonly<Record<string, unknown>> = {}): Promise<Box> {
  return new Box({ models: {}, groups: [{ ...group, ...more }] }).start();
}

async function feed(one: Box, device: string, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) {
    one.clock.advance(60_000);
    const payload = JSON.stringify({ boot: 1, nonce: 9, sequence: i, flow: 40 + 5 * Math.sin(i / 20) });
    await one.deliver({ topic: `s/${device}/r`, payload });
  }
}

t.test(
  "a group without a model learns from its streams' own readings, and predicts once it does better than the last value",
  async (t) => {
    const one = await start();
    await feed(one, "a", 0, 500);
    t.strictSame(predictions(one), [], "it is silent while it warms up");
    t.match(one.state.fold.groups[0]!.engine.warmUp!(one.state.fold.find("a")!.group.columns.slot[0]!), { readings: 500 });
    await feed(one, "a", 500, 2500);
    const said = predictions(one);
    t.ok(said.length > 200, `${said.length} predictions`);
    t.strictSame(Object.keys(said[0]!.outputs), ["flow+6", "flow+24", "flow+6 deviation", "flow+24 deviation", "score", "alarm"]);
    const errors = said
      .slice(-100)
      .map(({ sequence, outputs }) => outputs["flow+6"]![0]! - (40 + 5 * Math.sin((sequence + 6) / 20)));
    const rmse = Math.sqrt(errors.reduce((sum, error) => sum + error * error, 0) / errors.length);
    t.ok(rmse < 1, `six readings ahead it is ${rmse} off, the last value 1.05`);
  },
);

t.test("what was learned survives crashes to the bit, from a checkpoint and from the journal", async (t) => {
  const whole = await start();
  await feed(whole, "a", 0, 1500);
  const one = await start();
  for (const [index, to] of [300, 700, 1200, 1500].entries()) {
    await feed(one, "a", [0, 300, 700, 1200][index]!, to);
    if (index === 1) await one.pipeline.checkpoint();
    one.crash(to);
    await one.start();
    t.equal(one.recovered.mismatches, 0);
  }
  const owed = predictions(whole).map((prediction) => JSON.stringify(prediction));
  const got = predictions(one).map((prediction) => JSON.stringify(prediction));
  t.ok(owed.length > 0);
  t.strictSame([...new Set(got)], owed);
  t.strictSame((await one.control.getState("a")).state, (await whole.control.getState("a")).state);
});

t.test("streams learn apart: what one has seen is nothing to another, in whatever batches they come", async (t) => {
  const [alone, together] = [await start(), await start()];
  await feed(alone, "a", 0, 400);
  for (let i = 0; i < 400; i++) {
    together.clock.advance(60_000);
    for (const device of ["b", "a", "c"]) {
      const flow = device === "a" ? 40 + 5 * Math.sin(i / 20) : 1e6 * Math.sin(i);
      void together.deliver({ topic: `s/${device}/r`, payload: JSON.stringify({ boot: 1, nonce: 9, sequence: i, flow }) });
    }
    if (i % 7 === 0) await turns(5);
    await together.pipeline.drain();
  }
  t.strictSame((await together.control.getState("a")).state, (await alone.control.getState("a")).state);
});

t.test("there are no more streams with a network of their own than the bound allows", { timeout: 60_000 }, async (t) => {
  const one = await start({ horizons: [1] });
  for (let i = 0; i < limits.learningStreamsMax + 2; i++) {
    void one.deliver({ topic: `s/d${i}/r`, payload: JSON.stringify({ boot: 1, nonce: 9, sequence: 0, flow: 1 }) });
  }
  await one.pipeline.drain();
  t.equal(one.state.fold.streamCount, limits.learningStreamsMax - 0);
  t.match(one.counters("readings_refused"), { 'readings_refused{reason="cardinality"}': 2 });
});
