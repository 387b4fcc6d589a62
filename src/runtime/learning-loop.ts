// Learning beside the pipeline: now and then each group that may learn goes on with its course, one job at a time in a thread of its own.
// How far each has come lies in the state directory; a job that a stop or a crash ends is done again.
import type { Clock, Timer } from "../base/clock.ts";
import type { Disk } from "../base/disk.ts";
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { Metrics } from "../base/metrics.ts";
import type { Challenger, Course, CourseActions, CourseSettings, CourseState, Decision } from "../learn/course.ts";
import type { JobSource, RunLearning } from "../learn/learning-job.ts";
import { shortVersion } from "../model/model.ts";
import { fileModelOf } from "../model/rolled-model.ts";
import type { ModelSpec } from "../model/spec.ts";
import { requireTunable, tuningProblem } from "../model/tuning-problem.ts";
import type { Fold } from "../pipeline/fold.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { StreamGroup } from "../pipeline/stream-group.ts";
import type { Config, GroupConfig } from "./config-schema.ts";
import { loadLearning, saveLearning } from "./learning-file.ts";
import type { MadeDecision } from "./learning-file.ts";
import type { ModelShelf } from "./model-shelf.ts";
import type { ModelSwitch } from "./model-switch.ts";
import type { StateDirectory } from "./state-directory.ts";
import type { Surroundings } from "./surroundings.ts";

export interface LearningLoopOptions {
  /** By group, how it learns. */
  readonly groups: ReadonlyMap<string, Partial<CourseSettings>>;
  readonly pace: JobSource["pace"];
  /** Whether a challenger is held to the parity measure before it comes into force. */
  readonly verify: boolean;
  /** The state directory. */
  readonly directory: string;
  readonly fold: Fold;
  readonly pipeline: Pipeline;
  readonly models: ModelShelf;
  readonly modelSwitch: Pick<ModelSwitch, "promoteFile" | "rollback">;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly runLearning: RunLearning;
}

/** A group's course as the config has it. */
function courseOf({ every, drift, readings }: NonNullable<GroupConfig["learn"]>): Partial<CourseSettings> {
  return { everyMs: every === "never" ? undefined : every, onDrift: drift, readingsMin: readings };
}

/** Where a group's course stands, and what was decided on it. */
export interface LearningProgress {
  readonly stage: CourseState["stage"];
  /** The same in words. */
  readonly text: string;
  /** While one is held against the model. */
  readonly challenger?: Challenger;
  /** Readings until a challenger is judged, or one that came into force is trusted. */
  readonly readingsLeft?: number;
  /** The latest last. */
  readonly decisions: readonly MadeDecision[];
}

export class LearningLoop {
  readonly #options: LearningLoopOptions;
  readonly #file: string;
  readonly #courses = new Map<string, Course>();
  readonly #decisions = new Map<string, readonly MadeDecision[]>();
  readonly #ended = new AbortController();
  #timer: Timer | undefined;
  #isLooking = false;
  /** Whoever asks before all is read waits for it. */
  #started: Promise<void> = Promise.resolve();

  constructor(options: LearningLoopOptions) {
    this.#options = options;
    this.#file = `${options.directory}/learning.json`;
  }

  /** Reads how far each group has come, and looks now and then from there on. Does nothing where no group learns. */
  start(): Promise<void> {
    this.#started = this.#begin();
    return this.#started;
  }

  async #begin(): Promise<void> {
    const { groups, disk, directory, log } = this.#options;
    if (groups.size === 0) return;
    await disk.makeDirectory(`${directory}/learning`);
    const notes = await loadLearning(disk, this.#file, log);
    // Loaded where there is something to learn.
    const { beginCourse, Course: Opened, defaultCourseSettings } = await import("../learn/course.ts");
    for (const [name, settings] of groups) {
      const { position, wallMs } = this.#moment();
      const course = { ...defaultCourseSettings, ...settings };
      this.#courses.set(name, new Opened(course, this.#actions(name), notes[name]?.course ?? beginCourse(position, wallMs)));
      this.#decisions.set(name, notes[name]?.decisions ?? []);
    }
    await this.#save();
    this.#schedule();
  }

  /** Ends what is under way. */
  stop(): void {
    this.#timer?.cancel();
    this.#ended.abort();
  }

