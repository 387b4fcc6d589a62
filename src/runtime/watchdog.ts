// Tells whoever watches over the process that it works: the event loop turns, and what comes in goes all the way through the pipeline and onto
// the disk. A look that finds nothing moved keeps silent, and the one who watches decides how many of those are too many.
import type { Clock, Timer } from "../base/clock.ts";
import { reasonOf } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Outbox } from "../pipeline/outbox.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";

export interface WatchdogOptions {
  readonly pipeline: Pick<Pipeline, "releasedPosition" | "drain">;
  readonly outbox: Pick<Outbox, "isFull">;
  readonly isDiskFull: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
  readonly everyMs: number;
  /** Says that all is well. */
  readonly feed: () => Promise<void>;
}

export class Watchdog {
  readonly #options: WatchdogOptions;
  #released = -1;
  /** Something that went in behind all the rest has come out since the last look. */
  #isThrough = true;
  #isUnderWay = false;
  #isFeeding = false;
  #next: Timer | undefined;

  constructor(options: WatchdogOptions) {
    this.#options = options;
    this.#look();
  }

  stop(): void {
    this.#next?.cancel();
  }

  #look(): void {
    const { clock, log, everyMs } = this.#options;
    this.#next = clock.after(everyMs, () => this.#look());
    if (this.#hasMoved()) this.#feed();
    else log.warn("nothing has moved since the last look: a step or a write to the disk takes long", { lookMs: everyMs });
    this.#probe();
  }

  #hasMoved(): boolean {
    const { pipeline, outbox, isDiskFull } = this.#options;
    const { releasedPosition } = pipeline;
    const isWorking = this.#isThrough || releasedPosition !== this.#released;
    this.#released = releasedPosition;
    this.#isThrough = false;
    // What waits for the broker or for room on the disk would wait after a new start, too.
    return isWorking || outbox.isFull || isDiskFull();
  }

  /** Follows all that has come in so far; without readings that is a pass of the pipeline and nothing else. */
  #probe(): void {
    if (this.#isUnderWay) return;
    this.#isUnderWay = true;
    void this.#options.pipeline.drain().then(() => {
      this.#isUnderWay = false;
      this.#isThrough = true;
    });
  }

  #feed(): void {
    if (this.#isFeeding) return;
    this.#isFeeding = true;
    this.#options
      .feed()
      .catch((thrown: unknown) => {
        this.#options.log.error("cannot tell the supervisor that all is well", { reason: reasonOf(thrown) });
      })
      .finally(() => {
        this.#isFeeding = false;
      });
  }
}
