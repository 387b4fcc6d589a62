// One network for several streams: what one teaches serves another, what is a stream's own stays so, and no stream drowns or spoils the
// others. The same readings in the same order give the same bits, whatever was taken out and put back between.
import t from "tap";
import { limits } from "../../src/base/limits.ts";
import { createRandom } from "../../src/base/random.ts";
import { OnlineState } from "../../src/learn/online-state.ts";
import type { StateTensor } from "../../src/learn/online-state.ts";
import { pieceLayout, PieceStore } from "../../src/learn/piece-store.ts";
import { READINGS_UNSTEPPED, SharedForecaster } from "../../src/learn/shared-forecaster.ts";

const MINUTE = 60_000;
const START = Date.UTC(2026, 0, 5);
const settings = { name: "hall", features: ["a"], horizons: [1, 12], seed: 7 };
const O = 4;

/** A course of 40 readings with noise, about a level and as high as it is wide: streams of one kind in different units. */
function wave(count: number, seed: number, level: number, width: number): Float32Array {
  const random = createRandom(seed);
  return Float32Array.from(
    { length: count },
    (_, i) => level + width * Math.sin((2 * Math.PI * i) / 40 + seed) + 0.1 * width * random.normal(),
  );
}

const kind = (n: number, count: number): Float32Array => wave(count, n, 100 * n, 1 + 10 * n);

/** Steps one reading of a slot; what is forecast after it. */
function stepOne(forecaster: SharedForecaster, slot: number, xs: Float32Array, i: number, at = i): Float32Array {
  const y = new Float32Array(O);
  forecaster.step(slot, xs, i, START + at * MINUTE, y, 0);
  return y;
}

/** Steps streams in turn along their readings `from` to `to`. */
function follow(
  forecaster: SharedForecaster,
  streams: readonly (readonly [slot: number, xs: Float32Array])[],
  from: number,
  to: number,
): Float32Array[] {
  const ys: Float32Array[] = [];
  for (let i = from; i < to; i++) for (const [slot, xs] of streams) ys.push(stepOne(forecaster, slot, xs, i));
  return ys;
}

function copyOf(tensors: readonly StateTensor[]): { name: string; data: Float32Array | Float64Array }[] {
  return tensors.map(({ name, data }) => ({ name, data: data.slice() }));
}

function tensor(tensors: readonly StateTensor[], name: string): Float32Array | Float64Array {
  return tensors.find((one) => one.name === name)!.data;
}

t.test("what some streams taught serves a stream that comes later from its first readings on", async (t) => {
  const forecaster = new SharedForecaster(settings);
  const streams = [1, 2, 3].map((n) => [forecaster.allocate(), kind(n, 700)] as const);
  follow(forecaster, streams, 0, 150);
  t.match(forecaster.sharedWarmUp, { readings: 450, readingsNeeded: 500, warm: false });
  follow(forecaster, streams, 150, 700);
  const { readings, loss, persistenceLoss, warm } = forecaster.sharedWarmUp;
  t.equal(readings, 2100);
  t.ok(warm && loss < 0.4 * persistenceLoss, `loss ${loss}, of the last value ${persistenceLoss}`);
  t.ok(streams.every(([slot]) => forecaster.warmUp(slot).warm));

  const late = kind(4, 400);
  const slot = forecaster.allocate();
  follow(forecaster, [[slot, late]], 0, 99);
  t.match(forecaster.warmUp(slot), { readings: 99, readingsNeeded: 100, warm: false });
  const ys = follow(forecaster, [[slot, late]], 99, 300);
  t.ok(forecaster.warmUp(slot).warm);
  let [squares, persistence] = [0, 0];
  for (const [i, y] of ys.entries()) {
    squares += (late[99 + i + 12]! - y[1]!) ** 2;
    persistence += (late[99 + i + 12]! - late[99 + i]!) ** 2;
  }
  t.ok(squares < 0.3 * persistence, `12 ahead ${squares / persistence} of the last value's squared error`);
});

