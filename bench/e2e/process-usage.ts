// What a process has used so far, by Linux's own books in /proc.
import { readFileSync } from "node:fs";

/** Of a tick in /proc/<pid>/stat: USER_HZ is 100 on every Linux that Node runs on. */
const TICK_MS = 10;

export interface Usage {
  readonly cpuMs: number;
  readonly rssBytes: number;
  /** The highest that `rssBytes` has been. */
  readonly rssBytesHighest: number;
}

function kib(status: string, name: string): number {
  return 1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0);
}

export function usageOf(pid: number): Usage {
  const read = (name: string): string => readFileSync(`/proc/${pid}/${name}`, "utf8");
  // The name may hold spaces and brackets; the fields after it are counted from the last bracket.
  const stat = read("stat");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const status = read("status");
  return {
    cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS,
    rssBytes: kib(status, "VmRSS"),
    rssBytesHighest: kib(status, "VmHWM"),
  };
}
