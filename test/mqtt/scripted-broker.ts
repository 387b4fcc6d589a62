// A broker that speaks byte by byte what a test wants it to: for what real brokers do rarely or never. It reads only what it must.
import { createServer } from "node:net";
import type { Socket } from "node:net";

export interface Received {
  /** The packet's type: 1 CONNECT, 3 PUBLISH, 4 PUBACK, 8 SUBSCRIBE, 12 PINGREQ, 14 DISCONNECT. */
  readonly type: number;
  readonly body: Buffer;
}

export interface ScriptedBroker {
  readonly url: string;
  /** How many connections it took. */
  connections(): number;
  close(): Promise<void>;
}

export const connack = (code = 0, sessionPresent = false): Buffer => Buffer.from([0x20, 2, sessionPresent ? 1 : 0, code]);
/** MQTT 5, with the bytes of its properties. */
export const connack5 = (properties: readonly number[] = [], code = 0): Buffer =>
  Buffer.from([0x20, 3 + properties.length, 0, code, properties.length, ...properties]);
export const disconnect5 = (code: number): Buffer => Buffer.from([0xe0, 1, code]);
export const puback = (packetId: number): Buffer => Buffer.from([0x40, 2, packetId >> 8, packetId & 0xff]);

/** A QoS 1 PUBLISH; `properties` (MQTT 5) stand after their one-byte length where given. */
export function publish(topic: string, packetId: number, payload: Uint8Array, properties?: readonly number[]): Buffer {
  const name = Buffer.from(topic);
  const rest = properties === undefined ? [] : [properties.length, ...properties];
  const body = Buffer.concat([
    Buffer.from([0, name.length]),
    name,
    Buffer.from([packetId >> 8, packetId & 0xff, ...rest]),
    payload,
  ]);
  return Buffer.concat([Buffer.from([0x32, ...lengthBytes(body.length)]), body]);
}

function lengthBytes(length: number): number[] {
  const bytes: number[] = [];
  for (let rest = length; bytes.length === 0 || rest > 0; rest = Math.floor(rest / 128)) {
    bytes.push(rest >= 128 ? (rest % 128) | 0x80 : rest % 128);
  }
  return bytes;
}

/** The packets at the start of `bytes`, and what is left. */
function split(bytes: Buffer): { packets: Received[]; rest: Buffer } {
  const packets: Received[] = [];
  let at = 0;
  for (;;) {
    let length = 0;
    let headerBytes = 1;
    let byte: number | undefined;
    do {
      byte = bytes[at + headerBytes];
      if (byte === undefined) return { packets, rest: bytes.subarray(at) };
      length += (byte & 0x7f) * 128 ** (headerBytes - 1);
      headerBytes++;
    } while (byte >= 0x80);
    const end = at + headerBytes + length;
    if (end > bytes.length) return { packets, rest: bytes.subarray(at) };
    packets.push({ type: bytes[at]! >> 4, body: bytes.subarray(at + headerBytes, end) });
    at = end;
  }
}

/** The version a CONNECT asks for. */
export const protocolOf = (connect: Received): number => connect.body[6]!;

/** `answer` is called for every packet, with the number of its connection, from 1. */
export async function startScriptedBroker(
  answer: (packet: Received, socket: Socket, connection: number) => void,
): Promise<ScriptedBroker> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer({ noDelay: true }, (socket) => {
    const connection = ++connections;
    sockets.add(socket);
    let rest: Buffer = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      const { packets, rest: left } = split(Buffer.concat([rest, chunk]));
      rest = left;
      for (const packet of packets) answer(packet, socket, connection);
    });
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `mqtt://127.0.0.1:${port}`,
    connections: () => connections,
    close: async () => {
      const ended = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      for (const socket of sockets) socket.destroy();
      await ended;
    },
  };
}
