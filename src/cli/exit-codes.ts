// With which exit codes a command ends, and what each means: for --help and docs/commands.md. fail.ts says which error has which code.
import { strict as assert } from "node:assert";

const meanings = {
  0: "done",
  1: "a mistake of ours, with its stack",
  64: "the command line is mistyped, or names what cannot be used",
  65: "a model file, a message or a state cannot be used",
  66: "there is no such stream",
  69: "onnxruntime-node is needed and not installed, or the broker refuses us for good",
  70: "the disk failed",
  74: "the state is damaged",
  75: "not now: the state directory is in use, the disk is full, or nobody answers",
  78: "the config is wrong, or the state directory belongs to something else",
  130: "a signal has ended it before it was done",
} as const;

export type ExitCode = keyof typeof meanings;

interface Ending {
  readonly code: ExitCode;
  readonly meaning: string;
}

const RUN: Partial<Record<ExitCode, string>> = {
  0: "stopped by SIGTERM or SIGINT and drained, within five seconds",
  70: "the disk failed: the next start recovers",
  74: "the state is damaged, and durability.onDamage says stop",
  130: "a second signal did not want to wait",
};

/** By command: the codes beside 0, 1 and 64, and what one means there where that is something else. */
const byCommand: Readonly<
  Record<string, { readonly codes: readonly ExitCode[]; readonly own?: Partial<Record<ExitCode, string>> }>
> = {
  demo: { codes: [70, 75, 78, 130] },
  init: { codes: [65, 70, 75, 78] },
  check: { codes: [65, 69, 70, 74, 75, 78] },
  doctor: { codes: [65, 70, 78], own: { 1: "something bad was found" } },
  bench: { codes: [65, 69, 70, 75, 78, 130] },
  watch: { codes: [69, 70, 74, 75, 78, 130] },
  run: { codes: [65, 69, 70, 74, 75, 78, 130], own: RUN },
  status: { codes: [75] },
  state: { codes: [65, 66, 69, 70, 74, 75, 78] },
  models: { codes: [65, 69, 70, 74, 75, 78] },
  alarms: { codes: [65, 66, 69, 70, 74, 75, 78] },
  keys: { codes: [] },
  "publish-model": {
    codes: [65, 69, 75, 78],
    own: { 65: "the model cannot be used, or the box refuses it", 75: "nothing final was heard from the box" },
  },
  inspect: { codes: [65, 70, 74, 78], own: { 1: "something is damaged" } },
  train: { codes: [70, 75] },
  verify: { codes: [65, 69, 75], own: { 1: "the engines do not agree" } },
  proto: { codes: [] },
  record: { codes: [69, 70, 75, 78, 130] },
  simulate: { codes: [70, 75, 78], own: { 75: "the broker has not confirmed everything" } },
  completion: { codes: [] },
};

/** What every code means, by rising code. */
export const exitCodes: readonly Ending[] = Object.entries(meanings).map(([code, meaning]) => ({
  code: Number(code) as ExitCode,
  meaning,
}));

/** What a command ends with, by rising code; `isOwn`: it means something else there than elsewhere. */
export function endingsOf(command: string): readonly (Ending & { readonly isOwn: boolean })[] {
  const ending = byCommand[command];
  assert(ending !== undefined, `exit-codes.ts does not say how "${command}" ends`);
  const { codes, own = {} } = ending;
  return ([0, 1, 64, ...codes] as const).map((code) => {
    return { code, meaning: own[code] ?? meanings[code], isOwn: own[code] !== undefined };
  });
}
