// One stream as it should be: the rules of the contract written a second time, one reading after the other, without batches, journal or
// arena. What it holds is a value: a copy of it is a moment of the stream's past.
import type { StateTensors } from "../../src/engine/engine.ts";
import { BOOT_SILENCE_MS } from "./fault-plan.ts";
import type { SwitchPolicy } from "../../src/pipeline/settings.ts";
import type { GroupPlan } from "./fault-plan.ts";
import type { SimReading } from "./sim-message.ts";
import type { SimModel } from "./sim-models.ts";

/** A reading with what its arrival adds to it. */
export interface ArrivedReading {
  readonly boot: number;
  readonly nonce: number;
  readonly reading: SimReading;
  readonly time: number;
  /** The time is the device's. */
  readonly deviceTime: boolean;
  readonly clockSynced: boolean;
  readonly receivedAt: number;
}

export interface HeldReading extends ArrivedReading {
  /** In virtual time; since the start of the process where it was held before. */
  readonly sinceMs: number;
}

export type Verdict = "accepted" | "gap" | "duplicate" | "stale_boot" | "boot_conflict";

export interface Stepped {
  readonly boot: number;
  readonly nonce: number;
  readonly sequence: number;
  readonly time: number;
  readonly outputs: Float32Array;
  /** Of the model that gave them. */
  readonly version: string;
}

/** A reading as it was stepped. */
interface RecentReading {
  /** What the state was multiplied by before it. */
  readonly decay: number;
  readonly x: Float32Array;
}

const RECENT_MAX = 64;

export class ReferenceStream {
  readonly group: number;
  model: SimModel;
  boot = 0;
  nonce = 0;
  sequence = -1;
  steps = 0;
  time = 0;
  receivedAt = 0;
  /** In virtual time; the start of the process where nothing has come since. */
  seenMs = 0;
  /** In virtual time, over the lives of processes. */
  heardMs = 0;
  /** Of its rate bucket, on the clock of the process; undefined where it is full. */
  #bucket: { readonly tokens: number; readonly atMs: number } | undefined;
  intervals: readonly number[] = [];
  state: StateTensors;
  last: Float32Array;
  /** Readings for which each feature has been missing; Infinity where it never came. */
  missingFor: readonly number[];
  /** The time of each feature's last value; 0 where there was none. */
  lastAt: readonly number[];
  held: readonly HeldReading[] = [];
  /** The last readings since the state was last initial or set, the oldest first. */
  recent: readonly RecentReading[] = [];

  constructor(group: number, model: SimModel) {
    this.group = group;
    this.model = model;
    this.state = model.blank();
    this.last = new Float32Array(model.features.length);
    this.missingFor = model.features.map(() => Infinity);
    this.lastAt = model.features.map(() => 0);
  }

  copy(): ReferenceStream {
    const copy = new ReferenceStream(this.group, this.model);
    Object.assign(copy, this);
    copy.state = Object.fromEntries(Object.entries(this.state).map(([name, values]) => [name, values.slice()]));
    copy.last = this.last.slice();
    return copy;
  }

  /** Whether it may bring one more reading. */
  takes(nowMs: number, { perSecond, burst }: GroupPlan["rate"]): boolean {
    const { tokens, atMs } = this.#bucket ?? { tokens: burst, atMs: nowMs };
    const now = Math.min(burst, tokens + ((nowMs - atMs) / 1000) * perSecond);
    this.#bucket = { tokens: now < 1 ? now : now - 1, atMs: nowMs };
    return now >= 1;
  }

  /** The sequence rule, without what is held. */
  judge({ boot, nonce, reading }: ArrivedReading, nowMs: number): Verdict {
    if (this.steps === 0 || boot > this.boot) return "accepted";
    if (boot < this.boot) {
      const believed = nowMs - this.seenMs >= BOOT_SILENCE_MS && nonce !== this.nonce;
      return believed ? "accepted" : "stale_boot";
    }
    if (nonce !== this.nonce) return "boot_conflict";
    if (reading.sequence <= this.sequence) return "duplicate";
    if (reading.sequence === this.sequence + 1) return "accepted";
    return this.held.some((held) => held.reading.sequence === reading.sequence) ? "duplicate" : "gap";
  }

  /** Whether nothing can stand in for a value that is missing. */
  cannotFill({ missing }: SimReading, time: number, plan: GroupPlan): boolean {
    if (missing === undefined || plan.missing === "mean") return false;
    const isOver = (d: number): boolean => {
      if (plan.holdMs === undefined) return this.missingFor[d]! >= plan.holdReadingsMax;
      return this.missingFor[d] === Infinity || time - this.lastAt[d]! > plan.holdMs;
    };
    return missing.some((flag, d) => flag === 1 && (plan.missing === "refuse" || isOver(d)));
  }

