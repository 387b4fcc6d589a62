// What a runtime says of itself, retained: that it is there, how it is doing, and which streams it has. The last will takes the first back.

const encoder = new TextEncoder();

export const BRIDGE_ONLINE = encoder.encode("online");
export const BRIDGE_OFFLINE = encoder.encode("offline");

export interface BridgeHealth {
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly upSeconds: number;
  /** Whether readings can come in. */
  readonly intakeUp: boolean;
  readonly diskFull: boolean;
  readonly streams: number;
  /** Since the start. */
  readonly readingsAccepted: number;
  readonly readingsRefused: number;
  readonly messagesRefused: number;
  /** Predictions that the broker has not confirmed. */
  readonly unconfirmed: number;
}

export interface BridgeStream {
  readonly stream: string;
  readonly group: string;
}

export function encodeHealth(health: BridgeHealth): Uint8Array {
  return encoder.encode(JSON.stringify(health));
}

/** `streams` may be a part of all there are: `count` says how many that is. */
export function encodeStreams(count: number, streams: readonly BridgeStream[]): Uint8Array {
  return encoder.encode(JSON.stringify({ count, streams }));
}
