import t from "tap";
import { silentLog } from "../../src/base/log.ts";
import { Watchdog } from "../../src/runtime/watchdog.ts";
import type { Box } from "../support/box.ts";
import { box, reading, turns } from "../support/one-group.ts";

/** Feeds a counter from the box's pipeline; `look` lets the next look come and says whether it fed. */
function watch(one: Box): { look: () => Promise<boolean>; warnings: string[]; stop: () => void } {
  let fed = 0;
  const warnings: string[] = [];
  const watchdog = new Watchdog({
    pipeline: one.pipeline,
    outbox: one.outbox,
    isDiskFull: () => one.metrics.gauge("disk_full").value === 1,
    clock: one.clock,
    log: { ...silentLog, warn: (message) => warnings.push(message) },
    everyMs: 30_000,
    feed: async () => void fed++,
  });
  const look = async (): Promise<boolean> => {
    const before = fed;
    await turns();
    one.clock.advance(30_000);
    await turns();
    return fed > before;
  };
  return { look, warnings, stop: () => watchdog.stop() };
}

t.test("the watchdog is fed while no readings come, and while they do", async (t) => {
  const one = await box();
  const { look, warnings, stop } = watch(one);
  t.ok(await look());
  t.ok(await look());
  await one.deliver(reading("a", 0));
  t.ok(await look());
  t.strictSame(warnings, []);
  stop();
  t.notOk(await look(), "once stopped it is fed no more");
});

t.test("a write to the disk that does not come back starves it, and one that does feeds it again", async (t) => {
  const one = await box();
  const { look, warnings } = watch(one);
  const { journal } = one.state;
  let comeBack: () => void = () => {};
  journal.sync = () => new Promise((resolve) => (comeBack = resolve));
  t.ok(await look());
  void one.deliver(reading("a", 0));
  t.ok(await look(), "what went through before it still counts");
  t.notOk(await look());
  t.notOk(await look());
  t.match(warnings, [/nothing has moved/, /nothing has moved/]);
  Reflect.deleteProperty(journal, "sync");
  comeBack();
  t.ok(await look());
  t.ok(await look());
});

t.test("a step that does not come back starves it", async (t) => {
  const one = await box();
  const { look } = watch(one);
  const [group] = one.state.fold.groups;
  group!.engine.step = () => new Promise(() => {});
  void one.deliver(reading("a", 0));
  await look();
  t.notOk(await look());
});

t.test("a full disk and a broker that confirms nothing are waited for: a new start would not help", async (t) => {
  const one = await box();
  const { look, warnings } = watch(one);
  let isFull = true;
  one.disk.intercept = (call) => {
    if (isFull && call === "write") throw Object.assign(new Error("no space"), { code: "ENOSPC" });
  };
  void one.deliver(reading("a", 0));
  for (let i = 0; i < 4; i++) t.ok(await look(), "the disk is full");
  isFull = false;
  t.ok(await look());
  Object.defineProperty(one.outbox, "isFull", { configurable: true, get: () => true });
  void one.deliver(reading("a", 1));
  for (let i = 0; i < 4; i++) t.ok(await look(), "the outbox is full");
  t.strictSame(warnings, []);
});
