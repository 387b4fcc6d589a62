// One message as it came from the broker, together with the duty to settle it.

export interface Delivery {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** Of a payload that arrived cut, for it is too long to be read: how long it was. */
  readonly payloadBytes?: number | undefined;
  readonly qos: 0 | 1;
  /** The broker sent it before. Never by itself a reason to drop it. */
  readonly dup: boolean;
  readonly retain: boolean;
  /** 0 at QoS 0. */
  readonly packetId: number;
  /** This box's wall clock, milliseconds since 1970, and whether it could be believed. */
  readonly receivedAt: number;
  readonly clockSynced: boolean;
  /** Called once, when all that the message asks for is durable or refused for good: the ack may go. */
  settle(): void;
}
