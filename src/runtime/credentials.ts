// What a config only names and what must not stand in it: the broker's password, certificates and their keys. Nothing here is ever logged.
import { readWhole } from "../base/disk.ts";
import type { Disk } from "../base/disk.ts";
import { HiddenstateError } from "../base/errors.ts";
import type { TlsOptions } from "../mqtt/broker-socket.ts";
import type { Config } from "./config-schema.ts";

export interface Credentials {
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly tls: TlsOptions;
}

async function readText(disk: Disk, path: string, what: string): Promise<string> {
  const bytes = await readWhole(disk, path);
  if (bytes === undefined) throw new HiddenstateError("bad_config", `cannot read ${what}: there is no file ${path}`);
  return Buffer.from(bytes).toString();
}

async function passwordOf({ mqtt }: Config, disk: Disk, environment: NodeJS.ProcessEnv): Promise<string | undefined> {
  const { passwordFile, passwordEnv } = mqtt;
  if (passwordFile !== undefined) return (await readText(disk, passwordFile, "the broker's password")).split(/\r?\n/, 1)[0]!;
  if (passwordEnv === undefined) return undefined;
  const password = environment[passwordEnv];
  if (password !== undefined) return password;
  throw new HiddenstateError("bad_config", `cannot read the broker's password: the environment has no ${passwordEnv}`);
}

/** Throws `bad_config` where a file or a variable is absent. */
export async function readCredentials(config: Config, disk: Disk, environment: NodeJS.ProcessEnv): Promise<Credentials> {
  const { ca, cert, key, verify = true } = config.mqtt.tls ?? {};
  const read = async (path: string | undefined, what: string): Promise<string | undefined> =>
    path === undefined ? undefined : readText(disk, path, what);
  return {
    username: config.mqtt.username,
    password: await passwordOf(config, disk, environment),
    tls: {
      ca: await read(ca, "the certificates that the broker's is checked by"),
      cert: await read(cert, "our certificate for the broker"),
      key: await read(key, "the key of our certificate"),
      verify,
    },
  };
}
