// What a runtime has done in a thread of its own: a challenger trained, two versions judged, or drift looked for, on the readings that the
// journal of a state directory holds.

import type { PrequentialLoss } from "./prequential-loss.ts";

export interface JobSource {
  /** The journal's folder. */
  readonly journal: string;
  /** The group's place in the journal. */
  readonly group: number;
  /** Whether its readings are scored: the last of their outputs says then whether an alarm was open. */
  readonly scored: boolean;
  /** The file of the version in force. */
  readonly champion: string;
  /** Rows of the journal to learn from, about. */
  readonly rowsMax: number;
  readonly pace: {
    /** Of one core, above 0 to 1. */
    readonly cpuShare: number;
    /** Work pauses while the number in this file, thousandths of a degree Celsius, is above the bound; a file that is absent bounds nothing. */
    readonly temperatureFile: string;
    readonly temperatureMax: number;
  };
}

export type LearningJob = JobSource &
  (
    | { readonly kind: "tune"; readonly seed: number; /** Where the challenger's file goes. */ readonly out: string }
    | { readonly kind: "judge"; readonly other: string; readonly from: number }
    | { readonly kind: "drift"; readonly from: number }
  );

export interface JobResults {
  readonly tune: {
    readonly version: string;
    readonly rows: number;
    readonly epochs: number;
    readonly change: number;
    readonly trainedTo: number;
  };
  readonly judge: PrequentialLoss;
  readonly drift: { readonly detector: string | undefined };
}

export type JobKind = LearningJob["kind"];

/** Carries a job out somewhere. Rejects with the reason where it fails, or was ended by the signal. */
export type RunLearning = <K extends JobKind>(
  job: LearningJob & { readonly kind: K },
  signal: AbortSignal,
) => Promise<JobResults[K]>;
