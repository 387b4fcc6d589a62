// A TCP proxy in this process, between a client and a broker on loopback, that does to the bytes what networks do: late, slow, in slices,
// cut short, or not at all. Bytes that are only late keep their order.
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";

/** One direction of every connection. */
export interface Path {
  /** Each chunk waits this long. */
  latencyMs?: number;
  /** 0 is without bound. */
  bytesPerSecond?: number;
  /** Chunks are passed on in pieces of this many bytes at most. */
  sliceBytes?: number;
  /** Bytes are taken and passed on to nobody. */
  swallow?: boolean;
  /** Bytes wait until this is over. */
  stall?: boolean;
  /** Once this many more bytes have passed, the connection is reset in the middle of whatever they were. */
  cutAfterBytes?: number;
}

/** `refuse`: a new connection is reset at once. `silent`: it is accepted and nothing comes of it. */
export type Door = "open" | "refuse" | "silent";

class Pipe {
  readonly #path: () => Path;
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #cut: () => void;
  #queue: { readonly bytes: Buffer; readonly dueMs: number }[] = [];
  #running = false;

  constructor(from: Socket, to: Socket, path: () => Path, cut: () => void) {
    this.#from = from;
    this.#to = to;
    this.#path = path;
    this.#cut = cut;
  }

  start(): void {
    this.#from.on("data", (bytes: Buffer) => {
      if (this.#path().swallow === true) return;
      this.#queue.push({ bytes, dueMs: performance.now() + (this.#path().latencyMs ?? 0) });
      void this.#run();
    });
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    while (this.#queue.length > 0 && !this.#to.destroyed) {
      const { bytes, dueMs } = this.#queue.shift()!;
      while (performance.now() < dueMs || this.#path().stall === true) await pause(2);
      await this.#pass(bytes);
    }
    this.#running = false;
  }

  async #pass(bytes: Buffer): Promise<void> {
    const path = this.#path();
    const size = path.sliceBytes ?? (path.bytesPerSecond ? Math.max(1, Math.floor(path.bytesPerSecond / 50)) : bytes.length);
    for (let at = 0; at < bytes.length && !this.#to.destroyed; at += size) {
      let slice = bytes.subarray(at, at + size);
      if (path.cutAfterBytes !== undefined) {
        slice = slice.subarray(0, path.cutAfterBytes);
        path.cutAfterBytes -= slice.length;
      }
      this.#to.write(slice);
      if (path.cutAfterBytes === 0) {
        delete path.cutAfterBytes;
        return this.#cut();
      }
      if (path.bytesPerSecond) await pause((1000 * slice.length) / path.bytesPerSecond);
      else if (path.sliceBytes !== undefined) await new Promise(setImmediate);
    }
    // A slow reader holds the writer back.
    if (this.#to.writableNeedDrain && !this.#to.destroyed) {
      this.#from.pause();
      this.#to.once("drain", () => this.#from.resume());
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export class FaultProxy {
  readonly #server: Server;
  readonly #targetPort: number;
  readonly #sockets = new Set<Socket>();
  door: Door = "open";
  /** From the client to the broker, and back. */
  readonly up: Path = {};
  readonly down: Path = {};
  /** Connections that came in at an open door. */
  accepted = 0;
  /** Connections that came in at a closed one. */
  turnedAway = 0;

  private constructor(targetPort: number) {
    this.#targetPort = targetPort;
    this.#server = createServer((client) => this.#take(client));
  }

  static async start(targetPort: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(targetPort);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get url(): string {
    return `mqtt://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => this.#sockets.delete(socket));
  }

  #take(client: Socket): void {
    this.#keep(client);
    client.setNoDelay(true);
    if (this.door !== "open") {
      this.turnedAway++;
      if (this.door === "refuse") client.resetAndDestroy();
      else client.resume();
      return;
    }
    this.accepted++;
    const broker = connect({ port: this.#targetPort, host: "127.0.0.1", noDelay: true });
    this.#keep(broker);
    const reset = (): void => {
      client.resetAndDestroy();
      broker.resetAndDestroy();
    };
    new Pipe(client, broker, () => this.up, reset).start();
    new Pipe(broker, client, () => this.down, reset).start();
    // A side that has gone is told to the other, unless its bytes do not pass either.
    client.once("close", () => {
      if (this.up.swallow !== true) broker.destroy();
    });
    broker.once("close", () => {
      if (this.down.swallow !== true) client.destroy();
    });
  }

  /** Ends every connection: in order (FIN), or not (RST). */
  cut(how: "end" | "reset"): void {
    for (const socket of this.#sockets) {
      if (how === "end") socket.destroy();
      else socket.resetAndDestroy();
    }
  }

  /** Bytes pass as they should again; connections that were wronged are gone. */
  heal(): void {
    const wronged = [this.up, this.down].some(({ swallow }) => swallow === true) || this.door === "silent";
    this.door = "open";
    for (const path of [this.up, this.down]) for (const key of Object.keys(path) as (keyof Path)[]) delete path[key];
    if (wronged) this.cut("reset");
  }

  async close(): Promise<void> {
    this.cut("reset");
    this.#server.close();
    await once(this.#server, "close");
  }
}
