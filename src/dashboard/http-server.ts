// HTTP for the dashboard: bounded connections, bodies and buffers, the same security headers on every answer, and streams of events that
// leave updates out for a browser that is too slow to take them. What is asked for and who may ask is decided above.
import { createServer } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { limits } from "../base/limits.ts";

export interface HttpRequest {
  readonly method: string;
  /** Without the slash it begins with. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  /** The address that the connection comes from, whatever a header says of others behind it; empty where it has gone. */
  readonly peer: string;
  /** The whole body. Throws `bad_argument` where it is over the bound. */
  body(): Promise<string>;
}

export interface HttpReply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

/** Server-sent events: `open` is called once the head is out. */
export interface HttpEvents {
  readonly open: (client: EventClient) => void;
}

export type HttpHandler = (request: HttpRequest) => HttpReply | HttpEvents | Promise<HttpReply | HttpEvents>;

export interface HttpServerOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  readonly handle: HttpHandler;
}

/** No script, style or connection but our own, and in no other site's frame. Frames of the same origin are allowed: an ingress uses them. */
const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
  "cache-control": "no-store",
};

/** One browser that listens. Nothing waits for it. */
export class EventClient {
  readonly #response: ServerResponse;
  readonly #onClose: (() => void)[] = [];
  #isOpen = true;

  constructor(response: ServerResponse) {
    this.#response = response;
    response.on("close", () => {
      this.#isOpen = false;
      for (const run of this.#onClose.splice(0)) run();
    });
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Returns whether it was sent: not where the browser is too far behind, or gone. */
  send(event: string, value: unknown): boolean {
    if (!this.#isOpen) return false;
    if (this.#response.writableLength > limits.dashboardBufferBytesMax) return false;
    // JSON has no line breaks of its own.
    this.#response.write(`event: ${event}\ndata: ${JSON.stringify(value)}\n\n`);
    return true;
  }

  /** Called once, when the browser has gone; at once where it has. */
  whenClosed(run: () => void): void {
    if (this.#isOpen) this.#onClose.push(run);
    else run();
  }

  close(): void {
    this.#response.destroy();
  }
}

function readBody(message: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    message.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= limits.dashboardBodyBytesMax) return chunks.push(chunk);
      reject(new HiddenstateError("bad_argument", `cannot take the request: it has over ${limits.dashboardBodyBytesMax} bytes`));
      return message.destroy();
    });
    message.on("end", () => resolve(Buffer.concat(chunks).toString()));
    message.on("error", reject);
  });
}

/** The request's own words, or undefined where its address is none. */
function requestOf(message: IncomingMessage): HttpRequest | undefined {
  const target = message.url ?? "/";
  if (!target.startsWith("/") || !URL.canParse(target, "http://localhost")) return undefined;
  const { pathname, searchParams } = new URL(target, "http://localhost");
  return {
    method: message.method ?? "GET",
    path: pathname.slice(1),
    query: searchParams,
    headers: message.headers,
    peer: message.socket.remoteAddress ?? "",
    body: () => readBody(message),
  };
}

async function respond(message: IncomingMessage, response: ServerResponse, handle: HttpHandler): Promise<void> {
  const request = requestOf(message);
  const answer =
    request === undefined ? { status: 400, body: "the address of the request cannot be read\n" } : await handle(request);
  if ("open" in answer) {
    // Proxies that buffer would hold events back.
    const headers = { ...SECURITY_HEADERS, "content-type": "text/event-stream", "x-accel-buffering": "no" };
    response.writeHead(200, headers).flushHeaders();
    return answer.open(new EventClient(response));
  }
  const bytes = Buffer.from(answer.body);
  response.writeHead(answer.status, {
    ...SECURITY_HEADERS,
    "content-type": "text/plain; charset=utf-8",
    ...answer.headers,
    "content-length": bytes.length,
  });
  response.end(message.method === "HEAD" ? undefined : bytes);
}

export class HttpServer {
  readonly #server: Server;
  readonly port: number;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  /** Throws `unavailable` where the address cannot be listened on. */
  static async listen({ host, port, tls, handle }: HttpServerOptions): Promise<HttpServer> {
    const listener = (message: IncomingMessage, response: ServerResponse): void => {
      response.on("error", () => response.destroy());
      respond(message, response, handle).catch((thrown: unknown) => {
        if (response.headersSent) return response.destroy();
        return response.writeHead(500, SECURITY_HEADERS).end(`${reasonOf(thrown)}\n`);
      });
    };
    const bounds = { headersTimeout: 10_000, requestTimeout: 30_000, maxHeaderSize: 16 * 1024 };
    const server = tls === undefined ? createServer(bounds, listener) : createTlsServer({ ...bounds, ...tls }, listener);
    server.maxConnections = limits.dashboardConnectionsMax;
    const taken = await new Promise<number>((resolve, reject) => {
      server.once("error", (error) => {
        reject(new HiddenstateError("unavailable", `cannot listen on ${host}:${port}: ${reasonOf(error)}`, error));
      });
      server.listen(port, host, () => {
        const address = server.address();
        resolve(typeof address === "object" && address !== null ? address.port : port);
      });
    });
    // A page must not keep the process from ending.
    server.unref();
    return new HttpServer(server, taken);
  }

  /** Cuts off whoever is connected. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.#server.closeAllConnections();
    await closed;
  }
}
