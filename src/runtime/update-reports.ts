// Tells what becomes of models that come over MQTT: in the log, in counters, in the status, and retained for whoever sent them. Of each group
// the last word counts.
import type { Clock } from "../base/clock.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { Metrics } from "../base/metrics.ts";
import { updateReportTopic } from "../message/topics.ts";
import type { SignedManifest, UpdateRefused } from "../message/update-manifest.ts";
import { encodeReport } from "../message/update-report.ts";
import type { UpdateReport } from "../message/update-report.ts";
import { shortVersion } from "../model/model.ts";
import type { Announcements } from "./announcements.ts";
import type { UpdateEntry } from "./update-record.ts";

export interface UpdateReportsOptions {
  readonly node: string;
  readonly announcements: Announcements;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

type Said = Omit<UpdateReport, "time">;
/** What a report is about. */
export type About = Omit<Said, "outcome">;
/** What has become of it. */
export type Ending = Pick<UpdateEntry, "outcome" | "reason" | "why">;

const WHY_CHARACTERS_MAX = 1000;

/** What a report may say of a manifest whose signature holds. */
export function factsOfUpdate(group: string, { manifest, key, digest }: SignedManifest): About {
  const { counter, sha256, chunks } = manifest;
  return { group, manifest: digest, key, counter, version: sha256, chunks: chunks.length };
}

/** A report in words. */
export function reportText({ outcome, key, counter, version, chunks, received, why }: UpdateReport): string {
  const which = counter === undefined ? "" : `update ${counter}, signed by ${key}, version ${shortVersion(version ?? "")}: `;
  const part = outcome === "fetching" && chunks !== undefined ? `, ${received ?? 0} of ${chunks} chunks are here` : "";
  return `${which}${outcome}${part}${why === undefined ? "" : `: ${why}`}`;
}

export class UpdateReports {
  readonly #options: UpdateReportsOptions;
  readonly #last = new Map<string, UpdateReport>();
  #progressAtMs = -Infinity;

  constructor(options: UpdateReportsOptions) {
    this.#options = options;
  }

  /** The last word on a group, in words. */
  describe(group: string): string | undefined {
    const report = this.#last.get(group);
    return report === undefined ? undefined : reportText(report);
  }

  /** A model is under way; said on the wire now and then only. */
  progress(about: About): void {
    const nowMs = this.#options.clock.monotonicMs();
    const isEnd = about.received === about.chunks || about.received === 0;
    this.#note({ ...about, outcome: "fetching" }, isEnd || nowMs >= this.#progressAtMs + limits.updateReportMs);
  }

  accepted(about: About): void {
    this.#options.metrics.counter("updates_accepted").add();
    this.#options.log.info("an update is accepted and fetched", { ...about });
  }

  waits(about: About, why: string): void {
    if (this.#last.get(about.group)?.why !== why) this.#options.log.info("an update waits", { ...about, why });
    this.#note({ ...about, outcome: "waiting", why }, true);
  }

  /** It is not taken. `isTold`: whoever sent it hears of it. */
  refused(about: About, { refusal: reason, why }: Pick<UpdateRefused, "refusal" | "why">, isTold: boolean): void {
    const { log, metrics } = this.#options;
    metrics.counter("updates_refused", reason).add();
    log.warn("an update is refused", { ...about, reason, why });
    if (isTold) this.#note({ ...about, outcome: "refused", reason, why }, true);
  }

  /** It has come to an end just now. */
  ended(about: About, { outcome, reason, why = "" }: Ending): void {
    if (reason !== undefined) return this.refused(about, { refusal: reason, why }, true);
    const { log, metrics } = this.#options;
    metrics.counter("updates_in_force").add();
    log.info("an update is in force", { ...about });
    this.#note({ ...about, outcome }, true);
  }

  /** It had come to its end before, and its manifest is still there: the broker may have forgotten what was said of it. */
  settled(about: About, ending: Ending, isInForce: boolean): void {
    const { outcome, reason, why } = ending;
    if (outcome === "in force") this.#note({ ...about, outcome: isInForce ? outcome : "replaced" }, true);
    else this.#note({ ...about, outcome, ...(reason && { reason }), ...(why === undefined ? {} : { why }) }, true);
  }

  /** What was sent has been taken back. */
  forget(group: string): void {
    this.#last.delete(group);
    const { announcements, node } = this.#options;
    announcements.offer(updateReportTopic(node, group), () => new Uint8Array(0));
  }

  #note(said: Said, isSaid: boolean): void {
    const { announcements, node, clock } = this.#options;
    const report = {
      ...said,
      time: clock.wallMs(),
      ...(said.why === undefined ? {} : { why: said.why.slice(0, WHY_CHARACTERS_MAX) }),
    };
    this.#last.set(said.group, report);
    if (!isSaid) return;
    this.#progressAtMs = clock.monotonicMs();
    announcements.offer(updateReportTopic(node, said.group), () => encodeReport(report));
  }
}
