// The Unix socket in the state directory: whoever listens on it owns the directory, and the command line talks to it there. The kernel
// forgets a listener the moment its process dies, so a stale file is told from a living owner by connecting.
//
// Protocol: one JSON object a line; {id, method, params} is answered by {id, result} or {id, error: {code, message}}.
import { once } from "node:events";
import { constants } from "node:fs";
import { chmod, link, open, rename, rm } from "node:fs/promises";
import { createConnection, createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { HiddenstateError, reasonOf, systemCodeOf } from "../base/errors.ts";
import type { ErrorCode } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import { createSystemRandom, randomName } from "../base/random.ts";

const NAME = "control.sock";
/** sun_path of sockaddr_un, without its final zero. */
const SOCKET_PATH_BYTES_MAX = 107;
const ATTEMPTS = 5;

export type ControlHandler = (method: string, params: unknown) => Promise<unknown>;

/** Gives `use` a path to a file in `directory` that is short enough for a socket address, by way of /proc where it must be. */
async function withShortPath<T>(directory: string, name: string, use: (path: string) => Promise<T>): Promise<T> {
  const path = `${directory}/${name}`;
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX) return use(path);
  const handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return await use(`/proc/self/fd/${handle.fd}/${name}`);
  } finally {
    await handle.close();
  }
}

/** A connection to the listener, or undefined where nobody listens. */
async function connect(directory: string, name: string): Promise<Socket | undefined> {
  try {
    return await withShortPath(directory, name, async (path) => {
      const socket = createConnection(path);
      await once(socket, "connect");
      return socket;
    });
  } catch (thrown) {
    const code = systemCodeOf(thrown);
    if (code === "ECONNREFUSED" || code === "ENOENT") return undefined;
    throw new HiddenstateError("unavailable", `cannot reach the runtime of ${directory}: ${reasonOf(thrown)}`, thrown);
  }
}

/** Hands on every line; a peer that sends a longer one than any request is cut off. */
function onLines(socket: Socket, take: (line: string) => void): void {
  let rest = "";
  socket.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) take(line);
    if (rest.length > limits.controlLineCharactersMax) socket.destroy();
  });
}

async function isAlive(directory: string, name: string): Promise<boolean> {
  const socket = await connect(directory, name);
  socket?.destroy();
  return socket !== undefined;
}

export class ControlSocket {
  readonly #directory: string;
  readonly #server: Server;
  readonly #connections = new Set<Socket>();
  #handle: ControlHandler;

  private constructor(directory: string, server: Server, handle: ControlHandler) {
    this.#directory = directory;
    this.#server = server;
    this.#handle = handle;
    server.on("connection", (socket) => this.#serve(socket));
  }

  /** Takes the directory, which exists. Throws `state_in_use` where a living process has it. */
  static async open(directory: string, handle: ControlHandler): Promise<ControlSocket> {
    const temporary = `${NAME}.${randomName(createSystemRandom())}`;
    const server = createServer();
    await withShortPath(
      directory,
      temporary,
      (path) =>
        new Promise<void>((resolve, reject) => {
          server.once("error", (error) =>
            reject(
              new HiddenstateError("disk_failed", `cannot open the control socket in ${directory}: ${reasonOf(error)}`, error),
            ),
          );
          server.listen(path, resolve);
        }),
    );
    const control = new ControlSocket(directory, server, handle);
    try {
      await chmod(`${directory}/${temporary}`, 0o600);
      await control.#claim(temporary);
    } catch (thrown) {
      server.close();
      throw thrown;
    } finally {
      await rm(`${directory}/${temporary}`, { force: true });
    }
    return control;
  }

  /** Puts our socket in the name's place. `link` is atomic: of two that try, one finds the name taken. */
  async #claim(temporary: string): Promise<void> {
    const directory = this.#directory;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      try {
        await link(`${directory}/${temporary}`, `${directory}/${NAME}`);
        return;
      } catch (thrown) {
        if (systemCodeOf(thrown) !== "EEXIST") throw thrown;
      }
      if (await isAlive(directory, NAME)) break;
      // Another process may have replaced the stale file since we looked, so what was moved away is looked at again.
      const stale = `${NAME}.${randomName(createSystemRandom())}`;
      try {
        await rename(`${directory}/${NAME}`, `${directory}/${stale}`);
      } catch (thrown) {
        if (systemCodeOf(thrown) === "ENOENT") continue;
        throw thrown;
      }
      const wasAlive = await isAlive(directory, stale);
      if (wasAlive) await link(`${directory}/${stale}`, `${directory}/${NAME}`).catch(() => {});
      await rm(`${directory}/${stale}`, { force: true });
      if (wasAlive) break;
    }
    throw new HiddenstateError(
      "state_in_use",
      `cannot open the state directory ${directory}: another process is using it; stop that one, or name another directory`,
    );
  }

  /** Answers by `handle` from now on. */
  handleBy(handle: ControlHandler): void {
    this.#handle = handle;
  }

  #serve(socket: Socket): void {
    this.#connections.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#connections.delete(socket));
    onLines(socket, (line) => {
      this.#answer(line).then(
        (answer) => socket.writable && socket.write(`${JSON.stringify(answer)}\n`),
        () => socket.destroy(),
      );
    });
  }

  async #answer(line: string): Promise<unknown> {
    let id: unknown = null;
    try {
      const request = JSON.parse(line) as { id?: unknown; method?: unknown; params?: unknown };
      id = request.id ?? null;
      return { id, result: await this.#handle(String(request.method), request.params) };
    } catch (thrown) {
      const code: ErrorCode = thrown instanceof HiddenstateError ? thrown.code : "bad_argument";
      return { id, error: { code, message: reasonOf(thrown) } };
    }
  }

  /** Gives the directory back. */
  async close(): Promise<void> {
    await rm(`${this.#directory}/${NAME}`, { force: true });
    for (const socket of this.#connections) socket.destroy();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }
}

function hasEnded(): HiddenstateError {
  return new HiddenstateError("unavailable", "cannot finish the request: the runtime has ended");
}

/** A client of the runtime that owns a state directory. */
export class ControlClient {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, { resolve: (result: unknown) => void; reject: (thrown: unknown) => void }>();
  #nextId = 1;

  private constructor(socket: Socket) {
    this.#socket = socket;
    onLines(socket, (line) => {
      const answer = JSON.parse(line) as { id: number; result?: unknown; error?: { code: ErrorCode; message: string } };
      const waiting = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if (answer.error === undefined) waiting?.resolve(answer.result);
      else waiting?.reject(new HiddenstateError(answer.error.code, answer.error.message));
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      for (const { reject } of this.#waiting.values()) reject(hasEnded());
      this.#waiting.clear();
    });
  }

  /** Undefined where no process owns the directory. */
  static async connect(directory: string): Promise<ControlClient | undefined> {
    const socket = await connect(directory, NAME);
    return socket === undefined ? undefined : new ControlClient(socket);
  }

  request(method: string, params: unknown): Promise<unknown> {
    // Nothing would tell of its end any more.
    if (this.#socket.closed) return Promise.reject(hasEnded());
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#socket.write(`${JSON.stringify({ id, method, params })}\n`);
    });
  }

  close(): void {
    this.#socket.end();
  }
}