  /** Whether a group's model learns: not where its streams learn by themselves, each on its own. */
  #learns(group: string): boolean {
    return this.#options.groups.has(group) && this.#group(group).settings.engine !== "learning";
  }

  /** Of the model that a fine-tune of a group begins with: the one in the file, also where that is rolled forward. */
  #tuned(group: string): ModelSpec {
    return fileModelOf(this.#group(group).model).spec;
  }

  /** Whether a fine-tune of a group can come to anything. */
  tunes(group: string): boolean {
    return this.#learns(group) && tuningProblem(this.#tuned(group)) === undefined;
  }

  /** Has a fine-tune of a group begin at the next look. Throws `bad_argument` where the group is not fine-tuned or is at it already. */
  async ask(group: string): Promise<void> {
    await this.#started;
    if (!this.#learns(group)) {
      const names = [...this.#options.groups.keys()].filter((name) => this.tunes(name)).join(", ") || "none";
      throw new HiddenstateError("bad_argument", `cannot fine-tune group "${group}": it does not learn; those that do: ${names}`);
    }
    requireTunable(this.#tuned(group));
    const course = this.#courses.get(group)!;
    if (!course.ask()) {
      throw new HiddenstateError(
        "bad_argument",
        `cannot fine-tune group "${group}": ${this.progressOf(group)!.text}; it ends by itself`,
      );
    }
    await this.#save();
    this.#timer?.cancel();
    this.#look();
  }

  /** How far a group has come; undefined where its model is not fine-tuned. */
  progressOf(group: string): LearningProgress | undefined {
    const state = this.#courses.get(group)?.state;
    if (state === undefined || !this.#learns(group)) return undefined;
    const decisions = this.#decisions.get(group)!;
    const { stage } = state;
    if (state.stage === "idle") {
      const last = decisions.at(-1);
      const text = last === undefined ? "waiting for its time, or for errors to grow" : `${last.decision}: ${last.why}`;
      return { stage, text, decisions };
    }
    const readingsLeft = Math.max(0, state.notBefore - this.#moment().position);
    if (state.stage === "probation") {
      return { stage, text: `version ${shortVersion(state.champion)} is on probation`, readingsLeft, decisions };
    }
    const { challenger } = state;
    const text = `a challenger, version ${shortVersion(challenger.version)}, is held against the model; ${readingsLeft} readings to go`;
    return { stage, text, challenger, readingsLeft, decisions };
  }

  #schedule(): void {
    if (this.#ended.signal.aborted) return;
    this.#timer = this.#options.clock.after(limits.learningCheckMs, () => this.#look(), { background: true });
  }

  #look(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    void this.#goOn().finally(() => {
      this.#isLooking = false;
      this.#schedule();
    });
  }

  async #goOn(): Promise<void> {
    const { log, metrics } = this.#options;
    for (const [group, course] of this.#courses) {
      if (!this.#learns(group)) continue;
      try {
        const before = course.state;
        const decision = await course.go({ ...this.#moment(), version: this.#group(group).settings.version });
        // What a stop has ended is begun again by the next start.
        if (this.#ended.signal.aborted) return;
        if (decision !== undefined) this.#note(group, decision);
        if (course.state !== before) await this.#save();
        if (decision === undefined) continue;
        const { figures, ...said } = decision;
        metrics.counter("learning_decisions", decision.decision).add();
        log.info("learning", { group, ...said, ...figures });
      } catch (thrown) {
        if (this.#ended.signal.aborted) return;
        log.warn("learning has failed and is tried again", { group, reason: reasonOf(thrown) });
      }
    }
  }

  #note(group: string, decision: Decision): void {
    const made = { at: this.#options.clock.wallMs(), ...decision };
    this.#decisions.set(group, [...this.#decisions.get(group)!, made].slice(-limits.learningDecisionsKept));
  }

  #moment(): { readonly position: number; readonly wallMs: number } {
    return { position: this.#options.pipeline.releasedPosition, wallMs: this.#options.clock.wallMs() };
  }

  #group(name: string): StreamGroup {
    return this.#options.fold.groupOf(name)!;
  }

  #actions(name: string): CourseActions {
    const { directory, models, modelSwitch, pace, verify, runLearning } = this.#options;
    const out = `${directory}/learning/${name}.onnx`;
    const { signal } = this.#ended;
    const source = (): JobSource => {
      const { index, settings } = this.#group(name);
      const champion = models.fileOf(settings.version);
      const scored = settings.score !== undefined;
      return { journal: `${directory}/journal`, group: index, scored, champion, rowsMax: limits.learningRowsMax, pace };
    };
    return {
      tune: () => runLearning({ ...source(), kind: "tune", seed: this.#moment().position, out }, signal),
      judge: (other, from) => {
        const file = other === "challenger" ? out : models.fileOf(this.#group(name).settings.before.at(-1)!);
        return runLearning({ ...source(), kind: "judge", other: file, from }, signal);
      },
      drift: async (from) => (await runLearning({ ...source(), kind: "drift", from }, signal)).detector,
      promote: async (made: Challenger) => {
        const { version } = await modelSwitch.promoteFile(out, name, { unverified: !verify });
        if (version !== made.version) throw new HiddenstateError("bad_model", `cannot use ${out}: it is not what was judged`);
      },
      rollback: async () => void (await modelSwitch.rollback(name)),
    };
  }

  #save(): Promise<void> {
    const { disk } = this.#options;
    const notes = Array.from(this.#courses, ([name, { state }]) => {
      const decisions = [...this.#decisions.get(name)!];
      return [name, { course: state, decisions }] as const;
    });
    return saveLearning(disk, this.#file, Object.fromEntries(notes));
  }
}

/** What the config says of learning, upon the parts of a runtime. */
export function openLearning(config: Config, around: Surroundings, parts: RuntimeParts): LearningLoop {
  const { cpu, temperatureFile, temperatureMax, verify } = config.learning;
  const { state, pipeline, models: modelSwitch } = parts;
  return new LearningLoop({
    ...around,
    groups: new Map(config.groups.flatMap(({ name, learn }) => (learn === undefined ? [] : [[name, courseOf(learn)] as const]))),
    pace: { cpuShare: cpu, temperatureFile, temperatureMax },
    verify,
    directory: config.state,
    fold: state.fold,
    models: state.models,
    pipeline,
    modelSwitch,
  });
}

interface RuntimeParts {
  readonly state: StateDirectory;
  readonly pipeline: Pipeline;
  readonly models: ModelSwitch;
}
