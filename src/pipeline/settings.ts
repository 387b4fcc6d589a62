// What a step depends on apart from readings and commands: the epoch's settings. They are journalled whenever they change, so that a
// replay folds old events the way they were folded when they came.
import type { Engine } from "../engine/engine.ts";
import { foreignFormat } from "../journal/foreign-format.ts";
import type { PredictionFormat } from "../message/prediction.ts";
import type { ScoreSettings } from "../score/scorer.ts";

const FORMAT = 2;

/** What a gap in the sequence, or a restart of the device, does to the hidden state; `decay`: h * exp(-dt / tau). */
export type GapPolicy =
  | { readonly policy: "carry" }
  | { readonly policy: "reset" }
  | { readonly policy: "decay"; readonly tauMs: number };

/** What stands in for a missing value: the stream's last one, the training mean, or nothing: the reading is refused. */
export type MissingPolicy = "hold" | "mean" | "refuse";

/**
 * What happens to the states of a group whose model changes: rebuilt from each stream's last readings, carried over as they are, or back to
 * the initial one.
 */
export type SwitchPolicy = "replay" | "carry" | "reset";

export interface GroupSettings {
  readonly name: string;
  /** The model file's SHA-256. */
  readonly version: string;
  /** What the config named when it last named another: for as long as it goes on naming that, what has been put in force since stays. */
  readonly configured: string;
  /** The versions in force before, oldest first: a rollback goes to the last. */
  readonly before: readonly string[];
  /** When `version` came into force, milliseconds since 1970; 0 for a group's first version, and for one that a rollback went back to. */
  readonly since: number;
  readonly engine: Engine["name"];
  readonly kernel: string;
  /** How many readings ahead the model is rolled forward, rising; absent where it runs as its file has it. */
  readonly horizons?: readonly number[];
  readonly gap: GapPolicy;
  /** `(D)`. */
  readonly missing: readonly MissingPolicy[];
  /** Consecutive readings a value is held for. */
  readonly holdReadingsMax: number;
  /**
   * Instead of that many readings, a value is held for this long, by the readings' times; and readings that lack values which nothing stands
   * in for are kept. Absent: readings are counted, and such readings are refused.
   */
  readonly holdMs?: number;
  /** Absent where readings are not scored. */
  readonly score?: ScoreSettings;
  /** Also whether streams remember their last readings: only `replay` has a use for them. */
  readonly switch: SwitchPolicy;
  readonly predictions: { readonly format: PredictionFormat; readonly latest: boolean };
}

export interface EpochSettings {
  readonly format: typeof FORMAT;
  readonly node: string;
  /** Where streams are announced to Home Assistant: those that go are taken back there. Absent: nowhere. */
  readonly homeAssistant?: string;
  /** A group's index in the journal is its place here; a group no longer configured keeps its place. */
  readonly groups: readonly GroupSettings[];
}

/** Whether two settings of a group look equally far ahead. */
export function sameHorizons({ horizons: a }: GroupSettings, { horizons: b }: GroupSettings): boolean {
  return a?.join() === b?.join();
}

export function encodeEpochSettings(settings: EpochSettings): string {
  return JSON.stringify(settings);
}

export function decodeEpochSettings(text: string): EpochSettings {
  const settings = JSON.parse(text) as EpochSettings;
  if (settings.format !== FORMAT) throw foreignFormat("settings in the journal", settings.format, FORMAT);
  return settings;
}
