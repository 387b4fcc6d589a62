// What becomes of a failed write: a full disk can be waited for; after any other failure nothing is written again, since nobody knows what
// is on the disk then.
import { strict as assert } from "node:assert";
import { HiddenstateError, isDiskFull, reasonOf } from "../base/errors.ts";

export class WriteGuard {
  readonly #directory: string;
  #failed: HiddenstateError | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Why nothing is written any more. */
  get failed(): HiddenstateError | undefined {
    return this.#failed;
  }

  /** The error to throw, now and ever after. */
  fail(thrown: unknown): HiddenstateError {
    const message = `cannot write the journal in ${this.#directory}: ${reasonOf(thrown)}`;
    return (this.#failed = new HiddenstateError("disk_failed", message, thrown));
  }

  /** Does work that writes. Throws `disk_full`, or `disk_failed` for good. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    assert(this.#failed === undefined, "a journal is not used after a failure");
    try {
      return await work();
    } catch (thrown) {
      if (thrown instanceof HiddenstateError && thrown.code === "disk_failed") throw thrown;
      if (!isDiskFull(thrown)) throw this.fail(thrown);
      throw new HiddenstateError("disk_full", `cannot write the journal in ${this.#directory}: the disk is full`, thrown);
    }
  }
}
