// Which session of the broker the remembered packet ids belong to. Only the answer to a CONNECT tells, and a process may die, or its
// connection break, before it has that answer, while the broker has begun another session: its next answer says that there is one. So
// what is asked is journalled before, and where no outcome follows, the ids are forgotten. Then a message without identity that comes
// again may be stepped twice; otherwise one that never came before might be taken for a repetition and lost.
import type { Log } from "../base/log.ts";
import type { Counter, Metrics } from "../base/metrics.ts";
import type { SessionEvent } from "../journal/events.ts";
import type { Fold } from "./fold.ts";
import type { Ledger } from "./ledger.ts";

export interface BrokerSessionOptions {
  readonly fold: Fold;
  readonly ledger: Ledger;
  readonly metrics: Metrics;
  readonly log: Log;
}

/** What a CONNECT has come to; `kept` also where the broker refuses it, or it never left. */
export type SessionOutcome = "began" | "kept";

export class BrokerSession {
  readonly #options: BrokerSessionOptions;
  readonly #doubts: Counter;

  constructor(options: BrokerSessionOptions) {
    this.#options = options;
    this.#doubts = options.metrics.counter("session_in_doubt");
  }

  /** A connection is about to be made. Returns whether that must be on stable storage before: there are ids to be doubted. */
  asked(): boolean {
    const { fold, log } = this.#options;
    if (fold.sessionInDoubt) {
      this.#doubts.add();
      log.warn(
        "whether the broker has begun a session is not known: messages without boot and sequence that it sends again may be stepped twice",
      );
      this.#note("sessionBegan");
    }
    if (fold.weakDeliveries.size === 0) return false;
    this.#note("sessionAsked");
    return true;
  }

  answered(outcome: SessionOutcome): void {
    const { fold } = this.#options;
    if (outcome === "began" && fold.weakDeliveries.size > 0) this.#note("sessionBegan");
    if (outcome === "kept" && fold.sessionInDoubt) this.#note("sessionKept");
  }

  #note(kind: SessionEvent["kind"]): void {
    const event = { kind };
    this.#options.fold.noteSession(event);
    this.#options.ledger.push(event);
  }
}
