// What a config may say of the dashboard, and what it may not: a page that others could reach must be encrypted and ask who they are.
import { z } from "zod";
import type { Fault } from "./config-fault.ts";

const LISTEN = /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s/]+):(\d{1,5})$/;

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
  const isLoopback = host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
  return { host, port: Number(port), isLoopback };
}

export function dashboardFaults(dashboard: DashboardConfig | undefined): Fault[] {
  if (dashboard === undefined) return [];
  const faults: Fault[] = [];
  const { tokenFile, tokenEnv, tls, behindProxy, listen } = dashboard;
  if (tokenFile !== undefined && tokenEnv !== undefined) {
    faults.push({ path: ["dashboard", "tokenEnv"], message: "the token comes from tokenFile already; name one of them" });
  }
  if (listenAddressOf(dashboard).isLoopback) return faults;
  const add = (message: string): void => {
    faults.push({ path: ["dashboard", "listen"], message: `${listen} can be reached from other machines: ${message}` });
  };
  if (tokenFile === undefined && tokenEnv === undefined) add("name a token for it with tokenFile or tokenEnv");
  if (tls === undefined && !behindProxy) {
    add("give it a certificate with tls, or say behindProxy: true where a proxy of yours encrypts in front of it");
  }
  return faults;
}
