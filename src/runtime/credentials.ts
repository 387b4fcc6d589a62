// What a config only names and what must not stand in it: the broker's password, the dashboard's token, certificates and their keys.
// Nothing here is ever logged.
import { readWhole } from "../base/disk.ts";
import type { Disk } from "../base/disk.ts";
import { HiddenstateError } from "../base/errors.ts";
import type { TlsOptions } from "../mqtt/broker-socket.ts";
import type { Config } from "./config-schema.ts";
import type { DashboardConfig } from "./dashboard-config.ts";

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

interface SecretSource {
  readonly what: string;
  readonly file: string | undefined;
  /** The name of a variable of the environment. */
  readonly variable: string | undefined;
}

async function secretOf(source: SecretSource, disk: Disk, environment: NodeJS.ProcessEnv): Promise<string | undefined> {
  const { what, file, variable } = source;
  if (file !== undefined) return (await readText(disk, file, what)).split(/\r?\n/, 1)[0]!;
  if (variable === undefined) return undefined;
  const secret = environment[variable];
  if (secret !== undefined) return secret;
  throw new HiddenstateError("bad_config", `cannot read ${what}: the environment has no ${variable}`);
}

/** Throws `bad_config` where a file or a variable is absent. */
export async function readCredentials(config: Config, disk: Disk, environment: NodeJS.ProcessEnv): Promise<Credentials> {
  const { ca, cert, key, verify = true } = config.mqtt.tls ?? {};
  const read = async (path: string | undefined, what: string): Promise<string | undefined> =>
    path === undefined ? undefined : readText(disk, path, what);
  return {
    username: config.mqtt.username,
    password: await secretOf(
      { what: "the broker's password", file: config.mqtt.passwordFile, variable: config.mqtt.passwordEnv },
      disk,
      environment,
    ),
    tls: {
      ca: await read(ca, "the certificates that the broker's is checked by"),
      cert: await read(cert, "our certificate for the broker"),
      key: await read(key, "the key of our certificate"),
      verify,
    },
  };
}

export interface DashboardSecrets {
  readonly token: string | undefined;
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
}

const TOKEN_CHARACTERS_MIN = 16;

/** Throws `bad_config` where a file or a variable is absent, or the token is so short that it could be guessed. */
export async function readDashboardSecrets(
  { tokenFile, tokenEnv, tls }: DashboardConfig,
  disk: Disk,
  environment: NodeJS.ProcessEnv,
): Promise<DashboardSecrets> {
  const token = await secretOf({ what: "the dashboard's token", file: tokenFile, variable: tokenEnv }, disk, environment);
  if (token !== undefined && token.length < TOKEN_CHARACTERS_MIN) {
    const reason = `it has ${token.length} characters, at least ${TOKEN_CHARACTERS_MIN} are needed`;
    throw new HiddenstateError("bad_config", `cannot use the dashboard's token: ${reason}; make one with: openssl rand -hex 16`);
  }
  if (tls === undefined) return { token, tls };
  const cert = await readText(disk, tls.cert, "the dashboard's certificate");
  return { token, tls: { cert, key: await readText(disk, tls.key, "the key of the dashboard's certificate") } };
}