  /** Keeps the values of a reading that is no step. */
  keep({ reading: { values, missing }, time, receivedAt }: ArrivedReading): void {
    this.receivedAt = receivedAt;
    this.last = this.last.map((value, d) => (missing![d] === 1 ? value : values[d]!));
    this.missingFor = this.missingFor.map((count, d) => (missing![d] === 1 ? count : 0));
    this.lastAt = this.lastAt.map((at, d) => (missing![d] === 1 ? at : time));
  }

  /** Steps a reading that is accepted. Not `counted`: its sequence number is the runtime's. */
  accept(arrived: ArrivedReading, counted: boolean, plan: GroupPlan, isReleased: boolean): Stepped {
    const { boot, nonce, reading, time, deviceTime, clockSynced, receivedAt } = arrived;
    const sequence = counted ? reading.sequence : this.sequence + 1;
    const restarted = counted && (boot !== this.boot || nonce !== this.nonce);
    const broken = this.steps > 0 && (restarted || sequence !== this.sequence + 1);
    const elapsed = this.#elapsed(time, deviceTime || clockSynced);
    const fades = broken && plan.gap.policy === "decay";
    const decay = fades ? Math.fround(Math.exp(-elapsed / plan.gap.tauMs)) : 1;
    if (fades) this.model.fade(this.state, decay);
    if (broken && plan.gap.policy === "reset") {
      this.recent = [];
      this.model.fade(this.state, 0);
    }
    const x = this.#filled(reading, plan);
    const outputs = this.model.step(this.state, x, reading.missing);
    this.recent = [...this.recent, { decay, x }].slice(-RECENT_MAX);
    this.lastAt = this.lastAt.map((at, d) => (reading.missing?.[d] === 1 ? at : time));
    if (counted) [this.boot, this.nonce] = [boot, nonce];
    [this.sequence, this.time] = [sequence, time];
    if (!isReleased) this.receivedAt = receivedAt;
    this.steps++;
    return { boot: this.boot, nonce: this.nonce, sequence, time, outputs, version: this.model.model.version };
  }

  #elapsed(time: number, trusted: boolean): number {
    if (this.steps === 0) return 0;
    const difference = time - this.time;
    if (trusted && difference > 0) {
      this.intervals = [...this.intervals, Math.fround(difference)].slice(-16);
      return difference;
    }
    return this.medianInterval();
  }

  medianInterval(): number {
    const sorted = this.intervals.toSorted((a, b) => a - b);
    const middle = sorted.length >> 1;
    if (sorted.length === 0) return 0;
    return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  }

  #filled({ values, missing }: SimReading, plan: GroupPlan): Float32Array {
    const mean = this.model.model.weights.xMean.data;
    const missingFor: number[] = [];
    const x = values.map((value, d) => {
      const isMissing = missing !== undefined && missing[d] === 1;
      missingFor.push(isMissing ? this.missingFor[d]! + 1 : 0);
      if (!isMissing) return (this.last[d] = value);
      return plan.missing === "hold" ? this.last[d]! : mean[d]!;
    });
    this.missingFor = missingFor;
    return x;
  }

  /** Goes on with another model. */
  switchTo(model: SimModel, policy: SwitchPolicy): void {
    this.model = model;
    if (policy === "carry") return;
    const recent = policy === "replay" ? this.recent : [];
    this.become(undefined);
    this.recent = recent;
    for (const { decay, x } of recent) {
      if (decay !== 1) model.fade(this.state, decay);
      model.step(this.state, x, undefined);
    }
  }

  /** Whether it has the shapes of a state from outside. */
  hasShapesOf(state: StateTensors): boolean {
    const [theirs, own] = [Object.entries(state), this.state];
    return theirs.length === Object.keys(own).length && theirs.every(([name, values]) => own[name]?.length === values.length);
  }

  /** Applies a command. */
  become(state: StateTensors | undefined): void {
    this.recent = [];
    this.state =
      state === undefined
        ? this.model.blank()
        : Object.fromEntries(Object.entries(state).map(([name, values]) => [name, values.slice()]));
  }

  /** Keeps a reading until its turn. */
  hold(arrived: ArrivedReading, sinceMs: number): void {
    this.receivedAt = arrived.receivedAt;
    this.held = [...this.held, { ...arrived, sinceMs }].toSorted((a, b) => a.reading.sequence - b.reading.sequence);
  }

  /** The first held readings that follow each other: taken out of what is held, though not yet accepted. */
  takeRun(): readonly HeldReading[] {
    const first = this.held[0]!.reading.sequence;
    const run = this.held.filter(({ reading }, i) => reading.sequence === first + i);
    this.held = this.held.slice(run.length);
    return run;
  }
}
