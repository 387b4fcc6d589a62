// Chance as a function of a place instead of a sequence: the same seed and index always give the same draw, in any order of asking. So
// a signal can be read at any step, and a device that was off for an hour goes on where the world is by then.

/** 32 mixed bits of a seed and an index (the finaliser of MurmurHash3 over both). */
export function bitsAt(seed: number, index: number): number {
  // Indices above 2^32 reach the mix through their high half.
  let hash = (seed ^ Math.imul(index | 0, 0x9e3779b1) ^ Math.imul(Math.floor(index / 2 ** 32), 0x85ebca77)) | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** In [0, 1). */
export function uniformAt(seed: number, index: number): number {
  return bitsAt(seed, index) / 2 ** 32;
}

/** Between two bounds. */
export function betweenAt(seed: number, index: number, low: number, high: number): number {
  return low + (high - low) * uniformAt(seed, index);
}

/** From the standard normal distribution (Box-Muller). */
export function normalAt(seed: number, index: number): number {
  const radius = Math.sqrt(-2 * Math.log((bitsAt(seed, 2 * index) + 1) / 2 ** 32));
  return radius * Math.cos(2 * Math.PI * uniformAt(seed, 2 * index + 1));
}

/** A smooth wandering between -1 and 1 that passes a new random height at every whole number (value noise with a quintic fade). */
export function wanderAt(seed: number, position: number): number {
  const index = Math.floor(position);
  const part = position - index;
  const fade = part * part * part * (part * (part * 6 - 15) + 10);
  const from = uniformAt(seed, index);
  return 2 * (from + (uniformAt(seed, index + 1) - from) * fade) - 1;
}
