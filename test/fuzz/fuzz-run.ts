// Runs inputs through targets and holds each against the contract: a value, or an error of the family with a code of the target's. It
// also looks for the slowest input, for growth of the heap, and for what must never change: the prototype of all objects.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { HiddenstateError } from "../../src/base/errors.ts";
import { createRandom } from "../../src/base/random.ts";
import { mutate } from "./mutate.ts";
import { runtimeTargets } from "./runtime-targets.ts";
import { byteTargets } from "./targets.ts";
import type { Target } from "./targets.ts";

export interface TargetReport {
  readonly name: string;
  inputs: number;
  values: number;
  /** By error code. */
  readonly errors: Record<string, number>;
  /** The slowest input, taken again and again: the least it took. */
  slowestMs: number;
  readonly msMax: number;
  slowestInput: string;
}

export interface FuzzReport {
  readonly seed: number;
  readonly targets: readonly TargetReport[];
  /** Inputs that broke the contract: target, what happened, and the bytes in base64. */
  readonly wrong: readonly string[];
  /** Between a tenth of the run and its end, after a full collection. */
  readonly heapGrowthBytes: number;
}

export interface FuzzOptions {
  readonly count: number;
  readonly seed: number;
  readonly target?: string | undefined;
  readonly write?: (line: string) => void;
}

const MS_MAX = 5;
const AGAIN = 5;
/** While it still looks too slow. */
const AGAIN_MAX = 40;
const WRONG_MAX = 50;
/** One target's inputs in a row, so that each is measured warm. */
const BATCH = 500;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

class TargetRun {
  readonly #target: Target;
  readonly #wrong: string[];
  readonly report: TargetReport;

  constructor(target: Target, wrong: string[]) {
    this.#target = target;
    this.#wrong = wrong;
    this.report = {
      name: target.name,
      inputs: 0,
      values: 0,
      errors: {},
      slowestMs: 0,
      msMax: target.msMax ?? MS_MAX,
      slowestInput: "",
    };
  }

  /** How long it took, and what it threw. */
  async #timed(bytes: Uint8Array): Promise<{ ms: number; thrown: unknown }> {
    const before = performance.now();
    let thrown: unknown;
    try {
      const pending = this.#target.run(bytes);
      if (pending !== undefined) await pending;
    } catch (caught) {
      thrown = caught;
    }
    return { ms: performance.now() - before, thrown };
  }

  async input(bytes: Uint8Array): Promise<void> {
    const { report } = this;
    const first = await this.#timed(bytes);
    report.inputs++;
    const { thrown } = first;
    if (thrown === undefined) report.values++;
    else if (thrown instanceof HiddenstateError && this.#target.codes.includes(thrown.code)) {
      report.errors[thrown.code] = (report.errors[thrown.code] ?? 0) + 1;
    } else if (this.#wrong.length < WRONG_MAX) {
      const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : JSON.stringify(thrown);
      this.#wrong.push(`${report.name}: ${text}\n  input ${Buffer.from(bytes).toString("base64")}`);
    }
    if (first.ms <= report.slowestMs) return;
    // The collector and other processes take their time too: what counts is what the input takes every time.
    let { ms } = first;
    for (let i = 0; ms > report.slowestMs && i < (ms > report.msMax / 2 ? AGAIN_MAX : AGAIN); i++)
      ms = Math.min(ms, (await this.#timed(bytes)).ms);
    ms = Math.min(ms, (await this.#timed(bytes)).ms);
    if (ms <= report.slowestMs) return;
    report.slowestMs = ms;
    report.slowestInput = Buffer.from(bytes).toString("base64");
  }
}

/** As many inputs as the target's share of the rest. */
function* schedule(targets: readonly Target[], count: number): Generator<{ target: number; inputs: number }> {
  const shares = targets.reduce((sum, { share }) => sum + share, 0);
  const given = targets.map(() => 0);
  for (let done = 0; done < count;) {
    const upTo = Math.min(count, done + BATCH * targets.length);
    for (const [target, { share }] of targets.entries()) {
      const inputs = Math.min(Math.round((upTo * share) / shares) - given[target]!, count - done);
      if (inputs <= 0) continue;
      given[target]! += inputs;
      done += inputs;
      yield { target, inputs };
    }
    if (upTo < count) continue;
    // What rounding has left over.
    if (done < count) yield { target: 0, inputs: count - done };
    return;
  }
}

export async function runFuzz({ count, seed, target: only, write = () => {} }: FuzzOptions): Promise<FuzzReport> {
  const all = [...byteTargets, ...(await runtimeTargets())];
  const targets = only === undefined ? all : all.filter(({ name }) => name === only);
  if (targets.length === 0) throw new Error(`there is no target ${only}; there are ${all.map(({ name }) => name).join(", ")}`);
  const wrong: string[] = [];
  const runs = targets.map((target) => new TargetRun(target, wrong));
  const random = createRandom(seed);
  const prototypeBefore = Reflect.ownKeys(Object.prototype).length;
  let [done, heapBefore, told] = [0, 0, 0];
  for (const { target, inputs } of schedule(targets, count)) {
    const { samples, form, bytesMax } = targets[target]!;
    for (let i = 0; i < inputs; i++) await runs[target]!.input(mutate(samples, form, random, bytesMax));
    done += inputs;
    if (heapBefore === 0 && done >= count / 10) {
      collect();
      heapBefore = process.memoryUsage().heapUsed;
    }
    if (done - told >= 500_000) {
      told = done;
      write(`${done} inputs, ${wrong.length} wrong`);
    }
  }
  if (Reflect.ownKeys(Object.prototype).length !== prototypeBefore) wrong.push("the prototype of all objects was changed");
  collect();
  return { seed, targets: runs.map(({ report }) => report), wrong, heapGrowthBytes: process.memoryUsage().heapUsed - heapBefore };
}
