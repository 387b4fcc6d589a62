// What a runtime says of itself, retained: that it is there, how it is doing, and which streams it has. The last will takes the first back.

const encoder = new TextEncoder();
/** A budget is said to a hundredth, which the least one is. */
const PARTS = 100;

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

export interface BridgeBudget {
  readonly stream: string;
  /** False alarms a week that are few enough. */
  readonly perWeek: number;
  /** The stream's own; else its group's. */
  readonly own: boolean;
}

export function encodeBudget({ stream, perWeek, own }: BridgeBudget): Uint8Array {
  return encoder.encode(JSON.stringify({ stream, perWeek: Math.round(perWeek * PARTS) / PARTS, own }));
}

export function encodeHealth(health: BridgeHealth): Uint8Array {
  return encoder.encode(JSON.stringify(health));
}

/** `streams` may be a part of all there are: `count` says how many that is. */
export function encodeStreams(count: number, streams: readonly BridgeStream[]): Uint8Array {
  return encoder.encode(JSON.stringify({ count, streams }));
}
