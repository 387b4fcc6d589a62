// `hiddenstate state ...`: what streams remember, of a running runtime through its control socket or of a stopped one on its directory.
import { readFile, writeFile } from "node:fs/promises";
import { text as textOf } from "node:stream/consumers";
import { Command } from "commander";
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import type { Answer, StreamFacts } from "../pipeline/commands.ts";
import type { ControlAccess } from "../runtime/stopped-state.ts";
import { addControlCommand, print, withControl } from "./control-command.ts";
import type { ControlOptions } from "./control-command.ts";

type Done = Extract<Answer, { ok: true }>;

interface Exported {
  readonly format: 1;
  readonly streams: readonly Pick<Done, "stream" | "facts" | "state">[];
}

/** JSON out of a file, or out of standard input where its name is `-`. */
async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(path === "-" ? await textOf(process.stdin) : await readFile(path, "utf8"));
  } catch (thrown) {
    throw new HiddenstateError(
      "bad_argument",
      `cannot read ${path === "-" ? "standard input" : path} as JSON: ${reasonOf(thrown)}`,
      thrown,
    );
  }
}

async function streamsOf(control: ControlAccess): Promise<StreamFacts[]> {
  return (await control.request("streams", {})) as StreamFacts[];
}

async function list(options: ControlOptions): Promise<void> {
  const streams = await withControl(options, streamsOf);
  if (options.json) return print(streams);
  const width = Math.max(6, ...streams.map(({ stream }) => stream.length));
  print(
    `${"stream".padEnd(width)}  ${"group".padEnd(12)}  ${"steps".padStart(9)}  ${"boot".padStart(6)}  ${"sequence".padStart(9)}  last reading`,
  );
  for (const { stream, group, steps, boot, sequence, time } of streams) {
    const columns = [
      stream.padEnd(width),
      group.padEnd(12),
      String(steps).padStart(9),
      String(boot).padStart(6),
      String(sequence).padStart(9),
    ];
    print(`${columns.join("  ")}  ${steps === 0 ? "none" : new Date(time).toISOString()}`);
  }
}

async function get(stream: string, options: ControlOptions): Promise<void> {
  const { facts, state } = (await withControl(options, (control) => control.request("get", { stream }))) as Done;
  print({ stream, facts, state });
}

async function set(stream: string, path: string, options: ControlOptions): Promise<void> {
  const given = await readJson(path);
  // What `get` prints is taken back as it is.
  const state = typeof given === "object" && given !== null && "state" in given ? given.state : given;
  await withControl(options, (control) => control.request("set", { stream, state }));
  print(options.json ? { ok: true, stream } : `the state of "${stream}" is set`);
}

async function reset(stream: string, options: ControlOptions): Promise<void> {
  await withControl(options, (control) => control.request("reset", { stream }));
  print(options.json ? { ok: true, stream } : `the state of "${stream}" is the model's initial one`);
}

async function rename(stream: string, to: string, options: ControlOptions): Promise<void> {
  await withControl(options, (control) => control.request("rename", { stream, to }));
  print(options.json ? { ok: true, stream: to } : `"${stream}" is now "${to}"`);
}

async function exportAll(path: string, options: ControlOptions): Promise<void> {
  const exported = await withControl(options, async (control): Promise<Exported> => {
    const streams: Done[] = [];
    for (const { stream } of await streamsOf(control)) streams.push((await control.request("get", { stream })) as Done);
    return { format: 1, streams: streams.map(({ stream, facts, state }) => ({ stream, facts: facts!, state: state! })) };
  });
  const text = `${JSON.stringify(exported)}\n`;
  if (path === "-") process.stdout.write(text);
  else {
    await writeFile(path, text).catch((thrown: unknown) => {
      throw new HiddenstateError("bad_argument", `cannot write ${path}: ${reasonOf(thrown)}`, thrown);
    });
    const { length } = exported.streams;
    print(options.json ? { ok: true, streams: length } : `the states of ${length} streams are in ${path}`);
  }
}

async function importAll(path: string, options: ControlOptions): Promise<void> {
  const given = await readJson(path);
  if (typeof given !== "object" || given === null || !("format" in given) || given.format !== 1 || !("streams" in given)) {
    throw new HiddenstateError("bad_argument", `cannot import ${path}: it is not what "state export" writes`);
  }
  const { streams } = given as unknown as Exported;
  await withControl(options, async (control) => {
    for (const { stream, state } of streams) await control.request("set", { stream, state });
  });
  print(options.json ? { ok: true, streams: streams.length } : `the states of ${streams.length} streams are set`);
}

export function stateCommand(): Command {
  const command = new Command("state").description(
    "show and change what streams remember, whether the runtime is running or not",
  );
  const add = (name: string, description: string, action: (...args: never[]) => Promise<void>): Command =>
    addControlCommand(command, name, description, action);
  add("list", "all streams, with how far each has come", list);
  add("get <stream>", "a stream's hidden state as JSON", get);
  add("set <stream> <file>", "replace the hidden state by what get printed; - is standard input", set);
  add("reset <stream>", "put the hidden state back to the model's initial one", reset);
  add("rename <stream> <to>", "give a stream another key", rename);
  add("export <file>", "write the states of all streams; - is standard output", exportAll);
  add("import <file>", "set the states of all streams of an export", importAll);
  return command;
}
