// Every call that the state directory makes to the disk fails once: the whole is run again for each call and each kind of fault, at a
// start, under readings, at a rotation, in a checkpoint and in a recovery. Afterwards states and predictions must be those of a run
// without faults, whether the page cache outlived the process or not.
import t from "tap";
import { HiddenstateError, reasonOf } from "../../src/base/errors.ts";
import { createRandom } from "../../src/base/random.ts";
import { Box, text } from "../support/box.ts";
import type { Message } from "../support/box.ts";
import { group, models, offline, outputsOf, turns } from "../support/one-group.ts";
import { rounds } from "../support/emulation.ts";

t.setTimeout(900_000);

const DEVICES = 3;
const READINGS_PER_MESSAGE = 24;
const MESSAGES = 33;
/** After these many messages. */
const CHECKPOINTS_AFTER = new Set([9, 14, 24, 29]);
const RESETS_AFTER = new Set([5, 26]);
const KILLED_AFTER = 18;

interface Script {
  readonly messages: readonly Message[];
  /** Of the first device, whose stream is never reset. */
  readonly rows: readonly (readonly number[])[];
}

function script(): Script {
  const random = createRandom(11);
  const rows: number[][] = [];
  const messages = Array.from({ length: MESSAGES }, (_, index): Message => {
    const device = index % DEVICES;
    const first = Math.floor(index / DEVICES) * READINGS_PER_MESSAGE;
    const readings = Array.from({ length: READINGS_PER_MESSAGE }, (__, i) => {
      const row = [101_320 + 5 * random.normal(), random.normal()].map(Math.fround);
      if (device === 0) rows.push(row);
      const time = Date.UTC(2025, 11, 31) + 1000 * (first + i);
      return { boot: 1, nonce: 9, sequence: first + i, time, feature0: row[0], feature1: row[1] };
    });
    return { topic: `s/d${device}/r`, payload: JSON.stringify(readings) };
  });
  return { messages, rows };
}

const { messages, rows } = script();

type Kind = "EIO" | "ENOSPC" | "short";

/** Which calls can fail that way. */
const CALLS: Readonly<Record<Kind, ReadonlySet<string>>> = {
  EIO: new Set([
    "open",
    "read",
    "write",
    "datasync",
    "truncate",
    "size",
    "close",
    "list",
    "makeDirectory",
    "rename",
    "remove",
    "syncDirectory",
    "freeBytes",
  ]),
  ENOSPC: new Set(["open", "write", "datasync", "truncate", "makeDirectory", "rename", "syncDirectory"]),
  short: new Set(["read", "write"]),
};
const KINDS: readonly Kind[] = ["EIO", "ENOSPC", "short"];
/** After the others a power cut can take nothing that it could not have taken before. */
const CHANGES: ReadonlySet<string> = new Set(["write", "datasync", "truncate", "rename", "remove", "syncDirectory"]);

interface Call {
  readonly call: string;
  readonly path: string;
}

interface Fault {
  /** Of all calls of a run, which one. */
  readonly at: number;
  readonly kind: Kind;
  /** What the end of the process takes with it: nothing, or all that was not synced. */
  readonly powerCutSeed: number | undefined;
}

interface Ran {
  readonly box: Box;
  readonly calls: readonly Call[];
  /** What ended the process, where something did. */
  readonly ended: unknown;
  /** Calls of the same life after the fault. */
  readonly after: readonly Call[];
  readonly duringStart: boolean;
}

class Run {
  readonly #fault: Fault | undefined;
  readonly box = new Box({ models, groups: [group], segmentBytes: 12 * 1024, blockBytesMax: 8 * 1024 });
  readonly calls: Call[] = [];
  readonly #after: Call[] = [];
  #ended: unknown;
  #isOver = false;
  #starting = false;
  #duringStart = false;

  constructor(fault: Fault | undefined) {
    this.#fault = fault;
  }

