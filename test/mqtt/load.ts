// Publishes numbered messages as fast as the broker confirms them, a hundred under way at a time. As a process of its own
// (`node load.js URL COUNT BYTES`) it leaves the memory of the process under test alone.
import { strict as assert } from "node:assert";
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { until } from "../support/until.ts";
import { bytes, openPort } from "./open-port.ts";

const WINDOW = 100;

/** Messages of `size` bytes on `in/load`, each beginning with its number in decimal, from 0, padded with zero bytes. */
export async function load(url: string, count: number, size: number, clientId = "load"): Promise<void> {
  const { port, ups } = openPort({ url, clientId, sessionExpirySeconds: 0 });
  await until("the load's port is up", () => ups.length === 1);
  await new Promise<void>((resolve, reject) => {
    let sent = 0;
    let confirmed = 0;
    const next = (): void => {
      if (sent === count) return;
      const payload = new Uint8Array(size);
      payload.set(bytes(`${sent++}`));
      port.publish({ topic: "in/load", payload, qos: 1, retain: false }, (error) => {
        if (error !== undefined) reject(error);
        else if (++confirmed === count) resolve();
        else next();
      });
    };
    for (let i = 0; i < WINDOW; i++) next();
  });
  await port.close();
}

export async function loadFromOutside(url: string, count: number, size: number): Promise<void> {
  await promisify(execFile)(process.execPath, [fileURLToPath(import.meta.url), url, `${count}`, `${size}`], { timeout: 60_000 });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , url, count, size] = process.argv;
  assert(url !== undefined, "load.js URL COUNT BYTES");
  await load(url, Number(count), Number(size));
}
