// What a payload says, before anyone judged it: readings in the order of the message.

/** Who the device says it is. A device without a boot counter and sequence numbers has none. */
export interface Identity {
  /** 1, 2, ... over restarts. */
  readonly boot: number;
  /** Random per boot, never 0. */
  readonly nonce: number;
}

/** The readings of one message for one stream, in the features' configured order. */
export interface Readings {
  /** A part of the device that the topic names; undefined: the device itself. */
  readonly part: string | undefined;
  readonly identity: Identity | undefined;
  readonly count: number;
  /** `(count)`; empty without an identity. */
  readonly sequences: Float64Array;
  /** `(count)`, the device's milliseconds since 1970, NaN where it gave none. */
  readonly times: Float64Array;
  /** `(count, D)`; what stands at a missing value has no meaning. */
  readonly values: Float32Array;
  /** `(count, D)`, 1 where a value is missing; undefined where none is. */
  readonly missing: Uint8Array | undefined;
}
