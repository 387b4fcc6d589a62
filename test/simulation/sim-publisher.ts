// Whoever sends models to the box: one who signs them, and others who replay, forge, damage and take back what lies on the broker. What the box
// reports must be of what was signed for it, and must never go back behind what it has accepted.
import type { Random } from "../../src/base/random.ts";
import { updateChunkTopic, updateTopic } from "../../src/message/topics.ts";
import { createPrivateKeyText, parsePrivateKey } from "../../src/message/update-key.ts";
import { chunksOf, encodeManifest, hashOf, manifestOf, signManifest } from "../../src/message/update-manifest.ts";
import { decodeReport } from "../../src/message/update-report.ts";
import type { UpdateReport } from "../../src/message/update-report.ts";
import type { Model } from "../../src/model/model.ts";
import { privateKey } from "../support/update-key.ts";
import { drawModel } from "./fault-plan.ts";
import type { GroupPlan } from "./fault-plan.ts";
import type { SimBroker } from "./sim-broker.ts";
import { simModels } from "./sim-models.ts";

const REPORT_TOPIC = /^hiddenstate\/box\/update-report\/g(\d)$/;
const EXPIRES_MS = 8e15;
const stranger = parsePrivateKey(createPrivateKeyText());

type Update = Parameters<typeof manifestOf>[1];

function signed(model: Model, update: Update, key = privateKey): Uint8Array {
  return signManifest(encodeManifest(manifestOf(model, update)), key);
}

interface Sent {
  readonly model: Model;
  readonly manifest: Uint8Array;
}

export class SimPublisher {
  readonly #broker: SimBroker;
  readonly #groups: readonly GroupPlan[];
  readonly #fail: (what: string) => void;
  /** By group, what was signed for it, in order: the counters are 1, 2, ... */
  readonly #sent: Sent[][];
  readonly #digests: Map<string, number>[];
  /** By group, the highest counter that the box has said to have accepted, and the last that it has said. */
  readonly #accepted: number[];
  readonly #last: (UpdateReport | undefined)[];
  /** Reports as they were heard: one that was not confirmed before a connection was lost comes once more, and those after it too. */
  readonly #heard = new Set<string>();

  constructor(broker: SimBroker, groups: readonly GroupPlan[], fail: (what: string) => void) {
    this.#broker = broker;
    this.#groups = groups;
    this.#fail = fail;
    this.#sent = groups.map(() => []);
    this.#digests = groups.map(() => new Map());
    this.#accepted = groups.map(() => 0);
    this.#last = groups.map(() => undefined);
  }

  act(random: Random): void {
    const group = random.uint32() % this.#groups.length;
    const sent = this.#sent[group]!;
    const newest = sent.at(-1);
    const put = (payload: Uint8Array): void => this.#broker.retain(updateTopic("box", `g${group}`), payload);
    const kind = random.uint32() % 12;
    if (newest === undefined || kind < 4) return this.#sign(group, drawModel(random, this.#groups[group]!.switch));
    const { model, manifest } = newest;
    const update = { node: "box", group: `g${group}`, counter: sent.length + 100, expires: EXPIRES_MS };
    if (kind < 6) put(sent[random.uint32() % sent.length]!.manifest);
    else if (kind === 6) put(signed(model, update, stranger));
    else if (kind === 7)
      put(Buffer.concat([manifest.subarray(0, manifest.indexOf(10) + 1), encodeManifest(manifestOf(model, update))]));
    else if (kind === 8) put(signed(model, { ...update, node: "other" }));
    else if (kind === 9) put(signed(model, { ...update, expires: 1 }));
    else if (kind === 10) put(new Uint8Array(0));
    else
      this.#broker.retain(
        updateChunkTopic("box", `g${group}`, model.version, 0),
        model.bytes.map((byte, i) => byte ^ +(i === 99)),
      );
  }

  #sign(group: number, variant: number): void {
    const { model } = simModels[group]![variant]!;
    const sent = this.#sent[group]!;
    const update = { node: "box", group: `g${group}`, counter: sent.length + 1, expires: EXPIRES_MS };
    const manifest = signed(model, update);
    sent.push({ model, manifest });
    this.#digests[group]!.set(hashOf(manifest), update.counter);
    this.#put(group);
  }

  /** What was signed last, whole and as it was. */
  #put(group: number): void {
    const newest = this.#sent[group]!.at(-1);
    if (newest === undefined) return;
    const { model, manifest } = newest;
    chunksOf(model.bytes).forEach((chunk, index) =>
      this.#broker.retain(updateChunkTopic("box", `g${group}`, model.version, index), chunk),
    );
    this.#broker.retain(updateTopic("box", `g${group}`), manifest);
  }

  calmDown(): void {
    for (const group of this.#groups.keys()) this.#put(group);
  }

  /** Whether a message that leaves the box is one of its reports, which is looked at then. */
  hears(topic: string, payload: Uint8Array): boolean {
    const found = REPORT_TOPIC.exec(topic);
    if (found === null) return false;
    const group = Number(found[1]);
    const report = payload.length === 0 ? undefined : decodeReport(payload);
    this.#last[group] = report;
    const words = Buffer.from(payload).toString();
    if (report === undefined || this.#heard.has(words)) return true;
    this.#heard.add(words);
    const { manifest, outcome, reason, why } = report;
    const counter = this.#digests[group]!.get(manifest);
    if (outcome === "fetching" || outcome === "in force" || outcome === "replaced") {
      if (counter === undefined) this.#fail(`the update ${manifest} is ${outcome}, and nobody signed it`);
      else if (counter < this.#accepted[group]!) this.#fail(`update ${counter} is ${outcome} after ${this.#accepted[group]}`);
      else this.#accepted[group] = counter;
    }
    const isExpected = counter === undefined || reason === undefined || reason === "old_counter" || reason === "gave_up";
    if (!isExpected || reason === "no_record") this.#fail(`update ${counter} is refused: ${why}`);
    return true;
  }

  /** What the box has yet to say of the last that was signed; undefined where it has said all. */
  unsaid(isClockSet: boolean): string | undefined {
    for (const [group, sent] of this.#sent.entries()) {
      if (sent.length === 0) continue;
      const report = this.#last[group];
      const isOf = report !== undefined && report.manifest === hashOf(sent.at(-1)!.manifest);
      if (isOf && (report.outcome === "in force" || report.outcome === "replaced" || report.reason === "gave_up")) continue;
      if (isOf && report.outcome === "waiting" && !isClockSet) continue;
      return `update ${sent.length} of g${group}: ${JSON.stringify(report)}`;
    }
    return undefined;
  }
}
