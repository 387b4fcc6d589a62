// The course of learning of one group: when its model is fine-tuned, how long a challenger is held against it, when that takes its place and
// when it has to give it back. It knows the order and the gates; who trains, judges and switches is given to it. What it must not forget
// over a restart is its state, plain values.
import { reasonOf } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { PrequentialLoss } from "./prequential-loss.ts";

export interface CourseSettings {
  /** Between two fine-tunes; undefined leaves it to drift and commands. */
  readonly everyMs: number | undefined;
  /** Whether errors that grow start one. */
  readonly onDrift: boolean;
  /** Readings that nobody trained on before a challenger is judged, and again before it is trusted. */
  readonly readingsMin: number;
  /** By what part the loss must be lower; and by how much higher it may be afterwards. */
  readonly margin: number;
  /** In how many of ten stretches of that time it must be lower, so that one lucky hour decides nothing. */
  readonly winsMin: number;
  /** How far a challenger's weights may be from the champion's, see `weightChange`. */
  readonly changeMax: number;
}

export const defaultCourseSettings: CourseSettings = {
  everyMs: limits.learningEveryMs,
  onDrift: true,
  readingsMin: limits.learningReadings,
  margin: 0.02,
  winsMin: 8,
  changeMax: 0.5,
};

/** A challenger as it came from training. */
export interface Challenger {
  readonly version: string;
  readonly rows: number;
  readonly epochs: number;
  readonly change: number;
  /** It has seen nothing from this position on. */
  readonly trainedTo: number;
}

export type CourseState =
  | { readonly stage: "idle"; readonly lastAtMs: number; readonly from: number; readonly asked: boolean }
  | { readonly stage: "shadow"; readonly champion: string; readonly challenger: Challenger; readonly notBefore: number }
  | { readonly stage: "probation"; readonly champion: string; readonly from: number; readonly notBefore: number };

/** Where the journal and the wall clock stand. */
export interface CourseMoment {
  readonly position: number;
  readonly wallMs: number;
  /** The version in force. */
  readonly version: string;
}

export interface CourseActions {
  /** Trains a challenger from the champion. Throws what `fineTune` throws. */
  tune(): Promise<Challenger>;
  /** The losses of the version in force and of the other on the readings from a position on. */
  judge(other: "challenger" | "previous", from: number): Promise<PrequentialLoss>;
  /** The name of a detector that finds the champion's errors grown since a position. */
  drift(from: number): Promise<string | undefined>;
  promote(challenger: Challenger): Promise<void>;
  rollback(): Promise<void>;
}

export interface Decision {
  readonly decision: "tuned" | "not tuned" | "promoted" | "dropped" | "kept" | "rolled back" | "interrupted";
  readonly why: string;
  /** The version that it is about. */
  readonly version?: string;
  /** What it rests on, by name. */
  readonly figures: Readonly<Record<string, number>>;
}

/** Events between two looks for drift. */
const DRIFT_LOOK_EVENTS = 500;

export function beginCourse(position: number, wallMs: number): CourseState {
  return { stage: "idle", lastAtMs: wallMs, from: position, asked: false };
}

export class Course {
  readonly #settings: CourseSettings;
  readonly #actions: CourseActions;
  #state: CourseState;
  #lookedAt: number;

  constructor(settings: CourseSettings, actions: CourseActions, state: CourseState) {
    this.#settings = settings;
    this.#actions = actions;
    this.#state = state;
    this.#lookedAt = state.stage === "idle" ? state.from : 0;
  }

  get state(): CourseState {
    return this.#state;
  }

  /** A person wants a fine-tune now. Returns whether one can begin: none is under way. */
  ask(): boolean {
    if (this.#state.stage !== "idle") return false;
    this.#state = { ...this.#state, asked: true };
    return true;
  }

  /** Goes on as far as it can at this moment; returns what was decided, undefined where there was nothing to decide. */
  async go(moment: CourseMoment): Promise<Decision | undefined> {
    const state = this.#state;
    if (state.stage === "idle") return this.#idle(state, moment);
    // A person, or a rollback at the start, has put another version in force.
    if (state.champion !== moment.version) {
      this.#rest(moment);
      return { decision: "interrupted", why: "another version is in force", figures: {} };
    }
    if (moment.position < state.notBefore) return undefined;
    return state.stage === "shadow" ? this.#shadow(state, moment) : this.#probation(state, moment);
  }

  /** Whether the other model is better than the one in force, by all that is asked. */
  #isBetter({ losses, wins }: PrequentialLoss): boolean {
    const { margin, winsMin } = this.#settings;
    const [present, other] = losses as [number, number];
    return other < present * (1 - margin) && wins >= winsMin;
  }

