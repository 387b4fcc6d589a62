// What a device means, beside the bytes in which it says so: the oracles judge by this and never decode what the runtime decodes.

export interface SimReading {
  readonly sequence: number;
  /** NaN where the device gives none. */
  readonly time: number;
  /** `(D)`. */
  readonly values: Float32Array;
  /** `(D)`, 1 where missing; undefined where none is. */
  readonly missing: Uint8Array | undefined;
}

/** What is wrong with a message as a whole. */
export type Flaw = "undecodable" | "retained" | "unknown_topic";

export interface SimReadings {
  readonly kind: "readings";
  readonly stream: string;
  readonly group: number;
  /** Undefined: the device counts nothing. */
  readonly identity: { readonly boot: number; readonly nonce: number } | undefined;
  readonly readings: readonly SimReading[];
}

export interface SimCommand {
  readonly kind: "command";
  readonly command: "rename" | "reset" | "set";
  readonly stream: string;
  readonly transaction: string;
  /** Of `rename`. */
  readonly to: string | undefined;
  /** Of `set`. */
  readonly state: Readonly<Record<string, Float32Array>> | undefined;
}

export interface SimMessage {
  /** One for each message that the broker takes: a device that sends twice makes two. */
  readonly id: number;
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1;
  readonly retain: boolean;
  readonly meaning: SimReadings | SimCommand;
  readonly flaw: Flaw | undefined;
}
