// Retained messages that say how things are, beside the outbox in which predictions wait: they are made when their turn comes, only the
// newest of a topic goes out, and after a crash they are said anew. Nothing of them is journalled.
import type { OutboxEntry, OutboxSource } from "../pipeline/outbox.ts";

/** Makes the payload of a message whose turn has come; an empty one takes back what is retained. */
export type MakePayload = () => Uint8Array;

export class Announcements implements OutboxSource {
  readonly #outbox: OutboxSource;
  readonly #waiting = new Map<string, MakePayload>();
  readonly #taken = new Set<OutboxEntry>();
  #available: () => void = () => {};

  constructor(outbox: OutboxSource) {
    this.#outbox = outbox;
  }

  /** Messages that nobody has taken yet. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Says something on a topic; what still waits to be said there is forgotten. */
  offer(topic: string, make: MakePayload): void {
    this.#waiting.delete(topic);
    this.#waiting.set(topic, make);
    this.#available();
  }

  /** What nobody has taken yet is not said any more. */
  forget(): void {
    this.#waiting.clear();
  }

  /** Predictions go first. */
  next(): OutboxEntry | undefined {
    const prediction = this.#outbox.next();
    if (prediction !== undefined) return prediction;
    const first = this.#waiting.entries().next();
    if (first.done === true) return undefined;
    const [topic, make] = first.value;
    this.#waiting.delete(topic);
    const entry: OutboxEntry = { position: 0, topic, payload: make(), retain: true, qos: 1 };
    this.#taken.add(entry);
    return entry;
  }

  confirm(entry: OutboxEntry): void {
    if (!this.#taken.delete(entry)) this.#outbox.confirm(entry);
  }

  onAvailable(callback: () => void): void {
    this.#available = callback;
    this.#outbox.onAvailable(callback);
    if (this.#waiting.size > 0) callback();
  }
}
