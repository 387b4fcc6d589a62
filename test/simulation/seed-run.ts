// One seed from beginning to end: a box, its broker and its devices under the seed's faults; then the faults stop, and what is left must
// come to rest, survive a last power cut, and be right.
import { reasonOf } from "../../src/base/errors.ts";
import { createRandom } from "../../src/base/random.ts";
import type { Random } from "../../src/base/random.ts";
import { planOf } from "./fault-plan.ts";
import type { FaultClass, Plan } from "./fault-plan.ts";
import { SimBox } from "./sim-box.ts";
import { SimDevice } from "./sim-device.ts";
import type { SimCommand, SimMessage } from "./sim-message.ts";
import { simModels } from "./sim-models.ts";
import { Trace } from "./trace.ts";

const SETTLE_MS = 120_000;
const EVENTS_MAX = 100_000;

export interface SeedResult {
  readonly seed: number;
  readonly faults: readonly FaultClass[];
  readonly hash: string;
  readonly events: number;
  /** Steps of the network that were live, over all lives. */
  readonly readings: number;
  readonly crashes: number;
  readonly failure: string | undefined;
}

export interface SeedOptions {
  readonly without?: ReadonlySet<FaultClass>;
  /** Gets every line of the trace. */
  readonly tell?: (line: string) => void;
}

class SeedRun {
  readonly #plan: Plan;
  readonly #random: Random;
  readonly #trace: Trace;
  readonly #box: SimBox;
  readonly #devices: SimDevice[] = [];
  #failure: string | undefined;
  #events = 0;
  #messageId = 0;
  #calm = false;

  constructor(plan: Plan, tell: ((line: string) => void) | undefined) {
    this.#plan = plan;
    this.#random = createRandom(plan.seed ^ 0x5eed);
    this.#trace = new Trace(tell);
    this.#box = new SimBox(plan, this.#random.fork(), this.#trace, (what) => this.#fail(what));
  }

  #fail(what: string): void {
    if (this.#failure === undefined) this.#trace.note(this.#box.time.nowMs, `failure: ${what}`);
    this.#failure ??= what;
  }

  async run(): Promise<SeedResult> {
    const { faults, seed } = this.#plan;
    const fail = (thrown: unknown): void =>
      this.#fail(thrown instanceof Error ? (thrown.stack ?? thrown.message) : reasonOf(thrown));
    process.on("unhandledRejection", fail);
    try {
      await this.#play();
    } catch (thrown) {
      fail(thrown);
    } finally {
      process.off("unhandledRejection", fail);
    }
    const { crashes, readings } = this.#box;
    const { hash } = this.#trace;
    return { seed, faults: [...faults], hash, events: this.#events, readings, crashes, failure: this.#failure };
  }

  async #play(): Promise<void> {
    const box = this.#box;
    box.start();
    await this.#until(() => box.broker.subscribed, SETTLE_MS);
    this.#beginTraffic();
    this.#beginFaults();
    await this.#until(() => this.#devices.every((device) => device.isDone), 3_600_000);
    this.#calm = true;
    box.calmDown();
    await this.#until(() => box.isAtRest, SETTLE_MS);
    if (this.#failure !== undefined) return;
    if (!box.isAtRest) return this.#fail(`no rest ${SETTLE_MS / 1000} s after the last fault: ${box.unrest()}`);
    box.checkAtRest();
    // What has been acked and published must be there, and nothing else is to come.
    box.crash(true);
    box.start();
    await this.#until(() => box.isAtRest, SETTLE_MS);
    if (this.#failure === undefined && !box.isAtRest) this.#fail(`no rest after the last start: ${box.unrest()}`);
    if (this.#failure === undefined) box.checkAtRest();
  }

  /** Lets things happen until something holds, or too much time has gone. */
  async #until(holds: () => boolean, ms: number): Promise<void> {
    const { time } = this.#box;
    const endMs = time.nowMs + ms;
    while (this.#failure === undefined && !holds() && time.nowMs < endMs) {
      if (!time.step()) return;
      await new Promise(setImmediate);
      if (++this.#events > EVENTS_MAX) this.#fail(`more than ${EVENTS_MAX} events`);
    }
  }

  #beginTraffic(): void {
    const { devices, messages, commands, intervalMs } = this.#plan;
    const broker = { take: (message: SimMessage) => this.#box.publish(message), nextId: () => ++this.#messageId };
    for (let i = 0; i < devices; i++) {
      const share = Math.ceil(messages / devices);
      this.#devices.push(new SimDevice(i, share, this.#box.time, this.#plan, this.#random.fork(), broker));
    }
    const random = this.#random.fork();
    const spanMs = (intervalMs * messages) / devices;
    for (let i = 0; i < commands; i++) {
      this.#box.time.schedule(spanMs * random.next(), () => this.#command(`t${i}`, random));
      if (random.next() < 0.3) this.#box.time.schedule(spanMs * random.next(), () => this.#command(`t${i}`, random));
    }
  }

  #command(transaction: string, random: Random): void {
    const index = random.uint32() % this.#plan.devices;
    const states = simModels[index % this.#plan.groups.length]![0]!.blank();
    for (const values of Object.values(states)) for (let i = 0; i < values.length; i++) values[i] = random.next() - 0.5;
    const isRename = this.#plan.faults.has("renames") && random.next() < 0.5;
    const command: SimCommand = {
      kind: "command",
      command: isRename ? "rename" : random.next() < 0.5 ? "reset" : "set",
      // Its own name is one that is taken.
      to: isRename ? (random.next() < 0.3 ? `d${index}` : `${transaction}x`) : undefined,
      stream: `d${index}`,
      transaction,
      state: states,
    };
    if (random.next() < 0.5) this.#box.ask(command);
    else this.#box.publishCommand(command, ++this.#messageId);
  }

  /** Something goes wrong every now and then, until it is calm. */
  #often(meanMs: number, random: Random, act: () => void): void {
    if (meanMs === Infinity) return;
    const next = (): void => {
      this.#box.time.schedule(-meanMs * Math.log(1 - random.next()), () => {
        if (this.#calm) return;
        act();
        next();
      });
    };
    next();
  }

  #beginFaults(): void {
    const { faults, crashMs, cutMs, checkpointMs, switchMs } = this.#plan;
    const box = this.#box;
    const random = this.#random.fork();
    const often = (name: FaultClass, meanMs: number, act: () => void): void => {
      if (faults.has(name)) this.#often(meanMs, random.fork(), act);
    };
    often("kill", crashMs, () => box.crash(false));
    often("power", crashMs, () => box.crash(true));
    often("cuts", cutMs, () => box.broker.cut((["intake", "sink", "both"] as const)[random.uint32() % 3]!));
    often("clockJumps", 2 * crashMs, () => box.jumpClock(random));
    often("diskFull", 2 * crashMs, () => box.fillDisk(random));
    often("rot", 4 * crashMs, () => box.rot());
    often("spoiledCheckpoints", 2 * crashMs, () => box.spoilCheckpoint());
    often("switches", switchMs, () => box.switchModel(random));
    this.#often(checkpointMs, random.fork(), () => box.checkpoint());
    this.#often(4 * crashMs, random.fork(), () => box.stop());
    often("updates", switchMs, () => box.publisher.act(random));
    often("updates", 2 * cutMs, () => box.broker.cut("updates"));
  }
}

export function runSeed(seed: number, { without = new Set(), tell }: SeedOptions = {}): Promise<SeedResult> {
  return new SeedRun(planOf(seed, without), tell).run();
}
