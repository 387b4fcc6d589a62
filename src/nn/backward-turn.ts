// Whose turn it is: a backward belongs to exactly one forward, because it consumes what that forward left behind.
import { HiddenstateError } from "../base/errors.ts";

export class BackwardTurn {
  readonly #layer: string;
  #began = false;
  #ready = false;

  /** `layer` is the name that errors use. */
  constructor(layer: string) {
    this.#layer = layer;
  }

  /** A forward has completed. */
  give(): void {
    this.#began = true;
    this.#ready = true;
  }

  /** Throws `unavailable` where no forward waits for its backward. */
  check(): void {
    if (this.#ready) return;
    throw new HiddenstateError(
      "unavailable",
      this.#began
        ? `cannot run ${this.#layer} backward: the last forward has had its backward; call forward again first`
        : `cannot run ${this.#layer} backward: no forward came before it; call forward first`,
    );
  }

  /** A backward begins. */
  take(): void {
    this.check();
    this.#ready = false;
  }
}
