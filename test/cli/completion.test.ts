// Completion as a shell has it: bash by what it would offer, zsh by what it writes on a terminal.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { examples } from "../../src/cli/examples.ts";
import { runCli } from "../support/cli.ts";
import { Zsh, zshMissing } from "../support/zsh.ts";

async function scriptOf(shell: string): Promise<string> {
  const { code, stdout, stderr } = await runCli(["completion", shell]);
  if (code !== 0) throw new Error(stderr);
  return stdout;
}

t.test("bash is offered commands, options, values and files, wherever the line stands", async (t) => {
  const folder = t.testdir({ "config.yaml": "", "con fig.yaml": "", "state-a": {}, "model.onnx": "" });
  writeFileSync(join(folder, "complete"), await scriptOf("bash"));
  const all = (lines: readonly (readonly string[])[]): string[][] => {
    const asked = lines.map((words) => {
      const quoted = words.map((word) => `'${word}'`).join(" ");
      return `COMP_WORDS=(hiddenstate ${quoted}); COMP_CWORD=${words.length}; _hiddenstate; printf '%s\\n' "\${COMPREPLY[@]}"; echo ---`;
    });
    // With what a careful user switches on.
    const script = ["set -u", "source ./complete", ...asked].join("\n");
    const said = execFileSync("bash", ["--norc", "-c", script], { cwd: folder, encoding: "utf8" });
    return said.split("---\n").map((part) => part.split("\n").filter((line) => line !== ""));
  };
  const cases: [string[], string[]][] = [
    [["de"], ["demo"]],
    [["st"], ["status", "state"]],
    [
      ["state", ""],
      ["list", "get", "set", "reset", "rename", "export", "import"],
    ],
    [
      ["state", "re"],
      ["reset", "rename"],
    ],
    [
      ["check", "--"],
      ["--json", "--help"],
    ],
    [
      ["check", "con"],
      ["con fig.yaml", "config.yaml"],
    ],
    [["check", "--json", "config"], ["config.yaml"]],
    [["train", "--cell", "g"], ["gru"]],
    [["train", "--cell", "=", "l"], ["lstm"]],
    [
      ["train", "--cell", "="],
      ["rnn_tanh", "rnn_relu", "gru", "lstm"],
    ],
    [["init", "--preset", "ta"], ["tasmota"]],
    [["init", "--preset", "tasmota", "--model", "mod"], ["model.onnx"]],
    [["status", "-s", "st"], ["state-a"]],
    [["state", "set", "--state", "=", "state-a", "stream", "model"], ["model.onnx"]],
    [["state", "set", "mod"], []],
    [["demo", "--seconds", ""], []],
    [
      ["completion", ""],
      ["bash", "zsh"],
    ],
    [["--v"], ["--version"]],
    [["state", "get", "list", ""], []],
  ];
  const offered = all(cases.map(([words]) => words));
  for (const [index, [words, expected]] of cases.entries()) {
    t.strictSame(offered[index]!.toSorted(), expected.toSorted(), words.join(" "));
  }
  const commands = Object.keys(examples);
  t.strictSame(all([[""]])[0]!.toSorted(), commands.toSorted());
  const flags = all(commands.map((name) => [name, "-"]));
  const helps = await Promise.all(commands.map((name) => runCli([name, "--help"])));
  for (const [index, name] of commands.entries()) {
    const told = [...helps[index]!.stdout.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, flag]) => flag!);
    t.strictSame(
      told.filter((flag) => !flags[index]!.includes(flag)),
      [],
      name,
    );
  }
});

t.test("zsh completes on a terminal, sourced and autoloaded, with descriptions", { skip: zshMissing() }, async (t) => {
  const folder = t.testdir({ "config.yaml": "", state: {} });
  mkdirSync(join(folder, "functions"));
  const script = await scriptOf("zsh");
  writeFileSync(join(folder, "complete"), script);
  writeFileSync(join(folder, "functions", "_hiddenstate"), script);
  for (const begin of ["compinit -D; source ./complete", "fpath=($PWD/functions $fpath); compinit -D"]) {
    const zsh = new Zsh(folder);
    try {
      await zsh.type(`autoload -Uz compinit; ${begin}; setopt no_beep; echo rea''dy\n`, "ready");
      t.match(await zsh.type("hiddenstate sim\t", "simulate"), "simulate");
      t.match(await zsh.type("\u0015hiddenstate state re\t\t", "rename"), /rename +-- give a stream another key/);
      t.match(await zsh.type("\u0015hiddenstate check conf\t", "config.yaml"), "config.yaml");
      t.match(await zsh.type("\u0015hiddenstate train --cell gr\t", "gru"), "gru");
      t.match(await zsh.type("\u0015hiddenstate record --allow\t", "--allow-insecure"), "--allow-insecure");
      t.match(await zsh.type("\u0015hiddenstate models list --j\t", "--json"), "--json");
    } finally {
      zsh.close();
    }
  }
});

t.test("another shell is refused with those that there are", async (t) => {
  const { code, stderr } = await runCli(["completion", "fish"]);
  t.match(
    { code, stderr },
    { code: 64, stderr: /value 'fish' is invalid for argument 'shell'\. Allowed choices are bash, zsh\./ },
  );
});
