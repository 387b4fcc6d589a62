// What waits for its turn in the pipeline, in the order in which it came.
import type { Delivery } from "../message/delivery.ts";
import type { SessionOutcome } from "./broker-session.ts";
import type { Answer, CommandRequest } from "./commands.ts";
import type { EpochSettings } from "./settings.ts";

/** Settings that come into force in their turn, made from those of that moment. */
export interface Announced {
  readonly change: (present: EpochSettings) => EpochSettings;
  readonly begun: () => void;
  readonly refused: (thrown: unknown) => void;
}

/** A connection to the broker is about to be made: `noted` is called when it may. */
export interface Connecting {
  readonly noted: () => void;
}

export interface Answered {
  readonly session: SessionOutcome;
}

export interface Asked {
  readonly request: CommandRequest;
  readonly answered: (answer: Answer) => void;
  readonly refused: (thrown: unknown) => void;
}

export type Item = Delivery | Asked | Announced | Connecting | Answered;
