// Models that come over MQTT, on a connection of their own: a signed manifest says what there is, its chunks are fetched, and what they make is
// put in force like any other model. What costs least is judged first: nothing is fetched before the manifest is believed, nothing is
// decoded before every byte is the one that was signed.
import { diskError, HiddenstateError, reasonOf } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { Turns } from "../base/turns.ts";
import { updatedGroupOf, updateFilter } from "../message/topics.ts";
import { trustKey } from "../message/update-key.ts";
import type { TrustedKey } from "../message/update-key.ts";
import { hashOf, openManifest, UpdateRefused } from "../message/update-manifest.ts";
import type { SignedManifest } from "../message/update-manifest.ts";
import type { InboundPacket } from "../mqtt/packet-port.ts";
import type { Fold } from "../pipeline/fold.ts";
import type { StreamGroup } from "../pipeline/stream-group.ts";
import type { Announcements } from "./announcements.ts";
import type { Config } from "./config-schema.ts";
import { judgeUpdate } from "./judge-update.ts";
import type { ModelSwitch } from "./model-switch.ts";
import type { StateDirectory } from "./state-directory.ts";
import type { Surroundings } from "./surroundings.ts";
import { UpdateQueue } from "./update-queue.ts";
import type { UpdateQueueOptions } from "./update-queue.ts";
import { UpdateRecord } from "./update-record.ts";
import { factsOfUpdate, UpdateReports } from "./update-reports.ts";
import type { About } from "./update-reports.ts";

export interface UpdatesOptions extends Omit<UpdateQueueOptions, "record" | "reports" | "streamsOf" | "isUp"> {
  readonly node: string;
  /** The config's. */
  readonly groups: ReadonlySet<string>;
  readonly keys: readonly TrustedKey[];
  readonly announcements: Announcements;
  readonly fold: Fold;
}

interface SentManifest {
  /** That its topic names. */
  readonly group: string;
  readonly payload: Uint8Array;
}

interface Accepted {
  readonly record: UpdateRecord;
  readonly queue: UpdateQueue;
}

/** Manifests for groups that there are not share one place: whoever invents names takes no memory. */
const NO_GROUP = "";

export class Updates {
  readonly #options: UpdatesOptions;
  readonly #reports: UpdateReports;
  /** Once the record has been read. */
  #accepted: Accepted | undefined;
  /** By group, the newest manifest that is not judged yet. */
  readonly #unjudged = new Map<string, SentManifest>();
  /** By group, the one that could not be judged when it came. */
  readonly #later = new Map<string, SentManifest>();
  readonly #judging = new Turns();
  #isPausing = false;
  #isUp = false;
  #isOver = false;
  /** Messages of this second. */
  #taken = 0;

  constructor(options: UpdatesOptions) {
    this.#options = options;
    this.#reports = new UpdateReports(options);
  }

  /** What has become of the last model for a group, in words; undefined where none came. */
  describe(group: string): string | undefined {
    return this.#reports.describe(group);
  }

  start(): void {
    const { port, node, log } = this.#options;
    port.open({
      up: () => {
        this.#isUp = true;
        port.subscribe([{ filter: updateFilter(node), qos: 1, retained: true }]).catch((thrown: unknown) => {
          log.warn("updates cannot be subscribed to", { reason: reasonOf(thrown) });
        });
        this.#accepted?.queue.connected();
      },
      down: () => {
        this.#isUp = false;
        this.#accepted?.queue.disconnected();
      },
      refused: (reason) => log.error("no updates can come", { reason }),
      packet: (packet) => this.#packet(packet),
    });
  }

