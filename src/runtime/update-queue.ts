// Accepted updates, one after another: their chunks are fetched, what they make is put in force, and what came of it is written down. What is
// in the way, a full disk or a lost connection, is waited for; a process that ends goes on where it was.
import type { Clock } from "../base/clock.ts";
import type { Disk } from "../base/disk.ts";
import { diskError, HiddenstateError, reasonOf } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Log } from "../base/log.ts";
import type { Metrics } from "../base/metrics.ts";
import type { VerifyModel } from "../engine/verify-model.ts";
import { UpdateRefused } from "../message/update-manifest.ts";
import type { SignedManifest } from "../message/update-manifest.ts";
import type { PacketPort } from "../mqtt/packet-port.ts";
import { decodeModelOf } from "../onnx/decode-model.ts";
import type { StreamGroup } from "../pipeline/stream-group.ts";
import { expectFitting, expectTimely } from "./judge-update.ts";
import type { ModelSwitch } from "./model-switch.ts";
import type { UpdateRecord } from "./update-record.ts";
import { factsOfUpdate } from "./update-reports.ts";
import type { Ending, UpdateReports } from "./update-reports.ts";
import { UpdateTransfer } from "./update-transfer.ts";

export interface UpdateQueueOptions {
  /** Of each update in the queue its manifest was accepted there. */
  readonly record: UpdateRecord;
  readonly reports: UpdateReports;
  /** Of a group that there is. */
  readonly streamsOf: (group: string) => StreamGroup;
  readonly modelSwitch: Pick<ModelSwitch, "promote">;
  /** The parity measure that a model is held to before it comes into force; undefined: none. */
  readonly verifyModel: VerifyModel | undefined;
  /** Where chunks are kept. */
  readonly directory: string;
  readonly port: PacketPort;
  readonly isUp: () => boolean;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

export class UpdateQueue {
  readonly #options: UpdateQueueOptions;
  /** By group, what is not yet settled. */
  readonly #wanted = new Map<string, SignedManifest>();
  /** Groups whose turn comes later: something is in the way. */
  readonly #resting = new Set<string>();
  #current: { readonly group: string; readonly transfer: UpdateTransfer } | undefined;
  /** While an update is being put in force: takes back that it was tried. */
  #notTried: (() => Promise<void>) | undefined;
  #isBusy = false;
  #isOver = false;

  constructor(options: UpdateQueueOptions) {
    this.#options = options;
  }

  /** In place of what was wanted for the group before. */
  want(group: string, signed: SignedManifest): void {
    if (this.#wanted.get(group)?.digest === signed.digest) return;
    this.#wanted.set(group, signed);
    this.#interrupt(group);
    this.#goOn();
  }

  /** What was retained has been taken back. */
  async withdraw(group: string): Promise<void> {
    this.#wanted.delete(group);
    this.#interrupt(group);
    this.#options.reports.forget(group);
    await this.#discard(group);
  }

  /** Whether a message is a chunk that was asked for; it is taken then. */
  takes(topic: string, payload: Uint8Array): boolean {
    return this.#current?.transfer.takes(topic, payload) ?? false;
  }

  connected(): void {
    this.#current?.transfer.connected();
  }

  disconnected(): void {
    this.#current?.transfer.disconnected();
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    this.#current?.transfer.stop();
    await this.#notTried?.().catch(() => {});
  }

  #interrupt(group: string): void {
    if (this.#current?.group === group) this.#current.transfer.stop();
  }

  #pathOf(group: string): string {
    return `${this.#options.directory}/${group}.part`;
  }

  /** What cannot be removed is written over by the next. */
  #discard(group: string): Promise<void> {
    return this.#options.disk.remove(this.#pathOf(group)).catch(() => {});
  }

