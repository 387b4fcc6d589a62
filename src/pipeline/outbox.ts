// Messages that must reach the sink's broker at least once, in the order of the journal. An entry stays until the broker has
// confirmed it; the mark is the position below which nothing is left unconfirmed.

export interface OutboundMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly retain: boolean;
}

export interface OutboxEntry extends OutboundMessage {
  /** The journal position of the event that gave it. */
  readonly position: number;
  readonly qos: 1;
}

/** What the sink sees of it. */
export interface OutboxSource {
  /** The next entry nobody has taken yet, in order. */
  next(): OutboxEntry | undefined;
  /** The broker has it. In any order, once for each entry taken. */
  confirm(entry: OutboxEntry): void;
  /** Calls back whenever entries may have become available. */
  onAvailable(callback: () => void): void;
}

interface Held extends OutboxEntry {
  confirmed: boolean;
}

/** What an entry occupies beyond its topic and payload, roughly. */
const ENTRY_OVERHEAD_BYTES = 128;
const COMPACT_AFTER = 1024;

function bytesOf(entry: OutboxEntry): number {
  return entry.topic.length + entry.payload.length + ENTRY_OVERHEAD_BYTES;
}

export class Outbox implements OutboxSource {
  readonly #bytesMax: number;
  #entries: Held[] = [];
  /** Below it everything is confirmed. */
  #head = 0;
  /** The next to hand out. */
  #cursor = 0;
  #bytes = 0;
  #mark: number;
  #released: number;
  #available: () => void = () => {};
  #room: () => void = () => {};

  /** `position` is where the journal stands: everything before it is taken as confirmed. */
  constructor(position: number, bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#mark = position;
    this.#released = position;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get count(): number {
    return this.#entries.length - this.#head;
  }

  /** At the bound nothing is dropped: whoever fills the outbox waits for `onRoom`. */
  get isFull(): boolean {
    return this.#bytes >= this.#bytesMax;
  }

  /** Every event below this position has all its messages confirmed. */
  get mark(): number {
    return this.#mark;
  }

  add(position: number, message: OutboundMessage): void {
    const entry: Held = {
      position,
      topic: message.topic,
      payload: message.payload,
      retain: message.retain,
      qos: 1,
      confirmed: false,
    };
    this.#entries.push(entry);
    this.#bytes += bytesOf(entry);
  }

  /** All messages of events below `position` have been added. */
  release(position: number): void {
    this.#released = position;
    this.#advance();
    if (this.#cursor < this.#entries.length) this.#available();
  }

  next(): OutboxEntry | undefined {
    return this.#entries[this.#cursor] === undefined ? undefined : this.#entries[this.#cursor++];
  }

  confirm(entry: OutboxEntry): void {
    const held = entry as Held;
    if (held.confirmed) return;
    held.confirmed = true;
    const wasFull = this.isFull;
    this.#bytes -= bytesOf(held);
    this.#advance();
    if (wasFull && !this.isFull) this.#room();
  }

  #advance(): void {
    while (this.#head < this.#entries.length && this.#entries[this.#head]!.confirmed) this.#head++;
    const first = this.#entries[this.#head];
    this.#mark = first === undefined ? this.#released : first.position;
    if (this.#head > COMPACT_AFTER && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#cursor -= this.#head;
      this.#head = 0;
    }
  }

  /** The entries of events below `position` that are not confirmed, in order. */
  unconfirmedBefore(position: number): OutboxEntry[] {
    const found: OutboxEntry[] = [];
    for (let i = this.#head; i < this.#entries.length && this.#entries[i]!.position < position; i++) {
      if (!this.#entries[i]!.confirmed) found.push(this.#entries[i]!);
    }
    return found;
  }

  onAvailable(callback: () => void): void {
    this.#available = callback;
    if (this.#cursor < this.#entries.length) callback();
  }

  onRoom(callback: () => void): void {
    this.#room = callback;
  }
}