  /** What is under way is gone on with at the next start. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all([this.#accepted?.queue.stop(), this.#options.port.close()]);
  }

  /** Throws `UpdateRefused` where there is a record that cannot be read, and what the disk throws: that may pass. */
  async #open(): Promise<Accepted> {
    const { disk, directory } = this.#options;
    try {
      await disk.makeDirectory(directory);
      const record = await UpdateRecord.load(disk, `${directory}/record.json`);
      const queue = new UpdateQueue({
        ...this.#options,
        record,
        reports: this.#reports,
        streamsOf: (group) => this.#streamsOf(group)!,
        isUp: () => this.#isUp,
      });
      return { record, queue };
    } catch (thrown) {
      const isDamaged = thrown instanceof HiddenstateError && thrown.code === "state_damaged";
      throw isDamaged ? new UpdateRefused("no_record", thrown.message, thrown) : diskError(`open ${directory}`, thrown);
    }
  }

  #after(ms: number, work: () => void): void {
    this.#options.clock.after(ms, () => this.#isOver || work(), { background: true });
  }

  #packet({ topic, payload, packetId, qos }: InboundPacket): void {
    const { port, node, groups } = this.#options;
    if (qos === 1) port.acknowledge(packetId);
    this.#bound();
    if (this.#accepted?.queue.takes(topic, payload) === true) return;
    const group = updatedGroupOf(node, topic);
    if (group === undefined) return;
    this.#unjudged.set(groups.has(group) ? group : NO_GROUP, { group, payload });
    this.#judgeSoon();
  }

  /** Whoever floods us waits in the broker; readings come on another connection. */
  #bound(): void {
    const { port } = this.#options;
    this.#taken++;
    if (this.#taken === limits.updateMessagesPerSecondMax) port.hold(true);
    if (this.#taken > 1) return;
    this.#after(1000, () => {
      if (this.#taken >= limits.updateMessagesPerSecondMax) port.hold(false);
      this.#taken = 0;
    });
  }

  /** At once, and after that no sooner than a while later. */
  #judgeSoon(): void {
    if (this.#isPausing || this.#isOver) return;
    this.#isPausing = true;
    const now = [...this.#unjudged.values()];
    this.#unjudged.clear();
    for (const sent of now) void this.#judging.take(() => this.#judge(sent));
    this.#after(limits.updateReportMs, () => {
      this.#isPausing = false;
      if (this.#unjudged.size > 0) this.#judgeSoon();
    });
  }

  #streamsOf(name: string): StreamGroup | undefined {
    if (!this.#options.groups.has(name)) return undefined;
    return this.#options.fold.groupOf(name);
  }

  async #judge(sent: SentManifest): Promise<void> {
    const { group, payload } = sent;
    if (payload.length === 0) return this.#withdraw(group);
    let signed: SignedManifest | undefined;
    const about = (): About => (signed === undefined ? { group, manifest: hashOf(payload) } : factsOfUpdate(group, signed));
    try {
      signed = openManifest(payload, this.#options.keys);
      const isJudged = await this.#consider(group, signed);
      if (!isJudged) this.#judgeLater(sent, about(), "the clock is not set");
    } catch (thrown) {
      if (!(thrown instanceof UpdateRefused)) return this.#judgeLater(sent, about(), reasonOf(thrown));
      // A name that somebody has made up is no topic of ours, unless who signs has made it up.
      this.#reports.refused(about(), thrown, signed !== undefined || this.#streamsOf(group) !== undefined);
    }
  }

  /** Whether it could be judged now. Throws `UpdateRefused`, `disk_full` or `disk_failed`. */
  async #consider(group: string, signed: SignedManifest): Promise<boolean> {
    const { node, clock } = this.#options;
    this.#accepted ??= await this.#open();
    const { record, queue } = this.#accepted;
    const last = record.get(group);
    const streams = this.#streamsOf(group);
    const verdict = judgeUpdate(signed, { node, group, streams, last, clock });
    if (verdict === "clock") return false;
    this.#later.delete(group);
    if (verdict === "settled") {
      this.#reports.settled(factsOfUpdate(group, signed), last!, streams!.settings.version === last!.version);
      return true;
    }
    if (verdict === "new") {
      const { counter, sha256: version } = signed.manifest;
      // Before anything is done for it: from now on nothing older is taken.
      const entry = { counter, manifest: signed.digest, version, outcome: "fetching", tries: 0 } as const;
      await record.change(group, () => entry);
      this.#reports.accepted(factsOfUpdate(group, signed));
    }
    queue.want(group, signed);
    return true;
  }

  /** Unless another is taken meanwhile. */
  #judgeLater(sent: SentManifest, about: About, why: string): void {
    const { group } = sent;
    this.#reports.waits(about, why);
    this.#later.set(group, sent);
    this.#after(limits.updateRetryMs, () => {
      if (this.#later.get(group) !== sent) return;
      this.#later.delete(group);
      void this.#judging.take(() => this.#judge(sent));
    });
  }

  /** What was retained has been taken back. */
  async #withdraw(group: string): Promise<void> {
    this.#later.delete(group);
    if (this.#streamsOf(group) !== undefined) await this.#accepted?.queue.withdraw(group);
  }
}

/** What the config says of updates, upon the parts of a runtime; undefined where it wants none. */
export function openUpdates(
  config: Config,
  around: Surroundings,
  parts: { readonly state: StateDirectory; readonly models: ModelSwitch },
  announcements: Announcements,
): Updates | undefined {
  const { updates, node, groups, state } = config;
  const port = around.ports.updates;
  if (updates === undefined || port === undefined) return undefined;
  return new Updates({
    ...around,
    node,
    groups: new Set(groups.map(({ name }) => name)),
    keys: Object.entries(updates.keys).map(([name, text]) => trustKey(name, text)),
    verifyModel: updates.verify ? around.verifyModel : undefined,
    directory: `${state}/updates`,
    port,
    announcements,
    fold: parts.state.fold,
    modelSwitch: parts.models,
  });
}
