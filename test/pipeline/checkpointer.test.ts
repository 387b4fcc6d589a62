// When a checkpoint is due for the time that a replay would take.
import t from "tap";
import { limits } from "../../src/base/limits.ts";
import { Metrics } from "../../src/base/metrics.ts";
import { Checkpointer } from "../../src/pipeline/checkpointer.ts";
import type { CheckpointerOptions } from "../../src/pipeline/checkpointer.ts";
import { FakeClock } from "../support/fake-clock.ts";

t.test("a pass of one event says little of what a replay of many takes", (t) => {
  const commit = { releasedPosition: 0 };
  const metrics = new Metrics();
  const parts = { journal: { bytes: 0 }, commit, clock: new FakeClock(), metrics, position: 0 };
  const checkpointer = new Checkpointer(parts as unknown as CheckpointerOptions);
  t.notOk(checkpointer.isDue, "nothing has happened");
  checkpointer.noteWork(0, 1000);
  checkpointer.noteWork(500, 1400);
  commit.releasedPosition = 600;
  t.notOk(checkpointer.isDue, "the first pass is slow");
  for (let pass = 0; pass < 1000; pass++) {
    checkpointer.noteWork(1, 0.5);
    checkpointer.noteWork(1000, 10);
  }
  commit.releasedPosition = 100_000;
  t.notOk(checkpointer.isDue);
  const perEvent = metrics.gauge("replay_ms_per_event").value;
  t.ok(Math.abs(perEvent - 10.5 / 1001) < 0.0001, `${perEvent} ms an event: the mean of all events`);
  commit.releasedPosition = Math.ceil((limits.replayMsMax + 1) / perEvent);
  t.ok(checkpointer.isDue);
  t.ok(metrics.gauge("replay_ms_expected").value > limits.replayMsMax);
  t.end();
});
