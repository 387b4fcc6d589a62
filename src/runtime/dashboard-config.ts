// What a config may say of the dashboard, and what it may not: a page that others could reach must be encrypted and ask who they are, or be
// reached through proxies that do both.
import { z } from "zod";
import { isLoopbackHost } from "../mqtt/broker-address.ts";
import type { Fault } from "./config-fault.ts";

const LISTEN = /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s/]+):(\d{1,5})$/;

function isAddress(text: string): boolean {
  return z.ipv4().safeParse(text).success || z.ipv6().safeParse(text).success;
}

export const dashboardSchema = z.strictObject({
  /** `host:port`, or `[address]:port`; port 0 takes a free one. */
  listen: z
    .string()
    .regex(LISTEN, "expected host:port, such as 127.0.0.1:8787 or [::1]:8787")
    .refine((text) => Number(LISTEN.exec(text)?.[2] ?? 0) < 65_536, "the port is over 65535")
    .default("127.0.0.1:8787"),
  /** A file whose first line is the token that the page and /metrics ask for, or the environment variable that holds it. */
  tokenFile: z.string().min(1).optional(),
  tokenEnv: z.string().min(1).optional(),
  /** PEM files, relative to the config: the page over https. */
  tls: z.strictObject({ cert: z.string().min(1), key: z.string().min(1) }).optional(),
  /** A proxy of yours stands in front of it and encrypts. */
  behindProxy: z.boolean().default(false),
  /** Addresses of proxies that sign people in and encrypt: only they and this machine are answered then, and they are asked for no token. */
  trustedProxies: z
    .array(z.string().refine(isAddress, "expected the address of a proxy, such as 172.30.32.2: no name, and no range"))
    .default([]),
  /** More names under which browsers may ask for it, with their port where it is not the usual one: `box.example.net`, `box.local:8787`. */
  hosts: z
    .array(z.string().regex(/^[A-Za-z0-9._-]+(:\d{1,5})?$/, "expected a host name, and :port where it needs one"))
    .default([]),
  /** Whether states can be reset and set from the page. */
  commands: z.boolean().default(false),
});

export type DashboardConfig = z.output<typeof dashboardSchema>;

export interface ListenAddress {
  /** As `net` takes it, without brackets. */
  readonly host: string;
  readonly port: number;
  /** Nobody outside this machine can reach it. */
  readonly isLoopback: boolean;
}

export function listenAddressOf({ listen }: Pick<DashboardConfig, "listen">): ListenAddress {
  const [, name, port] = LISTEN.exec(listen)!;
  const host = name!.replace(/^\[|\]$/g, "");
  return { host, port: Number(port), isLoopback: isLoopbackHost(host) };
}

/** One spelling for each address, whatever socket or person wrote it: IPv4 within IPv6 is IPv4, and a link's name is left out. */
export function plainAddress(address: string): string {
  const text = address.replace(/%.*$/, "");
  if (!text.includes(":") || !URL.canParse(`http://[${text}]`)) return text;
  const plain = new URL(`http://[${text}]`).hostname.slice(1, -1);
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(plain) ?? [];
  if (high === undefined || low === undefined) return plain;
  return [high, low].flatMap((pair) => [parseInt(pair, 16) >> 8, parseInt(pair, 16) & 255]).join(".");
}

/** Whose requests nobody in front of us has looked at, though they come from there. */
const NO_PROXY: Readonly<Record<string, string>> = {
  "127.0.0.1": "every program of this machine comes from it, a browser too: leave it out, and name its token and hosts",
  "0.0.0.0": "nothing comes from it: name the proxy's own address",
};
const SAME_IN_IPV6: Readonly<Record<string, string>> = { "::1": "127.0.0.1", "::": "0.0.0.0" };

function proxyFaults({ trustedProxies }: DashboardConfig): Fault[] {
  return trustedProxies.flatMap((text, index) => {
    const address = plainAddress(text);
    const problem = NO_PROXY[SAME_IN_IPV6[address] ?? address];
    if (problem === undefined) return [];
    return [{ path: ["dashboard", "trustedProxies", index], message: `${text} cannot be a trusted proxy: ${problem}` }];
  });
}

export function dashboardFaults(dashboard: DashboardConfig | undefined): Fault[] {
  if (dashboard === undefined) return [];
  const faults = proxyFaults(dashboard);
  const { tokenFile, tokenEnv, tls, behindProxy, trustedProxies, listen } = dashboard;
  if (tokenFile !== undefined && tokenEnv !== undefined) {
    faults.push({ path: ["dashboard", "tokenEnv"], message: "the token comes from tokenFile already; name one of them" });
  }
  if (listenAddressOf(dashboard).isLoopback || trustedProxies.length > 0) return faults;
  const add = (message: string): void => {
    faults.push({ path: ["dashboard", "listen"], message: `${listen} can be reached from other machines: ${message}` });
  };
  if (tokenFile === undefined && tokenEnv === undefined) add("name a token for it with tokenFile or tokenEnv");
  if (tls === undefined && !behindProxy) {
    add("give it a certificate with tls, or say behindProxy: true where a proxy of yours encrypts in front of it");
  }
  return faults;
}
