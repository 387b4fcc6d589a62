// Chance as an object. xoshiro128** (Blackman and Vigna, 2018) seeded through splitmix32: the same seed gives the same numbers on
// every machine and Node version.
import { randomBytes } from "node:crypto";

/** Chance, as an object. */
export interface Random {
  /** A whole number, 0 to 2^32 - 1. */
  uint32(): number;
  /** A number in [0, 1) with 32 random bits. */
  next(): number;
  /** A draw from the standard normal distribution. */
  normal(): number;
  /** An independent generator, for a part whose draws must not depend on how many its neighbours take. */
  fork(): Random;
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

class Xoshiro128 implements Random {
  readonly #state: Int32Array;
  #spareNormal = Number.NaN;

  /** The state is four words, which become its own. */
  constructor(state: Int32Array) {
    this.#state = state;
    if (state.every((word) => word === 0)) state[0] = 1;
  }

  uint32(): number {
    const s = this.#state;
    const s1 = s[1]!;
    const result = Math.imul(rotateLeft(Math.imul(s1, 5), 7), 9);
    s[2]! ^= s[0]!;
    s[3]! ^= s1;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= s1 << 9;
    s[3] = rotateLeft(s[3]!, 11);
    return result >>> 0;
  }

  next(): number {
    return this.uint32() / 2 ** 32;
  }

  normal(): number {
    if (!Number.isNaN(this.#spareNormal)) {
      const spare = this.#spareNormal;
      this.#spareNormal = Number.NaN;
      return spare;
    }
    // Box-Muller; 1 - next() keeps the logarithm's argument above 0.
    const radius = Math.sqrt(-2 * Math.log(1 - this.next()));
    const angle = 2 * Math.PI * this.next();
    this.#spareNormal = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  fork(): Random {
    return createRandom(this.uint32());
  }
}

/** A generator for a seed; only the seed's low 32 bits count. */
export function createRandom(seed: number): Random {
  const state = new Int32Array(4);
  let mixed = seed | 0;
  for (let i = 0; i < 4; i++) {
    mixed = (mixed + 0x9e3779b9) | 0;
    let z = mixed ^ (mixed >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    state[i] = z ^ (z >>> 15);
  }
  return new Xoshiro128(state);
}

/** A generator that nobody can predict or repeat. */
export function createSystemRandom(): Random {
  const bytes = randomBytes(16);
  return new Xoshiro128(Int32Array.from({ length: 4 }, (_, i) => bytes.readInt32LE(4 * i)));
}

/** A name of 128 random bits, in hex: no two are alike if the generator is the system's. */
export function randomName(random: Random): string {
  return Array.from({ length: 4 }, () => random.uint32().toString(16).padStart(8, "0")).join("");
}
