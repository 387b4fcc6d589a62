// What the simulated sensors measure. A signal counts in steps, not in seconds: a simulated day has 1440 readings at any rate, so that
// what a model learned from one rate holds at another. The value at a step depends on the kind, the seed and the step, on nothing else.
import { Lag, Levels } from "./levels.ts";
import { betweenAt, normalAt, wanderAt } from "./noise.ts";

export const DAY_STEPS = 1440;

export interface SignalFeature {
  readonly name: string;
  readonly unit: string;
  /** What the feature typically deviates from its mean: the yardstick of faults. */
  readonly deviation: number;
}

export interface Signal {
  readonly features: readonly SignalFeature[];
  /** Writes the feature vector of a step, 0 or above, in the features' units. */
  read(step: number, into: Float64Array): void;
}

export type SignalKind = "daily" | "vibration" | "drift" | "steps" | "mixed";

export const signalKinds: readonly SignalKind[] = ["daily", "vibration", "drift", "steps", "mixed"];

function feature(name: string, unit: string, deviation: number): SignalFeature {
  return { name, unit, deviation };
}

/** Draws of one device: traits that stay, and noise by step. Each gets a seed of its own. */
class Draws {
  readonly #seed: number;
  #next = 0;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** A seed for a part of the signal. */
  part(): number {
    return (this.#seed + Math.imul(++this.#next, 0x2545f491)) | 0;
  }

  trait(low: number, high: number): number {
    return betweenAt(this.part(), 0, low, high);
  }
}

/** Air at a place: temperature by day and weather, humidity against it, light between clouds. */
function dailySignal(draws: Draws): Signal {
  const phase = draws.trait(-0.4, 0.4);
  const mean = draws.trait(14, 24);
  const swing = draws.trait(4, 8);
  const [weather, gusts, moisture, clouds, noise] = [draws.part(), draws.part(), draws.part(), draws.part(), draws.part()];
  return {
    features: [feature("temperature", "°C", 5), feature("humidity", "%", 10), feature("light", "lx", 12_000)],
    read(step, into) {
      const angle = (2 * Math.PI * step) / DAY_STEPS + phase;
      const warmth =
        swing * (Math.sin(angle) + 0.25 * Math.sin(2 * angle + 0.7)) + 3 * wanderAt(weather, step / (2.5 * DAY_STEPS));
      const humidity = 58 - 1.9 * warmth + 7 * wanderAt(moisture, step / 900) + 0.3 * normalAt(noise, 3 * step + 1);
      const sky = 0.65 + 0.35 * wanderAt(clouds, step / 45);
      into[0] = mean + warmth + 0.3 * wanderAt(gusts, step / 60) + 0.05 * normalAt(noise, 3 * step);
      into[1] = Math.min(100, Math.max(5, humidity));
      into[2] = Math.max(0, Math.sin(angle - 0.5)) * 40_000 * sky + 20 + 5 * Math.abs(normalAt(noise, 3 * step + 2));
    },
  };
}

/** A motor's bearing: harmonics whose weights follow the load, the current at once and the warmth later. */
function vibrationSignal(draws: Draws): Signal {
  const frequency = draws.trait(0.031, 0.045);
  const phase = draws.trait(0, 2 * Math.PI);
  const roughness = draws.trait(0.8, 1.3);
  const load = new Levels(draws.part(), [0.2, 0.4, 0.6, 0.8, 1], 400);
  const felt = new Lag(load, 6);
  const warmed = new Lag(load, 150);
  const noise = draws.part();
  return {
    features: [feature("vibration", "mm/s", 2), feature("current", "A", 2.5), feature("bearing_temperature", "°C", 8)],
    read(step, into) {
      const angle = 2 * Math.PI * frequency * step + phase;
      const force = felt.at(step);
      const wave = Math.sin(angle) + 0.5 * force * Math.sin(2 * angle + 0.9) + 0.35 * force * force * Math.sin(3 * angle + 2.1);
      into[0] = roughness * (0.6 + 3 * force) * wave + 0.12 * normalAt(noise, 3 * step);
      into[1] = 1.5 + 8 * force + 0.2 * Math.sin(angle) + 0.08 * normalAt(noise, 3 * step + 1);
      into[2] = 32 + 34 * warmed.at(step) + 0.1 * normalAt(noise, 3 * step + 2);
    },
  };
}

/** A gas sensor that ages: a baseline that creeps, fed by the room's slow changes and the sensor's own warmth. */
function driftSignal(draws: Draws): Signal {
  const baseline = draws.trait(380, 460);
  const creep = draws.trait(0.2, 0.8) / 1000;
  const [air, room, noise] = [draws.part(), draws.part(), draws.part()];
  return {
    features: [feature("gas", "ppm", 40), feature("temperature", "°C", 2)],
    read(step, into) {
      const warmth = 2.5 * wanderAt(room, step / 700);
      // A sensor ages towards a limit; without one the values of a year would mean nothing.
      const age = 60 * (1 - Math.exp((-creep * step) / 60));
      into[0] =
        baseline +
        age +
        70 * wanderAt(air, step / 260) +
        25 * wanderAt(air + 1, step / 50) +
        4 * warmth +
        normalAt(noise, 2 * step);
      into[1] = 24 + warmth + 0.06 * normalAt(noise, 2 * step + 1);
    },
  };
}

/** A process under a valve: the flow follows in steps, the level later, the outlet's warmth against it. */
function stepsSignal(draws: Draws): Signal {
  const gain = draws.trait(0.85, 1.15);
  const valve = new Levels(draws.part(), [15, 30, 45, 60, 75, 90], 240);
  const stem = new Lag(valve, 2);
  const flow = new Lag(valve, 12);
  const tank = new Lag(valve, 80);
  const noise = draws.part();
  return {
    features: [
      feature("valve", "%", 25),
      feature("flow", "l/min", 10),
      feature("level", "cm", 18),
      feature("outlet_temperature", "°C", 7),
    ],
    read(step, into) {
      into[0] = stem.at(step) + 0.1 * normalAt(noise, 4 * step);
      into[1] = gain * 0.42 * flow.at(step) + 0.25 * normalAt(noise, 4 * step + 1);
      into[2] = 20 + gain * 0.75 * tank.at(step) + 0.3 * normalAt(noise, 4 * step + 2);
      into[3] = 78 - 0.28 * tank.at(step) + 0.15 * normalAt(noise, 4 * step + 3);
    },
  };
}

/** A machine in a hall: one of each. Its day, its load, its wear and its process steps act on the same four sensors. */
function mixedSignal(draws: Draws): Signal {
  const phase = draws.trait(-0.4, 0.4);
  const frequency = draws.trait(0.034, 0.042);
  const roughness = draws.trait(0.9, 1.2);
  const load = new Levels(draws.part(), [0.2, 0.45, 0.7, 1], 360);
  const felt = new Lag(load, 6);
  const warmed = new Lag(load, 120);
  const pumped = new Lag(load, 15);
  const [hall, wear, noise] = [draws.part(), draws.part(), draws.part()];
  return {
    features: [
      feature("temperature", "°C", 8),
      feature("vibration", "mm/s", 1.5),
      feature("pressure", "kPa", 30),
      feature("current", "A", 2.5),
    ],
    read(step, into) {
      const day = Math.sin((2 * Math.PI * step) / DAY_STEPS + phase);
      const angle = 2 * Math.PI * frequency * step + phase;
      const force = felt.at(step);
      const wave = Math.sin(angle) + 0.45 * force * Math.sin(2 * angle + 0.9);
      into[0] = 26 + 4 * day + 1.5 * wanderAt(hall, step / 500) + 22 * warmed.at(step) + 0.08 * normalAt(noise, 4 * step);
      into[1] = roughness * (0.5 + 2.2 * force) * wave + 0.1 * normalAt(noise, 4 * step + 1);
      into[2] = 240 + 110 * pumped.at(step) - 12 * wanderAt(wear, step / 2000) + 0.5 * normalAt(noise, 4 * step + 2);
      into[3] = 1.5 + 8 * force + 0.15 * Math.sin(angle) + 0.06 * normalAt(noise, 4 * step + 3);
    },
  };
}

const builders: Readonly<Record<SignalKind, (draws: Draws) => Signal>> = {
  daily: dailySignal,
  vibration: vibrationSignal,
  drift: driftSignal,
  steps: stepsSignal,
  mixed: mixedSignal,
};

/** One device's signal. Each seed is another device: its own offsets, frequencies and history. */
export function createSignal(kind: SignalKind, seed: number): Signal {
  return builders[kind](new Draws(seed | 0));
}