  #intercept(call: string, path: string): number | void {
    const at = this.calls.length;
    this.calls.push({ call, path });
    const fault = this.#fault;
    if (fault === undefined || this.#isOver) return;
    if (at > fault.at) this.#after.push({ call, path });
    if (at !== fault.at) return;
    this.#duringStart = this.#starting;
    if (fault.kind === "short") return 7;
    throw Object.assign(new Error(`${fault.kind}: ${call} ${path}`), { code: fault.kind });
  }

  /** The process ends as its error makes it end, and the next one has no faults. */
  async #again(thrown: unknown): Promise<void> {
    if (this.#ended !== undefined) throw thrown;
    this.#ended = thrown;
    this.#isOver = true;
    this.box.crash(this.#fault?.powerCutSeed);
    await this.start();
  }

  async start(): Promise<void> {
    this.box.disk.intercept = (call, path) => this.#intercept(call, path);
    this.#starting = true;
    try {
      await this.box.start();
    } catch (thrown) {
      await this.#again(thrown);
    } finally {
      this.#starting = false;
    }
  }

  /** Does a piece of work until it is done; begins it anew where the process ends meanwhile. */
  async #do(work: () => Promise<unknown>): Promise<void> {
    for (;;) {
      const outcome: { is?: "done" | "failed"; thrown?: unknown } = {};
      work().then(
        () => (outcome.is = "done"),
        (thrown: unknown) => {
          outcome.is = "failed";
          outcome.thrown = thrown;
        },
      );
      for (let second = 0; second < 10 && outcome.is === undefined && this.box.fatal === undefined; second++) {
        for (let turn = 0; turn < 40 && outcome.is === undefined && this.box.fatal === undefined; turn++) await turns(1);
        if (outcome.is === undefined && this.box.fatal === undefined) this.box.clock.advance(1000);
      }
      if (outcome.is === "done") return;
      const thrown = this.box.fatal ?? outcome.thrown;
      if (thrown === undefined) throw new Error("nothing goes on");
      await this.#again(thrown);
    }
  }

