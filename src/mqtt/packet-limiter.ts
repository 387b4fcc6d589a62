// Cuts oversized PUBLISH packets short while their bytes stream in, before any MQTT parser has gathered them: a message of 256 MiB
// costs no more memory than one at the bound. The cut packet keeps topic, packet id and flags and loses its MQTT 5 properties, so that
// it can still be refused, counted and acked. Everything else passes as it came.

const PUBLISH = 3;
/** The fixed header's first byte and up to four bytes of length [MQTT-1.5.5-1]. */
const FIXED_HEADER_BYTES_MAX = 5;

/** A whole number of the protocol's variable length: undefined while bytes are missing. */
function readVariableInteger(bytes: Uint8Array, at: number): { value: number; length: number } | undefined {
  let value = 0;
  for (let i = 0; i < 4; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * 128 ** i;
    if (byte < 0x80) return { value, length: i + 1 };
  }
  throw new Error("malformed packet: a length of more than four bytes");
}

function variableInteger(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low | 0x80 : low);
  } while (rest > 0);
  return bytes;
}

export class PacketLimiter {
  readonly #protocol: 4 | 5;
  readonly #payloadBytesMax: number;
  readonly #emit: (bytes: Uint8Array) => void;
  /** Bytes of a header that is not yet complete. */
  #carry: Uint8Array | undefined;
  /** What is still to come of the packet at hand: dropped, then passed, then dropped. */
  #dropFirst = 0;
  #pass = 0;
  #dropLast = 0;
  /** In their order, the lengths as sent of payloads over the bound that nobody has asked for yet. */
  readonly #oversizedBytes: number[] = [];

  /** `emit` gets views into the chunks taken, in order. */
  constructor(protocol: 4 | 5, payloadBytesMax: number, emit: (bytes: Uint8Array) => void) {
    this.#protocol = protocol;
    this.#payloadBytesMax = payloadBytesMax;
    this.#emit = emit;
  }

  /** How long the next payload was that arrives over the bound: to be asked for once for each, in their order. */
  takeOversizedBytes(): number | undefined {
    return this.#oversizedBytes.shift();
  }

  /** Throws where the bytes are no MQTT, or where a packet other than a PUBLISH is oversized. */
  take(chunk: Uint8Array): void {
    const bytes = this.#carry === undefined ? chunk : Buffer.concat([this.#carry, chunk]);
    this.#carry = undefined;
    let from = 0;
    let at = 0;
    const flush = (): void => {
      if (at > from) this.#emit(bytes.subarray(from, at));
    };
    while (at < bytes.length) {
      const left = bytes.length - at;
      if (this.#pass > 0 && this.#dropFirst === 0) {
        const count = Math.min(left, this.#pass);
        this.#pass -= count;
        at += count;
      } else if (this.#dropFirst + this.#dropLast > 0) {
        flush();
        at = from = at + this.#drop(left);
      } else {
        const header = this.#header(bytes, at);
        if (header === undefined) {
          flush();
          this.#carry = bytes.slice(at);
          return;
        }
        if (header.replaced !== undefined) {
          flush();
          this.#emit(header.replaced);
          from = at + header.length;
        }
        at += header.length;
      }
    }
    flush();
  }

  #drop(available: number): number {
    const first = this.#dropFirst > 0;
    const count = Math.min(available, first ? this.#dropFirst : this.#dropLast);
    if (first) this.#dropFirst -= count;
    else this.#dropLast -= count;
    return count;
  }

  /** Reads a packet's header: its length in bytes, and what stands in its place. Undefined while bytes are missing. */
  #header(bytes: Uint8Array, at: number): { length: number; replaced?: Uint8Array } | undefined {
    const remaining = readVariableInteger(bytes, at + 1);
    if (remaining === undefined) {
      if (bytes.length - at > FIXED_HEADER_BYTES_MAX) throw new Error("malformed packet: its length does not end");
      return undefined;
    }
    const fixed = 1 + remaining.length;
    if (remaining.value <= this.#payloadBytesMax) {
      this.#pass = remaining.value;
      return { length: fixed };
    }
    const first = bytes[at]!;
    if (first >> 4 !== PUBLISH) throw new Error(`a packet of type ${first >> 4} with ${remaining.value} bytes`);
    return this.#oversized(bytes, at, fixed, remaining.value);
  }

  #oversized(
    bytes: Uint8Array,
    at: number,
    fixed: number,
    remaining: number,
  ): { length: number; replaced: Uint8Array } | undefined {
    const start = at + fixed;
    if (start + 2 > bytes.length) return undefined;
    const topicBytes = (bytes[start]! << 8) | bytes[start + 1]!;
    const hasPacketId = (bytes[at]! & 0b0110) !== 0;
    const kept = 2 + topicBytes + (hasPacketId ? 2 : 0);
    if (start + kept > bytes.length) return undefined;
    let properties = { value: 0, length: 0 };
    if (this.#protocol === 5) {
      const found = readVariableInteger(bytes, start + kept);
      if (found === undefined) return undefined;
      properties = found;
    }
    const payload = remaining - kept - properties.length - properties.value;
    if (payload < 0) throw new Error("malformed packet: its parts are longer than the whole");
    // One byte over the bound, so that whoever judges the payload's length sees it as too long.
    this.#dropFirst = properties.value;
    this.#pass = Math.min(payload, this.#payloadBytesMax + 1);
    this.#dropLast = payload - this.#pass;
    if (payload > this.#payloadBytesMax) this.#oversizedBytes.push(payload);
    const noProperties = this.#protocol === 5 ? [0] : [];
    const length = variableInteger(kept + noProperties.length + this.#pass);
    const replaced = Buffer.concat([
      Buffer.from([bytes[at]!, ...length]),
      bytes.subarray(start, start + kept),
      Buffer.from(noProperties),
    ]);
    return { length: fixed + kept + properties.length, replaced };
  }
}
