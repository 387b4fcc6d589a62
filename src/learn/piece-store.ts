// What a network that all streams of a group teach learns from: pieces of their courses, in deviations, of which each stream holds its
// share however often it measures. It knows owners by number and draws by chance that it is handed; all of it lies in tensors, so that
// replayed readings find the same pieces in the same places.
import type { Random } from "../base/random.ts";
import type { OnlineState, StateLayout } from "./online-state.ts";

const PIECES_MAX = 256;
const PIECES_MIN = 32;
const BYTES_MAX = 1024 * 1024;
/** A stream offers a piece every so many of its readings. */
export const READINGS_PER_PIECE = 16;
/** Readings of its owner that a piece lasts for on the average, where its owner's share leaves the choice. */
const READINGS_KEPT = 1000;
/** A stream that has left no piece for so many readings of each of the streams is taken to be gone: its pieces go before all others. */
const READINGS_GONE = 4 * READINGS_KEPT;

export interface PieceShape {
  /** Values a row; D. */
  readonly features: number;
  /** Rows of a piece, and of how many of them, from the first on, the time is kept. */
  readonly rows: number;
  readonly timed: number;
}

/** The tensors of as many pieces as find room. */
export function pieceLayout({ features, rows, timed }: PieceShape): StateLayout {
  const bytes = 4 * rows * features + 8 * timed;
  const pieces = Math.max(PIECES_MIN, Math.min(PIECES_MAX, Math.floor(BYTES_MAX / bytes)));
  return {
    float32: { pieces: [pieces, rows, features] },
    float64: { pieceTimes: [pieces, timed], owners: [pieces], born: [pieces] },
  };
}

export class PieceStore {
  readonly #values: Float32Array;
  readonly #times: Float64Array;
  /** By place: the number of the stream that the piece is of, 0 where there is none yet; and when it came, in readings of all. */
  readonly #owners: Float64Array;
  readonly #born: Float64Array;
  #count = 0;

  /** `state` has the tensors of `pieceLayout`. */
  constructor(state: OnlineState) {
    this.#values = state.view32("pieces");
    this.#times = state.view64("pieceTimes");
    this.#owners = state.view64("owners");
    this.#born = state.view64("born");
  }

  get count(): number {
    return this.#count;
  }

  /** A piece's rows in deviations `(rows, D)` and the times of the first `(timed)`, as views. */
  at(place: number): { readonly values: Float32Array; readonly times: Float64Array } {
    const [width, timed] = [this.#values.length / this.#owners.length, this.#times.length / this.#owners.length];
    return {
      values: this.#values.subarray(place * width, (place + 1) * width),
      times: this.#times.subarray(place * timed, (place + 1) * timed),
    };
  }

  /** The tensors have been written. */
  refresh(): void {
    this.#count = this.#owners.filter((owner) => owner !== 0).length;
  }

  /**
   * The place of a new piece, of owner `owner` among so many streams, at reading `now` of all; its values and times are the caller's to
   * write. -1 where those that are there stay.
   */
  take(owner: number, streams: number, now: number, random: Random): number {
    const place =
      this.#count < this.#owners.length ? this.#count++ : this.#replaced(owner, now - READINGS_GONE * streams, random);
    if (place < 0) return -1;
    this.#owners[place] = owner;
    this.#born[place] = now;
    return place;
  }

  /** A piece of one who is gone, else of those who have most: who is among them gives one of its own, and only now and then. */
  #replaced(owner: number, goneBefore: number, random: Random): number {
    const shares = new Map<number, number>();
    const last = new Map<number, number>();
    for (const [place, other] of this.#owners.entries()) {
      shares.set(other, (shares.get(other) ?? 0) + 1);
      last.set(other, Math.max(last.get(other) ?? 0, this.#born[place]!));
    }
    const own = shares.get(owner) ?? 0;
    const most = Math.max(...shares.values());
    const gone = Math.min(...last.values());
    if (gone < goneBefore) return this.#oneOf((other) => last.get(other) === gone, random);
    if (own < most) return this.#oneOf((other) => shares.get(other) === most, random);
    if (random.next() * READINGS_KEPT > own * READINGS_PER_PIECE) return -1;
    return this.#oneOf((other) => other === owner, random);
  }

  #oneOf(among: (owner: number) => boolean, random: Random): number {
    const places = Array.from(this.#owners.keys()).filter((place) => among(this.#owners[place]!));
    return places[Math.floor(random.next() * places.length)]!;
  }
}