  async whole(): Promise<Ran> {
    const { box } = this;
    await this.start();
    for (const [index, message] of messages.entries()) {
      await this.#do(() => box.deliver(message));
      if (index % 4 === 3) box.publishAll();
      if (RESETS_AFTER.has(index)) {
        await this.#do(() => box.control.resetState("d1", { transaction: `reset ${index}` }));
      }
      if (CHECKPOINTS_AFTER.has(index)) await this.#do(() => box.pipeline.checkpoint());
      if (index === KILLED_AFTER) {
        box.crash();
        await this.start();
      }
    }
    await this.#do(() => box.pipeline.drain());
    box.publishAll();
    return { box, calls: this.calls, ended: this.#ended, after: this.#after, duringStart: this.#duringStart };
  }
}

async function statesOf(box: Box): Promise<unknown> {
  return Promise.all(box.control.listStreams().map(async ({ stream }) => ({ ...(await box.control.getState(stream)) })));
}

/** The predictions by id; the text of the first that came twice and differently. */
function predictionsOf(box: Box): { byId: Record<string, string>; differing: string | undefined } {
  const byId = new Map<string, string>();
  let differing: string | undefined;
  for (const { payload } of box.published) {
    const { id } = JSON.parse(text(payload)) as { id?: string };
    if (id === undefined) continue;
    if (byId.has(id) && byId.get(id) !== text(payload)) differing ??= id;
    byId.set(id, text(payload));
  }
  return { byId: Object.fromEntries([...byId].toSorted(([a], [b]) => (a < b ? -1 : 1))), differing };
}

const calm = await new Run(undefined).whole();
const calmStates = await statesOf(calm.box);
const calmPredictions = predictionsOf(calm.box);

t.test("the run without faults goes through all of it, and gives what the network gives by itself", async (t) => {
  const named = (pattern: RegExp): number =>
    new Set(calm.calls.filter(({ path }) => pattern.test(path)).map(({ path }) => path)).size;
  t.ok(named(/segment-\d+$/) >= 3, "several segments");
  t.equal(named(/checkpoint-[ab]$/), 2, "both checkpoints");
  t.equal(named(/reserve$/), 1);
  const { differing, byId } = calmPredictions;
  t.equal(differing, undefined);
  const outputs = outputsOf(calm.box);
  t.equal(outputs.length, MESSAGES * READINGS_PER_MESSAGE);
  const ofFirst = Object.entries(byId)
    .filter(([id]) => id.startsWith("d0/"))
    .map(([, message]) => JSON.parse(message) as { sequence: number; outputs: { output0: number[] } })
    .toSorted((a, b) => a.sequence - b.sequence)
    .flatMap((message) => message.outputs.output0.map(Math.fround));
  t.strictSame(ofFirst, offline(rows));
});

/** What must hold of one faulted run; the texts of what does not. */
async function complaints(ran: Ran, fault: Fault): Promise<string[]> {
  const wrong: string[] = [];
  const { call, path } = calm.calls[fault.at]!;
  const { ended, box, after } = ran;
  if (ended !== undefined && !(ended instanceof HiddenstateError && ["disk_failed", "disk_full"].includes(ended.code))) {
    wrong.push(`ended with ${reasonOf(ended)}`);
  }
  if (fault.kind === "short" && ended !== undefined) wrong.push(`a short ${call} ended it: ${reasonOf(ended)}`);
  if (fault.kind === "ENOSPC" && ended !== undefined && call !== "datasync" && !ran.duringStart) {
    wrong.push(`a full disk was not waited for: ${reasonOf(ended)}`);
  }
  if (call === "datasync" && fault.kind !== "short") {
    const again = after.find((other) => other.path === path && (other.call === "write" || other.call === "datasync"));
    if (ended !== undefined && again !== undefined) wrong.push(`${again.call} after a failed sync`);
  }
  if (box.recovered.damaged) wrong.push("reads as damage");
  if (box.recovered.mismatches > 0) wrong.push(`${box.recovered.mismatches} mismatches`);
  const same = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);
  if (!same(await statesOf(box), calmStates)) wrong.push("states differ");
  const { byId, differing } = predictionsOf(box);
  if (differing !== undefined) wrong.push(`${differing} was published twice and differently`);
  if (!same(byId, calmPredictions.byId)) wrong.push("predictions differ");
  // All of it was acked: the power may go.
  box.crash(fault.at + 1);
  await box.start();
  if (box.recovered.damaged) wrong.push("reads as damage after a power cut");
  if (!same(await statesOf(box), calmStates)) wrong.push("states differ after a power cut");
  box.crash();
  return wrong;
}

for (const kind of KINDS) {
  t.test(
    `each call to the disk once ${kind === "short" ? "does less than it was asked to" : `fails with ${kind}`}`,
    { timeout: 600_000 },
    async (t) => {
      const all = calm.calls.map(({ call }, at) => ({ call, at })).filter(({ call }) => CALLS[kind].has(call));
      // Spread evenly where there are fewer.
      const sites = all.filter((_, i) => i % (all.length / rounds(all.length)) < 1);
      const counts = new Map<string, number>();
      for (const { call, at } of sites) {
        for (const powerCutSeed of kind !== "short" && CHANGES.has(call) ? [undefined, at + 7] : [undefined]) {
          const fault: Fault = { at, kind, powerCutSeed };
          const ran = await new Run(fault).whole().catch((thrown: unknown) => thrown);
          const wrong = ran instanceof Error ? [ran.stack ?? ran.message] : await complaints(ran as Ran, fault);
          if (wrong.length > 0)
            t.fail(`call ${at}, ${call} ${calm.calls[at]!.path}, power cut ${powerCutSeed}: ${wrong.join("; ")}`);
        }
        counts.set(call, (counts.get(call) ?? 0) + 1);
      }
      t.comment(`${sites.length} calls: ${[...counts].map(([call, count]) => `${call} ${count}`).join(", ")}`);
      t.ok(all.length > 50, `${all.length} calls`);
    },
  );
}
