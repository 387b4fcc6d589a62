// The TCP or TLS stream to a broker: without Nagle's delay, with oversized packets cut short on the way in, and with backpressure
// from the reader down to the kernel, so that a reader who stops holds the broker back. It knows nothing of MQTT beyond packet lengths.
import { connect as connectTcp, isIP } from "node:net";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import type { BrokerAddress } from "./broker-address.ts";
import { PacketLimiter } from "./packet-limiter.ts";

/** How a TLS connection is made. All is PEM text. */
export interface TlsOptions {
  /** Certificates that may sign the broker's; the system's where absent. */
  readonly ca?: string | undefined;
  /** Ours and its key, where the broker wants to know who we are. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** False: anybody may pose as the broker. For a developer's own machine. */
  readonly verify?: boolean;
}

export interface BrokerSocketOptions {
  readonly address: BrokerAddress;
  /** For `mqtts://`. */
  readonly tls: TlsOptions;
  readonly protocol: 4 | 5;
  readonly payloadBytesMax: number;
  /** The broker's machine has taken the connection: nothing is sent before the promise is kept. */
  connecting(): Promise<void>;
  /** Called whenever bytes arrive. */
  heard(): void;
}

function connect({ address: { host, port, secure }, tls }: BrokerSocketOptions): Socket {
  if (!secure) return connectTcp({ host, port, noDelay: true });
  // RFC 6066 allows no IP address as the name asked for.
  const name = isIP(host) === 0 ? { servername: host } : {};
  const { verify = true, ...own } = tls;
  return connectTls({ host, port, ...name, ...own, rejectUnauthorized: verify }).setNoDelay(true);
}

export class BrokerSocket extends Duplex {
  readonly #socket: Socket;
  readonly #limiter: PacketLimiter;
  #reached = false;
  /** Whether anything may leave, and what waits for it. */
  #open = false;
  #waiting: (() => void) | undefined;
  #discarding = false;
  /** Whether the reader still wants bytes. */
  #wanted = true;

  constructor(options: BrokerSocketOptions) {
    super({ allowHalfOpen: false });
    this.#limiter = new PacketLimiter(options.protocol, options.payloadBytesMax, (bytes) => {
      this.#wanted = this.push(bytes);
    });
    this.#socket = connect(options);
    this.#socket.on(options.address.secure ? "secureConnect" : "connect", () => {
      this.#reached = true;
      void options.connecting().then(() => this.#letOut());
    });
    this.#socket.on("data", (chunk) => {
      options.heard();
      this.#receive(chunk);
    });
    this.#socket.on("end", () => this.push(null));
    this.#socket.on("error", (error) => this.destroy(error));
    // Nothing more can come or go. What a held reader has not taken is void with the connection: the broker sends it again.
    this.#socket.on("close", () => this.destroy());
  }

  /** Whether the broker's machine took the connection, TLS included. */
  get reached(): boolean {
    return this.#reached;
  }

  /** Whether something has been sent. */
  get hasAsked(): boolean {
    return this.#open;
  }

  /** How long the next payload was that arrives over the bound: to be asked for once for each, in their order. */
  takeOversizedBytes(): number | undefined {
    return this.#limiter.takeOversizedBytes();
  }

  /** From now on input is thrown away, so that the other side's last words cannot stand in the way of ours. */
  discardInput(): void {
    this.#discarding = true;
    this.#socket.resume();
  }

  #receive(chunk: Uint8Array): void {
    if (this.#discarding) return;
    try {
      this.#limiter.take(chunk);
    } catch (thrown) {
      this.destroy(thrown instanceof Error ? thrown : new Error(String(thrown)));
      return;
    }
    if (!this.#wanted) this.#socket.pause();
  }

  override _read(): void {
    this.#wanted = true;
    this.#socket.resume();
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#send(() => this.#socket.write(chunk, done));
  }

  override _writev(chunks: { chunk: Uint8Array }[], done: (error?: Error | null) => void): void {
    // One system call for all packets of a turn: acks come in hundreds.
    this.#send(() => this.#socket.write(Buffer.concat(chunks.map(({ chunk }) => chunk)), done));
  }

  /** One write comes after the other, so there is one that waits at most. */
  #send(write: () => void): void {
    if (this.#open) write();
    else this.#waiting = write;
  }

  #letOut(): void {
    if (this.destroyed) return;
    this.#open = true;
    this.#waiting?.();
    this.#waiting = undefined;
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(() => done());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}