  #rest({ position, wallMs }: CourseMoment): void {
    this.#state = beginCourse(position, wallMs);
    this.#lookedAt = position;
  }

  async #idle(state: CourseState & { stage: "idle" }, moment: CourseMoment): Promise<Decision | undefined> {
    const why = await this.#reason(state, moment);
    if (why === undefined) return undefined;
    let challenger: Challenger;
    try {
      challenger = await this.#actions.tune();
    } catch (thrown) {
      this.#rest(moment);
      return { decision: "not tuned", why: reasonOf(thrown), figures: {} };
    }
    const { version, rows, epochs, change, trainedTo } = challenger;
    const made = { version, figures: { rows, epochs, change } };
    if (!(change <= this.#settings.changeMax)) {
      this.#rest(moment);
      return { decision: "dropped", why: `its weights went further than ${this.#settings.changeMax}`, ...made };
    }
    const notBefore = trainedTo + this.#settings.readingsMin;
    this.#state = { stage: "shadow", champion: moment.version, challenger, notBefore };
    return { decision: "tuned", why, ...made };
  }

  async #reason(state: CourseState & { stage: "idle" }, { position, wallMs }: CourseMoment): Promise<string | undefined> {
    const { everyMs, onDrift } = this.#settings;
    if (state.asked) return "asked for";
    if (everyMs !== undefined && wallMs - state.lastAtMs >= everyMs) return "its time has come";
    if (!onDrift || position - this.#lookedAt < DRIFT_LOOK_EVENTS) return undefined;
    this.#lookedAt = position;
    const detector = await this.#actions.drift(state.from);
    return detector === undefined ? undefined : `errors have grown (${detector})`;
  }

  /** Undefined where too few readings have come; the next look is after some more. */
  async #judged(other: "challenger" | "previous", from: number, position: number): Promise<PrequentialLoss | undefined> {
    const loss = await this.#actions.judge(other, from);
    if (loss.readings >= this.#settings.readingsMin) return loss;
    const notBefore = position + this.#settings.readingsMin - loss.readings;
    this.#state = { ...this.#state, notBefore } as CourseState;
    return undefined;
  }

  async #shadow(state: CourseState & { stage: "shadow" }, moment: CourseMoment): Promise<Decision | undefined> {
    const { challenger } = state;
    const { margin, readingsMin, winsMin } = this.#settings;
    const judged = await this.#judged("challenger", challenger.trainedTo, moment.position);
    if (judged === undefined) return undefined;
    const { readings, losses, wins } = judged;
    const { version } = challenger;
    const made = { version, figures: { readings, championLoss: losses[0]!, challengerLoss: losses[1]!, wins } };
    const gate = `lower by ${margin * 100} % and in ${winsMin} of 10 stretches`;
    if (!this.#isBetter(judged)) {
      this.#rest(moment);
      return { decision: "dropped", why: `its loss is not ${gate}`, ...made };
    }
    try {
      await this.#actions.promote(challenger);
    } catch (thrown) {
      this.#rest(moment);
      return { decision: "dropped", why: reasonOf(thrown), ...made };
    }
    const from = moment.position;
    this.#state = { stage: "probation", champion: version, from, notBefore: from + readingsMin };
    return { decision: "promoted", why: `its loss is ${gate}`, ...made };
  }

  async #probation(state: CourseState & { stage: "probation" }, moment: CourseMoment): Promise<Decision | undefined> {
    const judged = await this.#judged("previous", state.from, moment.position);
    if (judged === undefined) return undefined;
    const { readings, losses, wins } = judged;
    const made = { version: state.champion, figures: { readings, loss: losses[0]!, previousLoss: losses[1]!, wins } };
    this.#rest(moment);
    if (!this.#isBetter(judged)) return { decision: "kept", why: "it does no worse than the one before would", ...made };
    await this.#actions.rollback();
    return { decision: "rolled back", why: "the one before would do better", ...made };
  }
}
