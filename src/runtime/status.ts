// What a runtime says of itself, as plain values.
import type { Metrics, MetricsSnapshot } from "../base/metrics.ts";
import type { Fold } from "../pipeline/fold.ts";
import type { Outbox } from "../pipeline/outbox.ts";
import type { StreamGroup } from "../pipeline/stream-group.ts";

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
}

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
  readonly upSeconds: number;
  readonly fold: Fold;
  readonly releasedPosition: number;
  readonly outbox: Outbox;
  readonly intakeReady: boolean;
  readonly sinkUp: boolean;
  readonly metrics: Metrics;
  readonly engineReason: (group: StreamGroup) => string;
}

export function statusOf(parts: StatusParts): Status {
  const { node, upSeconds, fold, releasedPosition, outbox } = parts;
  return {
    node,
    upSeconds,
    streams: fold.streamCount,
    groups: fold.groups.map((group) => ({
      name: group.settings.name,
      version: group.settings.version,
      configured: group.settings.configured,
      engine: group.engine.name,
      kernel: group.engine.kernel,
      engineReason: parts.engineReason(group),
      streams: group.columns.count,
    })),
    releasedPosition,
    outbox: { messages: outbox.count, bytes: outbox.bytes },
    broker: { intake: parts.intakeReady, sink: parts.sinkUp },
    metrics: parts.metrics.snapshot(),
  };
}
