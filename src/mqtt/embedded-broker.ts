// A broker inside this process, for the demo and for tests: aedes, MQTT 3.1.1, everything in memory, no access control. Not for
// production: what it holds is gone with the process.
import { createServer } from "node:net";
import type { Server } from "node:net";
import { Aedes } from "aedes";
import { HiddenstateError, reasonOf } from "../base/errors.ts";

/** A broker inside this process; `url` is what clients connect to. */
export interface EmbeddedBroker {
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/** Where it listens. */
export interface EmbeddedBrokerOptions {
  /** A free one where absent. */
  readonly port?: number;
  /** Loopback where absent: whoever reaches the broker may do anything on it. */
  readonly host?: string;
}

function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      const hint = "choose another port or stop what uses it";
      reject(new HiddenstateError("unavailable", `cannot start a broker on ${host}:${port}: ${reasonOf(error)}; ${hint}`, error));
    });
    server.listen(port, host, () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}

/** Throws `unavailable` where the port is taken. */
export async function startEmbeddedBroker({ port = 0, host = "127.0.0.1" }: EmbeddedBrokerOptions = {}): Promise<EmbeddedBroker> {
  // aedes bounds the messages it is delivering over the whole broker, 100 unless told otherwise. One subscriber that holds messages back
  // would use them up, and nobody's messages would pass any more: predictions would wait for the intake. 0: no such bound.
  const aedes = await Aedes.createBroker({ concurrency: 0 });
  const server = createServer({ noDelay: true }, (socket) => aedes.handle(socket));
  let taken: number;
  try {
    taken = await listen(server, port, host);
  } catch (thrown) {
    aedes.close();
    throw thrown;
  }
  return {
    url: `mqtt://${host.includes(":") ? `[${host}]` : host}:${taken}`,
    port: taken,
    close: async () => {
      const ended = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      await new Promise<void>((resolve) => {
        aedes.close(resolve);
      });
      await ended;
    },
  };
}
