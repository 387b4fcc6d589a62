// Where in the day and in the week a reading lies, as a network takes it: sine and cosine of the first harmonics of both, in UTC. A network
// of any width can make a daily or weekly course out of them, and none of them jumps at midnight.
import { cosineOfTurns, sineOfTurns } from "../kernels/sine.ts";

const DAY_MS = 24 * 3_600_000;
const PERIODS = [
  { name: "day", ms: DAY_MS },
  { name: "week", ms: 7 * DAY_MS },
] as const;
const HARMONICS = 3;

/** In the order that `writeSeason` has. */
export const seasonNames: readonly string[] = PERIODS.flatMap(({ name }) =>
  Array.from({ length: HARMONICS }, (_, i) => [`${name} sine ${i + 1}`, `${name} cosine ${i + 1}`]).flat(),
);

/** Writes the values for a time in ms since 1970, -1 to 1, into `into` from `at`; zeros where it is no time. */
export function writeSeason(time: number, into: Float32Array, at: number): void {
  let place = at;
  for (let period = 0; period < PERIODS.length; period++) {
    const turns = time / PERIODS[period]!.ms;
    const known = Number.isFinite(turns);
    for (let harmonic = 1; harmonic <= HARMONICS; harmonic++) {
      into[place++] = known ? sineOfTurns(harmonic * turns) : 0;
      into[place++] = known ? cosineOfTurns(harmonic * turns) : 0;
    }
  }
}
