// Fetches one model, chunk by chunk, from where they are retained into a file: a few at a time, each by its own topic, so that nothing comes
// that was not asked for. The file alone says what is here already: a chunk that has the hash of the manifest is, whoever wrote it when.
import { createHash } from "node:crypto";
import type { Clock, Timer } from "../base/clock.ts";
import { readFully, writeFully } from "../base/disk.ts";
import type { Disk, DiskFile } from "../base/disk.ts";
import { limits } from "../base/limits.ts";
import type { Counter, Metrics } from "../base/metrics.ts";
import { Turns } from "../base/turns.ts";
import { updateChunkTopic } from "../message/topics.ts";
import { chunkLength, chunksOf, hashOf, UpdateRefused } from "../message/update-manifest.ts";
import type { UpdateManifest } from "../message/update-manifest.ts";
import type { PacketPort } from "../mqtt/packet-port.ts";

export interface UpdateTransferOptions {
  readonly manifest: UpdateManifest;
  /** Where chunks are kept; it may hold some from before. */
  readonly path: string;
  readonly port: Pick<PacketPort, "subscribe" | "unsubscribe">;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** So many of the chunks are here; or none has come for a while. */
  readonly progressed: (received: number, stalled: boolean) => void;
}

export class UpdateTransfer {
  readonly #options: UpdateTransferOptions;
  readonly #received: Counter;
  readonly #refused: Counter;
  /** Chunks that are not here and not asked for, in order. */
  readonly #missing: number[] = [];
  /** By topic, the chunks that are asked for. */
  readonly #asked = new Map<string, number>();
  readonly #writes = new Turns();
  #here = 0;
  #file: DiskFile | undefined;
  #isConnected: boolean;
  #isOver = false;
  #timer: Timer | undefined;
  #done: () => void = () => {};
  #failed: (thrown: unknown) => void = () => {};
  readonly #ended: Promise<void>;

  constructor(options: UpdateTransferOptions, isConnected: boolean) {
    this.#options = options;
    this.#isConnected = isConnected;
    this.#received = options.metrics.counter("update_chunks_received");
    this.#refused = options.metrics.counter("update_chunks_refused");
    this.#ended = new Promise((resolve, reject) => {
      this.#done = resolve;
      this.#failed = reject;
    });
    // A write may fail while `run` still looks, or looks no more.
    this.#ended.catch(() => {});
  }

  /**
   * Resolves with the model's bytes once all chunks are here, and with undefined after `stop`. Rejects with what the disk throws, and with
   * `UpdateRefused` where the whole is not what the manifest says.
   */
  async run(): Promise<Uint8Array | undefined> {
    const { disk, path, manifest } = this.#options;
    const file = await disk.open(path, "create");
    this.#file = file;
    try {
      if ((await file.size()) > manifest.bytes) await file.truncate(manifest.bytes);
      await this.#lookWhatIsHere(file);
      this.#goOn();
      await this.#ended;
      if (this.#isOver) return undefined;
      return await this.#whole(file);
    } finally {
      this.#isOver = true;
      this.#timer?.cancel();
      this.#forgetAsked();
      await this.#writes.take(() => file.close());
    }
  }

  stop(): void {
    this.#isOver = true;
    this.#done();
  }

  /** A new connection knows nothing of what was asked for on the old one. */
  connected(): void {
    this.#isConnected = true;
    this.#forgetAsked();
    this.#goOn();
  }

  disconnected(): void {
    this.#isConnected = false;
  }

  /** Whether a message is a chunk that was asked for; it is taken then. */
  takes(topic: string, payload: Uint8Array): boolean {
    const index = this.#asked.get(topic);
    if (index === undefined || this.#isOver) return false;
    const { manifest, port } = this.#options;
    if (payload.length !== chunkLength(manifest.bytes, index) || hashOf(payload) !== manifest.chunks[index]) {
      // Whoever else may write there has written there: the right one may come yet.
      this.#refused.add();
      return true;
    }
    this.#asked.delete(topic);
    port.unsubscribe([topic]);
    this.#received.add();
    void this.#keep(index, payload);
    return true;
  }

  async #lookWhatIsHere(file: DiskFile): Promise<void> {
    const { bytes, chunks } = this.#options.manifest;
    const chunk = new Uint8Array(limits.updateChunkBytes);
    for (const [index, hash] of chunks.entries()) {
      const wanted = chunk.subarray(0, chunkLength(bytes, index));
      const length = await readFully(file, wanted, index * limits.updateChunkBytes);
      if (length === wanted.length && hashOf(wanted) === hash) this.#here++;
      else this.#missing.push(index);
      if (this.#isOver) return;
    }
  }

  /** Read in pieces: hashing megabytes at once would keep readings waiting. */
  async #whole(file: DiskFile): Promise<Uint8Array> {
    const { manifest } = this.#options;
    const bytes = new Uint8Array(manifest.bytes);
    const hash = createHash("sha256");
    for (const chunk of chunksOf(bytes)) {
      await readFully(file, chunk, chunk.byteOffset);
      hash.update(chunk);
    }
    if (hash.digest("hex") === manifest.sha256) return bytes;
    throw new UpdateRefused("bad_model", "its chunks together are not the file that the manifest names");
  }

  /** Nothing of it is synced: what a power cut leaves of it is looked at again, and the whole is written anew once it is a model. */
  async #keep(index: number, payload: Uint8Array): Promise<void> {
    try {
      await this.#writes.take(() => writeFully(this.#file!, payload, index * limits.updateChunkBytes));
    } catch (thrown) {
      this.#failed(thrown);
      return;
    }
    this.#here++;
    this.#goOn();
  }

  #goOn(): void {
    if (this.#isOver || this.#file === undefined) return;
    const { manifest, progressed } = this.#options;
    progressed(this.#here, false);
    if (this.#here === manifest.chunks.length) this.#done();
    else this.#ask();
  }

  #ask(): void {
    const { manifest, port, clock } = this.#options;
    this.#timer?.cancel();
    if (!this.#isConnected) return;
    const indices = this.#missing.splice(0, limits.updateChunksAskedMax - this.#asked.size);
    const topics = indices.map((index) => updateChunkTopic(manifest.node, manifest.group, manifest.sha256, index));
    topics.forEach((topic, i) => this.#asked.set(topic, indices[i]!));
    this.#timer = clock.after(limits.updateAnswerMsMax, () => this.#pause(), { background: true });
    if (topics.length === 0) return;
    // What the broker does not grant does not come, and is asked for again.
    port.subscribe(topics.map((filter) => ({ filter, qos: 1, retained: true }))).catch(() => {});
  }

  /** None has come for a while: perhaps they are yet to be published. */
  #pause(): void {
    this.#forgetAsked();
    this.#options.progressed(this.#here, true);
    this.#timer = this.#options.clock.after(limits.updateRetryMs, () => this.#ask(), { background: true });
  }

  #forgetAsked(): void {
    if (this.#asked.size === 0) return;
    this.#options.port.unsubscribe([...this.#asked.keys()]);
    this.#missing.unshift(...this.#asked.values());
    this.#asked.clear();
  }
}