  #goOn(): void {
    if (this.#isBusy || this.#isOver) return;
    const next = [...this.#wanted].find(([group]) => !this.#resting.has(group));
    if (next === undefined) return;
    this.#isBusy = true;
    void this.#bring(...next).finally(() => {
      this.#isBusy = false;
      this.#goOn();
    });
  }

  async #bring(group: string, signed: SignedManifest): Promise<void> {
    try {
      if (this.#options.streamsOf(group).settings.version !== signed.manifest.sha256) {
        const bytes = await this.#fetch(group, signed);
        if (bytes === undefined || this.#wanted.get(group) !== signed || this.#isOver) return;
        await this.#putInForce(group, signed, bytes);
      }
      await this.#settle(group, signed, { outcome: "in force" });
    } catch (thrown) {
      if (this.#isOver) return;
      if (isInTheWay(thrown)) this.#rest(group, signed, reasonOf(thrown));
      else await this.#settle(group, signed, refusalOf(thrown));
    }
  }

  async #fetch(group: string, signed: SignedManifest): Promise<Uint8Array | undefined> {
    const { disk, directory, clock, reports, isUp } = this.#options;
    const { manifest } = signed;
    const said = factsOfUpdate(group, signed);
    try {
      // The chunks, and then the model among the others.
      const needed = 2 * manifest.bytes + limits.diskReserveBytes;
      if ((await disk.freeBytes(directory)) < needed) throw noRoom(needed);
      const progressed = (received: number, stalled: boolean): void => {
        if (stalled) reports.waits({ ...said, received }, "its chunks do not come; are they published?");
        else reports.progress({ ...said, received });
        if (clock.wallMs() >= manifest.expires) transfer.stop();
      };
      const path = this.#pathOf(group);
      const transfer = new UpdateTransfer({ ...this.#options, manifest, path, progressed }, isUp());
      this.#current = { group, transfer };
      const bytes = await transfer.run();
      // Whoever ended it without this has put something else in its place.
      if (this.#wanted.get(group) === signed && !this.#isOver) expectTimely(manifest, clock);
      return bytes;
    } catch (thrown) {
      throw diskError("fetch a model", thrown);
    } finally {
      this.#current = undefined;
    }
  }

  async #putInForce(group: string, { manifest, key, digest }: SignedManifest, bytes: Uint8Array): Promise<void> {
    const { modelSwitch, record, streamsOf } = this.#options;
    const { counter } = manifest;
    const { tries } = record.get(group)!;
    if (tries >= limits.updateTriesMax) throw new UpdateRefused("gave_up", `the process has ended ${tries} times over it`);
    // Only an end that nobody asked for and nothing explains leaves this standing.
    const triedTimes = (times: number): Promise<void> =>
      record.change(group, (present) => (present?.manifest === digest ? { ...present, tries: times } : undefined));
    this.#notTried = () => triedTimes(tries);
    try {
      await triedTimes(tries + 1);
      const name = `update ${counter}`;
      const model = decodeModelOf(bytes, name, manifest.sha256);
      expectFitting(model.spec, streamsOf(group));
      await this.#verify(group);
      await modelSwitch.promote(model, name, group, { unverified: true, update: { key, counter } });
    } catch (error) {
      const thrown = diskError("put a model in force", error);
      if (isInTheWay(thrown)) await this.#notTried();
      throw thrown;
    } finally {
      this.#notTried = undefined;
    }
  }

  /** Before it has a place among the models: the file with the chunks is the model's. */
  async #verify(group: string): Promise<void> {
    try {
      await this.#options.verifyModel?.(this.#pathOf(group));
    } catch (thrown) {
      const isApart = thrown instanceof HiddenstateError && thrown.code === "bad_model";
      throw new UpdateRefused(isApart ? "bad_model" : "unverified", reasonOf(thrown), thrown);
    }
  }

  async #settle(group: string, signed: SignedManifest, ending: Ending): Promise<void> {
    const { record, reports, log } = this.#options;
    if (this.#wanted.get(group) === signed) this.#wanted.delete(group);
    // Another may have been accepted meanwhile: its counter must stand.
    await record
      .change(group, (present) => (present?.manifest === signed.digest ? { ...present, ...ending } : undefined))
      .catch((thrown: unknown) => log.warn("the end of an update is not noted", { group, reason: reasonOf(thrown) }));
    await this.#discard(group);
    reports.ended(factsOfUpdate(group, signed), ending);
  }

  #rest(group: string, signed: SignedManifest, why: string): void {
    this.#options.reports.waits(factsOfUpdate(group, signed), why);
    this.#resting.add(group);
    const again = (): void => {
      this.#resting.delete(group);
      this.#goOn();
    };
    this.#options.clock.after(limits.updateRetryMs, again, { background: true });
  }
}

function noRoom(needed: number): HiddenstateError {
  return new HiddenstateError("disk_full", `cannot fetch a model: the disk has less than ${needed} bytes free`);
}

/** Nothing of the update's: a full or failing disk, or a runtime that is about to end. */
function isInTheWay(thrown: unknown): boolean {
  return thrown instanceof HiddenstateError && ["disk_full", "disk_failed", "unavailable"].includes(thrown.code);
}

function refusalOf(thrown: unknown): Ending {
  if (thrown instanceof UpdateRefused) return { outcome: "refused", reason: thrown.refusal, why: thrown.why };
  return { outcome: "refused", reason: "bad_model", why: reasonOf(thrown) };
}
