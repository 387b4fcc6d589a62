// Whether a manifest whose signature holds is taken: is it for this box, is it newer than all before it, is it in time, and would its model fit.
// It knows no connection and no file; what has come before is told to it.
import type { Clock } from "../base/clock.ts";
import { UpdateRefused } from "../message/update-manifest.ts";
import type { SignedManifest, UpdateManifest } from "../message/update-manifest.ts";
import { fileModelOf } from "../model/rolled-model.ts";
import { switchProblem } from "../model/switch-problem.ts";
import type { ModelShape } from "../model/switch-problem.ts";
import type { StreamGroup } from "../pipeline/stream-group.ts";
import type { UpdateEntry } from "./update-record.ts";

export interface UpdateFacts {
  readonly node: string;
  /** The one that the manifest's topic names. */
  readonly group: string;
  /** Undefined where there is none of that name. */
  readonly streams: StreamGroup | undefined;
  /** The last manifest that was accepted for it. */
  readonly last: UpdateEntry | undefined;
  readonly clock: Clock;
}

/**
 * `new`: to be fetched. `begun`: the same was accepted before, and is to be fetched on. `settled`: the same, and it has come to an end.
 * `clock`: what day it is is not known, so it cannot be told yet.
 */
export type UpdateVerdict = "new" | "begun" | "settled" | "clock";

/** Throws `UpdateRefused`. */
export function expectTimely({ expires }: UpdateManifest, clock: Clock): void {
  if (clock.wallMs() < expires) return;
  throw new UpdateRefused("expired", `it was to be in force before ${new Date(expires).toISOString().slice(0, 19)}Z`);
}

/** Throws `UpdateRefused`. */
export function expectFitting(shape: ModelShape, { settings, model }: StreamGroup): void {
  const problem = switchProblem(fileModelOf(model).spec, shape, settings.switch === "carry");
  if (problem !== undefined) throw new UpdateRefused("wrong_shape", problem);
}

/** Throws `UpdateRefused`. */
export function judgeUpdate({ manifest, digest }: SignedManifest, facts: UpdateFacts): UpdateVerdict {
  const { node, group, streams, last, clock } = facts;
  const meant = `${manifest.node}/${manifest.group}`;
  if (meant !== `${node}/${group}`)
    throw new UpdateRefused("elsewhere", `it is signed for ${meant}, and was sent to ${node}/${group}`);
  if (streams === undefined) throw new UpdateRefused("no_group", `the config has no group "${group}"`);
  const isSame = last?.manifest === digest;
  if (isSame && last.outcome !== "fetching") return "settled";
  if (!isSame && last !== undefined && manifest.counter <= last.counter) {
    throw new UpdateRefused("old_counter", `its counter is ${manifest.counter}, and ${last.counter} was accepted before`);
  }
  if (!clock.isSynced()) return "clock";
  expectTimely(manifest, clock);
  expectFitting(manifest.shape, streams);
  return isSame ? "begun" : "new";
}
