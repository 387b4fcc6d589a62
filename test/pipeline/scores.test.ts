import t from "tap";
import { text } from "../support/box.ts";
import type { Box } from "../support/box.ts";
import { box, models, group, reading } from "../support/one-group.ts";

interface Alarm {
  readonly id: string;
  readonly sequence: number;
  readonly open: boolean;
  readonly contributions?: readonly { readonly feature: string; readonly seen: number }[];
}

const scored = { score: { budget: "1/day" } };
const STEP_MS = 60_000;

/** A quiet series with one leap at `leapAt`. */
async function feed(one: Box, device: string, from: number, to: number, leapAt = -1): Promise<void> {
  for (let i = from; i < to; i++) {
    one.clock.advance(STEP_MS);
    const feature0 = 101_320 + Math.sin(i * 1.7) + (i === leapAt ? 500 : 0);
    await one.deliver(reading(device, i, { feature0 }));
  }
}

function published(one: Box, kind: "prediction" | "alarm"): { topic: string; body: string; retain: boolean }[] {
  one.publishAll();
  return one.published
    .filter(({ topic }) => topic.startsWith(`hiddenstate/box/${kind}/`))
    .map(({ topic, payload, retain }) => ({ topic, body: text(payload), retain }));
}

t.test(
  "a scored group says with every reading how unlikely it is, and announces an alarm when it opens and when it closes",
  async (t) => {
    const one = await box({}, scored);
    await feed(one, "a", 0, 900, 600);
    const outputs = published(one, "prediction").map(
      ({ body }) => (JSON.parse(body) as { outputs: Record<string, number[]> }).outputs,
    );
    t.strictSame(Object.keys(outputs[0]!), ["output0", "score", "alarm"]);
    const scores = outputs.map(({ score }) => score![0]!);
    t.ok(scores.every((score) => score >= 0 && score <= 1));
    t.equal(scores.indexOf(Math.max(...scores)), 600, "the leap is the most unlikely");
    const alarms = published(one, "alarm");
    t.ok(alarms.every(({ topic, retain }) => topic === "hiddenstate/box/alarm/a" && retain));
    const [opened, closed, ...more] = alarms.map(({ body }) => JSON.parse(body) as Alarm);
    t.match(opened, { id: "a/1/600/alarm", sequence: 600, open: true });
    const [most] = opened!.contributions!;
    t.equal(most!.feature, "feature0");
    t.ok(most!.seen > 101_800);
    t.match(closed, { open: false });
    t.strictSame(more, []);
    t.strictSame(
      outputs.map(({ alarm }) => alarm![0]!),
      outputs.map((_, i) => (i >= 600 && i < closed!.sequence ? 1 : 0)),
      "the alarm is up from one to the other",
    );
  },
);

t.test("scores and alarms go on after a crash as if there had been none, from a checkpoint and from the journal", async (t) => {
  const whole = await box({}, scored);
  await feed(whole, "a", 0, 500, 250);
  for (const checkpointAt of [-1, 100, 251]) {
    const one = await box({}, scored);
    for (const [from, to] of [
      [0, 100],
      [100, 251],
      [251, 260],
      [260, 500],
    ] as const) {
      await feed(one, "a", from, to, 250);
      if (checkpointAt === to) await one.pipeline.checkpoint();
      one.crash(from + 1);
      await one.start();
      t.equal(one.recovered.mismatches, 0);
    }
    for (const kind of ["prediction", "alarm"] as const) {
      const [got, owed] = [published(one, kind), published(whole, kind)];
      t.strictSame(
        [...new Set(got.map(({ body }) => body))],
        owed.map(({ body }) => body),
        `${kind}s, checkpoint at ${checkpointAt}`,
      );
    }
  }
});

t.test(
  "scores begin when the config asks for them, keep what they know when the budget changes, and end when it no longer does",
  async (t) => {
    const one = await box();
    await feed(one, "a", 0, 5);
    const restart = async (more: Readonly<Record<string, unknown>>): Promise<void> => {
      one.crash(1);
      one.options = { models, groups: [{ ...group, ...more }] };
      await one.start();
    };
    const last = (): Record<string, number[]> =>
      (JSON.parse(published(one, "prediction").at(-1)!.body) as { outputs: Record<string, number[]> }).outputs;
    t.strictSame(Object.keys(last()), ["output0"]);
    await restart(scored);
    await feed(one, "a", 5, 305);
    t.strictSame(Object.keys(last()), ["output0", "score", "alarm"]);
    await restart({ score: { budget: "3/week" } });
    await feed(one, "a", 305, 306, 305);
    t.ok(last()["score"]![0]! > 0.3, "it remembers what is normal");
    await restart({});
    await feed(one, "a", 306, 307);
    t.strictSame(Object.keys(last()), ["output0"]);
    await restart(scored);
    t.equal(one.recovered.mismatches, 0, "each part of the journal is replayed as it was written");
  },
);

t.test("what was announced of a stream goes with it: its alarm too is cleared", async (t) => {
  const one = await box({}, scored);
  await feed(one, "a", 0, 3);
  one.clock.advance(31 * 24 * 3_600_000);
  await feed(one, "b", 0, 2);
  await one.pipeline.drain();
  t.ok(published(one, "alarm").some(({ topic, body, retain }) => topic.endsWith("/alarm/a") && body === "" && retain));
});
