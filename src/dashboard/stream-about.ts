// What a stream is and where it stands, as plain values for the page: its model's features and outputs, its last reading, its state in
// numbers.
import { limits } from "../base/limits.ts";
import type { StateTensors, WarmUp } from "../engine/engine.ts";
import { targetsOf } from "../kernels/network-weights.ts";
import { fileModelOf } from "../model/rolled-model.ts";
import { alarmStanding } from "../pipeline/alarm-commands.ts";
import type { ListedAlarm } from "../pipeline/alarm-commands.ts";
import type { Fold } from "../pipeline/fold.ts";
import type { StreamGroup } from "../pipeline/stream-group.ts";

export interface NamedUnit {
  readonly name: string;
  readonly unit: string;
}

/** An output that is shown: the place of its feature among those shown, and how many readings ahead it looks. */
export interface ShownOutput extends NamedUnit {
  readonly feature: number;
  readonly horizon: number;
  /** The place of the output that is its standard deviation, -1 without one. */
  readonly deviation: number;
}

export interface StreamAbout {
  readonly stream: string;
  readonly group: string;
  readonly task: "forecast" | "classify";
  readonly features: readonly NamedUnit[];
  /** Of a classifier its classes, with no feature. */
  readonly outputs: readonly ShownOutput[];
  /** Beyond those shown. */
  readonly moreFeatures: number;
  readonly moreOutputs: number;
  readonly scored: boolean;
  readonly model: string;
  readonly version: string;
  readonly engine: string;
  readonly kernel: string;
}

/** Which features and outputs of a group's model are shown, by their place in a reading. */
export interface Shown {
  readonly features: readonly number[];
  readonly outputs: readonly number[];
}

/** Forecast features first; not more than a page can show. */
export function shownOf({ model }: StreamGroup): Shown {
  const { features, outputs } = model.spec;
  const forecast = outputs.map(({ feature }) => features.findIndex(({ name }) => name === feature)).filter((d) => d >= 0);
  const all = new Set([...forecast, ...features.keys()]);
  return {
    features: [...all].slice(0, limits.dashboardValuesMax),
    outputs: [...outputs.keys()].slice(0, limits.dashboardValuesMax),
  };
}

export function aboutOf(stream: string, group: StreamGroup): StreamAbout {
  const { spec } = group.model;
  const shown = shownOf(group);
  const targets = targetsOf(spec.head.kind, spec.outputs.length);
  const features = shown.features.map((d) => ({ name: spec.features[d]!.name, unit: spec.features[d]!.unit }));
  const outputs = shown.outputs
    .filter((o) => spec.task === "classify" || o < targets)
    .map((o): ShownOutput => {
      const { name, unit, feature, horizon = 1 } = spec.outputs[o]!;
      const deviation = spec.head.kind === "gaussian" ? shown.outputs.indexOf(targets + o) : -1;
      return { name, unit, horizon, deviation, feature: features.findIndex((one) => one.name === feature) };
    });
  return {
    stream,
    group: group.settings.name,
    task: spec.task,
    features,
    outputs,
    moreFeatures: spec.features.length - shown.features.length,
    moreOutputs: spec.outputs.length - shown.outputs.length,
    scored: group.scores !== undefined,
    model: spec.name,
    version: group.settings.version,
    engine: group.engine.name,
    kernel: group.engine.kernel,
  };
}

/** A state tensor in four numbers. */
export interface TensorFacts {
  readonly name: string;
  readonly count: number;
  /** The root of the sum of squares, and the greatest magnitude. */
  readonly norm: number;
  readonly most: number;
}

/** Of a network's own state: a model that is rolled forward keeps its forecasts beside it. */
function tensorFacts(state: StateTensors, { model }: StreamGroup): TensorFacts[] {
  return fileModelOf(model).spec.states.map(({ name }) => {
    const values = state[name]!;
    let [squares, most] = [0, 0];
    for (const value of values) {
      squares += value * value;
      most = Math.max(most, Math.abs(value));
    }
    return { name, count: values.length, norm: Math.sqrt(squares), most };
  });
}

export interface StreamNow {
  readonly steps: number;
  /** 0 without identity. */
  readonly boot: number;
  readonly sequence: number;
  readonly time: number;
  readonly receivedAt: number;
  /** Between readings, as the stream has it; 0 where that is not known. */
  readonly intervalMs: number;
  /** Readings that wait for others before them. */
  readonly held: number;
  /** One is open and not muted. */
  readonly alarm: boolean;
  /** How its alarms stand; absent where it had none and is not muted. */
  readonly alarms: ListedAlarm | undefined;
  /** Of its group: how many alarms a week it may raise where nothing is wrong. Absent without scores. */
  readonly budget: number | undefined;
  /** How far it has come with a network of its own, or of its group's; absent on a given model. */
  readonly warmUp: WarmUp | undefined;
  /** How far the network of the group has come; absent where it has none. */
  readonly groupWarmUp: WarmUp | undefined;
  /** Of its network; nothing of one that learns, whose state is all that it has seen. */
  readonly state: readonly TensorFacts[];
}

/** Undefined where there is no such stream. */
export function nowOf(fold: Fold, stream: string): StreamNow | undefined {
  const ref = fold.find(stream);
  if (ref === undefined) return undefined;
  const { group, row } = ref;
  const { columns } = group;
  const warmUp = group.engine.warmUp?.(columns.slot[row]!);
  return {
    steps: columns.steps[row]!,
    boot: columns.boot[row]!,
    sequence: columns.sequence[row]!,
    time: columns.time[row]!,
    receivedAt: columns.receivedAt[row]!,
    intervalMs: columns.medianInterval(row),
    held: group.held.of(row).length,
    alarm: group.scores?.isRaised(row) ?? false,
    alarms: alarmStanding(ref),
    budget: group.settings.score?.falseAlarmsPerWeek,
    warmUp,
    groupWarmUp: group.engine.shared?.warmUp(),
    state: warmUp === undefined ? tensorFacts(group.readState(row), group) : [],
  };
}
