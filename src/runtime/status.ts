// What a runtime says of itself, as plain values.
import type { Metrics, MetricsSnapshot } from "../base/metrics.ts";
import type { WarmUp } from "../engine/engine.ts";
import type { Fold } from "../pipeline/fold.ts";
import type { Outbox } from "../pipeline/outbox.ts";
import type { StreamGroup } from "../pipeline/stream-group.ts";

/** One group of the config, at this moment. */
export interface GroupStatus {
  readonly name: string;
  readonly version: string;
  /** What the config names; another was put in force where they differ. */
  readonly configured: string;
  readonly engine: string;
  readonly kernel: string;
  /** Why this engine: configured, or what was measured. */
  readonly engineReason: string;
  readonly streams: number;
  /** Streams whose alarms are muted; absent where there is none. */
  readonly muted?: number;
  /** How many alarms a week a stream may raise where nothing is wrong; absent where the group is not scored. */
  readonly budget?: number;
  /** Streams with a budget of their own; absent where there is none. */
  readonly ownBudgets?: number;
  /** How far learning has come, in words; absent where the group does not learn. */
  readonly learning?: string;
  /** What has become of the last model that came over MQTT, in words; absent where none came. */
  readonly update?: string;
}

/** What a runtime says of itself, at this moment. */
export interface Status {
  readonly node: string;
  readonly upSeconds: number;
  readonly streams: number;
  readonly groups: readonly GroupStatus[];
  /** Events that survive a crash. */
  readonly releasedPosition: number;
  readonly outbox: { readonly messages: number; readonly bytes: number };
  /** Whether readings can come in, and predictions go out. */
  readonly broker: { readonly intake: boolean; readonly sink: boolean };
  readonly metrics: MetricsSnapshot;
}

export interface StatusParts {
  readonly node: string;
  readonly wallMs: number;
  readonly upSeconds: number;
  readonly fold: Fold;
  readonly releasedPosition: number;
  readonly outbox: Outbox;
  readonly intakeReady: boolean;
  readonly sinkUp: boolean;
  readonly metrics: Metrics;
  readonly engineReason: (group: StreamGroup) => string;
  readonly learningOf: (group: StreamGroup) => string | undefined;
  readonly updateOf: (group: StreamGroup) => string | undefined;
}

/** How much a network is worth so far. */
function worthText({ readings, readingsNeeded, loss, persistenceLoss, warm }: WarmUp): string {
  if (readings < readingsNeeded) return `warming up, ${readings} of ${readingsNeeded} readings`;
  const losses = `loss ${loss.toPrecision(3)}, of the last value ${persistenceLoss.toPrecision(3)}`;
  return `${readings} readings, ${losses}${warm ? "" : ": it has yet to beat that"}`;
}

/** Of a group whose streams learn by themselves. */
function warmUpText({ engine, columns }: StreamGroup): string | undefined {
  if (engine.warmUp === undefined) return undefined;
  const streams = columns.keys.flatMap((key, row) => (key === undefined ? [] : [engine.warmUp!(columns.slot[row]!)]));
  const cold = streams.filter(({ warm }) => !warm);
  const state = `${streams.length - cold.length} of ${streams.length} streams predict`;
  if (engine.shared !== undefined) return `one network for all: ${worthText(engine.shared.warmUp())}; ${state}`;
  const least = cold.reduce((most, { readings }) => Math.max(most, readings), 0);
  const needed = cold[0]?.readingsNeeded ?? 0;
  if (cold.length === 0) return state;
  return `${state}; the others warm up, ${Math.min(least, needed)} of ${needed} readings${least >= needed ? ", and have yet to beat the last value" : ""}`;
}

export function statusOf(parts: StatusParts): Status {
  const { node, wallMs, upSeconds, fold, releasedPosition, outbox } = parts;
  return {
    node,
    upSeconds,
    streams: fold.streamCount,
    groups: fold.groups.map((group) => {
      const learning = warmUpText(group) ?? parts.learningOf(group);
      const muted = group.scores?.notes.mutedCount(wallMs) ?? 0;
      const ownBudgets = group.scores?.notes.budgetCount ?? 0;
      const budget = group.settings.score?.falseAlarmsPerWeek;
      const update = parts.updateOf(group);
      return {
        name: group.settings.name,
        version: group.settings.version,
        configured: group.settings.configured,
        engine: group.engine.name,
        kernel: group.engine.kernel,
        engineReason: parts.engineReason(group),
        streams: group.columns.count,
        ...(muted > 0 && { muted }),
        ...(budget !== undefined && { budget }),
        ...(ownBudgets > 0 && { ownBudgets }),
        ...(learning === undefined ? {} : { learning }),
        ...(update === undefined ? {} : { update }),
      };
    }),
    releasedPosition,
    outbox: { messages: outbox.count, bytes: outbox.bytes },
    broker: { intake: parts.intakeReady, sink: parts.sinkUp },
    metrics: parts.metrics.snapshot(),
  };
}