t.test("statistics, the last readings and their times are a stream's own", async (t) => {
  const [alone, beside] = [new SharedForecaster(settings), new SharedForecaster(settings)];
  const xs = kind(1, 400);
  const [one, two] = [alone.allocate(), beside.allocate()];
  follow(alone, [[one, xs]], 0, 400);
  follow(
    beside,
    [
      [beside.allocate(), wave(400, 9, 1e6, 1e5)],
      [two, xs],
      [beside.allocate(), kind(3, 400)],
    ],
    0,
    400,
  );
  for (const name of ["mean", "variance", "window", "times"]) {
    t.strictSame(tensor(beside.tensors(two), name), tensor(alone.tensors(one), name), name);
  }
  t.notSame(tensor(beside.shared, "weights"), tensor(alone.shared, "weights"));
});

t.test(
  "a stream full of rubbish, and one that is no numbers at all, neither spoil the weights nor silence the others",
  async (t) => {
    const forecaster = new SharedForecaster(settings);
    const random = createRandom(5);
    const broken = Float32Array.from({ length: 900 }, (_, i) =>
      i % 3 === 0 ? Number.NaN : i % 7 === 0 ? Infinity : 1e30 * random.normal(),
    );
    const jumps = Float32Array.from({ length: 900 }, (_, i) => (i < 300 ? 1 : 1e9) + 0.01 * random.normal());
    const good = [1, 2, 3, 4].map((n) => [forecaster.allocate(), kind(n, 900)] as const);
    const bad = [broken, jumps, new Float32Array(900).fill(Number.NaN)].map((xs) => [forecaster.allocate(), xs] as const);
    follow(forecaster, [...good, ...bad], 0, 900);
    for (const { name, data } of forecaster.shared) t.ok(data.every(Number.isFinite), name);
    for (const [slot] of good) {
      const { warm, loss, persistenceLoss } = forecaster.warmUp(slot);
      t.ok(warm && loss < 0.5 * persistenceLoss, `loss ${loss}, of the last value ${persistenceLoss}`);
    }
  },
);

t.test("a stream on which the network does worse than the last value falls silent, whatever it does for others", async (t) => {
  const forecaster = new SharedForecaster(settings);
  const good = [1, 2, 3].map((n) => [forecaster.allocate(), kind(n, 1200)] as const);
  follow(forecaster, good, 0, 700);
  // A ramp whose every value is further off than anything before it, and next to the one before.
  const ramp = Float32Array.from({ length: 500 }, (_, i) => i * i);
  const slot = forecaster.allocate();
  follow(forecaster, [[slot, ramp]], 0, 500);
  const { warm, loss, persistenceLoss } = forecaster.warmUp(slot);
  t.ok(loss > persistenceLoss, `loss ${loss}, of the last value ${persistenceLoss}`);
  t.notOk(warm);
  follow(forecaster, good, 700, 1200);
  t.ok(good.every(([one]) => forecaster.warmUp(one).warm));
});

t.test("one that is set to anything is its own trouble", async (t) => {
  const forecaster = new SharedForecaster(settings);
  const good = [1, 2].map((n) => [forecaster.allocate(), kind(n, 800)] as const);
  const other = [forecaster.allocate(), kind(3, 800)] as const;
  follow(forecaster, [...good, other], 0, 300);
  const random = createRandom(3);
  for (let i = 300; i < 800; i += 10) {
    const state = copyOf(forecaster.tensors(other[0]));
    for (const { data } of state)
      for (let at = 0; at < data.length; at++) data[at] = 10 ** (60 * random.next() - 30) * random.normal();
    forecaster.write(other[0], state);
    follow(forecaster, [...good, other], i, i + 10);
  }
  for (const { name, data } of forecaster.shared) t.ok(data.every(Number.isFinite), name);
  for (const [slot] of good) t.ok(forecaster.warmUp(slot).warm);
});

t.test("the same readings give the same bits where all was taken out and put back between, in other slots", async (t) => {
  const whole = new SharedForecaster(settings);
  const xs = [1, 2, 3].map((n) => kind(n, 600));
  const slots = xs.map(() => whole.allocate());
  const all = xs.map((one, n) => [slots[n]!, one] as const);
  follow(whole, all, 0, 333);
  // One leaves, and another begins anew: both count among the streams no more.
  whole.release(slots[0]!);
  whole.write(slots[1]!, copyOf(whole.tensors(whole.allocate())));
  const rest = all.slice(1);
  const second = new SharedForecaster(settings);
  second.writeShared(copyOf(whole.shared));
  second.release(second.allocate());
  const moved = rest.toReversed().map(([slot]) => {
    const to = second.allocate();
    second.write(to, copyOf(whole.tensors(slot)));
    return to;
  });
  const again = rest.map(([, one], n) => [moved[rest.length - 1 - n]!, one] as const);
  t.strictSame(follow(second, again, 333, 600), follow(whole, rest, 333, 600));
  t.strictSame(copyOf(second.shared), copyOf(whole.shared));
  t.strictSame(copyOf(second.tensors(again[0]![0])), copyOf(whole.tensors(rest[0]![0])));
  t.throws(() => second.writeShared(copyOf(whole.shared).slice(1)), { code: "bad_state" });
  t.strictSame(copyOf(second.shared), copyOf(whole.shared), "what does not fit changes nothing");
});

t.test("readings that a state is built anew from, without times, teach nothing", async (t) => {
  const forecaster = new SharedForecaster(settings);
  const streams = [1, 2].map((n) => [forecaster.allocate(), kind(n, 400)] as const);
  follow(forecaster, streams, 0, 400);
  const before = copyOf(forecaster.shared);
  const slot = forecaster.allocate();
  const y = new Float32Array(O);
  t.ok(limits.recentReadingsMax <= READINGS_UNSTEPPED, "no more are remembered");
  for (let i = 0; i < READINGS_UNSTEPPED; i++) forecaster.step(slot, [i], 0, Number.NaN, y, 0);
  t.equal(forecaster.warmUp(slot).readings, READINGS_UNSTEPPED);
  t.ok(
    [...tensor(forecaster.tensors(slot), "hidden 0")].every((value) => value === 0),
    "nor does it depend on what was learned",
  );
  t.strictSame(copyOf(forecaster.shared), before);
});

/** Pieces of each owner. */
function shares(state: OnlineState): Map<number, number> {
  const found = new Map<number, number>();
  for (const owner of state.view64("owners")) if (owner !== 0) found.set(owner, (found.get(owner) ?? 0) + 1);
  return found;
}

t.test("each stream holds its share of the pieces, however often it measures, and what is gone goes", async (t) => {
  const shape = { features: 1, rows: 44, timed: 32 };
  const state = new OnlineState(pieceLayout(shape));
  const pieces = new PieceStore(state);
  const room = state.view64("owners").length;
  t.equal(room, 256);
  const random = createRandom(2);
  let now = 0;
  // The first offers a hundred times as often as each of the others.
  const offer = (owner: number): number => pieces.take(owner, 8, (now += 16), random);
  for (let round = 0; round < 300; round++) {
    for (let n = 0; n < 100; n++) offer(1);
    for (let owner = 2; owner <= 8; owner++) offer(owner);
  }
  t.equal(pieces.count, room);
  // Each in its turn may have taken one, which the next that has fewer will take back.
  for (let owner = 1; owner <= 8; owner++) t.ok(Math.abs(shares(state).get(owner)! - room / 8) <= 1, `owner ${owner}`);
  // 1 to 4 are gone.
  for (let round = 0; round < 2000; round++) for (let owner = 5; owner <= 8; owner++) offer(owner);
  t.strictSame(new Set(shares(state).keys()), new Set([5, 6, 7, 8]));
  const other = new PieceStore(state);
  other.refresh();
  const [one, two] = [createRandom(4), createRandom(4)];
  for (let n = 0; n < 200; n++) {
    const kept = { owners: state.view64("owners").slice(), born: state.view64("born").slice() };
    const place = pieces.take(9 + (n % 3), 4, now + n, one);
    const after = state.view64("owners").slice();
    state.view64("owners").set(kept.owners);
    state.view64("born").set(kept.born);
    if (other.take(9 + (n % 3), 4, now + n, two) !== place) t.fail(`piece ${n} goes elsewhere`);
    t.strictSame(state.view64("owners"), after);
  }
});

t.test("more streams than pieces each have one at most, and wide readings have fewer pieces", async (t) => {
  const state = new OnlineState(pieceLayout({ features: 20, rows: 80, timed: 32 }));
  const room = state.view64("owners").length;
  t.equal(room, 157);
  const pieces = new PieceStore(state);
  const random = createRandom(6);
  let now = 0;
  for (let round = 0; round < 20; round++)
    for (let owner = 1; owner <= 500; owner++) pieces.take(owner, 500, (now += 16), random);
  t.equal(shares(state).size, room);
  t.ok([...shares(state).keys()].some((owner) => owner > 400));
});
