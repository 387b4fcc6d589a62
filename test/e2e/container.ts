// The Dockerfile without Docker: the lines of its build stage run in an empty folder, those of its second stage on a machine that is thrown away, and
// what the image would start and ask for its health is started and asked there. No image is built.
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, mkdirSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { repository } from "../support/cli.ts";
import { DisposableMachine, GIVEN, machineMissing } from "../support/disposable-machine.ts";
import { debianArchitecture } from "../support/project-script.ts";

t.setTimeout(600_000);

const skip = machineMissing() || (debianArchitecture === undefined && `the image is not for ${process.arch}`);

interface Instruction {
  readonly name: string;
  readonly rest: string;
}

/** The instructions of each stage, in order. */
function stagesOf(text: string): Instruction[][] {
  const lines = text.replaceAll("\\\n", " ").split("\n");
  const instructions = lines
    .filter((line) => /^[A-Z]+ /.test(line))
    .map((line) => ({ name: line.slice(0, line.indexOf(" ")), rest: line.slice(line.indexOf(" ") + 1) }));
  const stages: Instruction[][] = [];
  for (const one of instructions) {
    if (one.name === "FROM") stages.push([]);
    else stages.at(-1)!.push(one);
  }
  return stages;
}

const words = (rest: string): string[] => JSON.parse(rest.slice(rest.indexOf("["))) as string[];

t.test(
  "the Dockerfile's lines make a package out of a fresh copy, and install, run and check it",
  { skip, timeout: 600_000 },
  async (t) => {
    const [build, image] = stagesOf(readFileSync(join(repository, "Dockerfile"), "utf8"));
    const folder = mkdtempSync(join(tmpdir(), "hiddenstate-image-"));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    // What the test's own npm and Node were told is not there in an image.
    const inherited = Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_OPTIONS|CI$)/i.test(name));
    const env: NodeJS.ProcessEnv = { ...Object.fromEntries(inherited), TARGETARCH: debianArchitecture };
    let cwd = folder;
    for (const { name, rest } of build!) {
      if (name === "ARG") {
        const [key, value] = rest.split("=");
        if (value !== undefined) env[key!] = value;
      } else if (name === "WORKDIR") {
        cwd = join(folder, rest);
        mkdirSync(cwd, { recursive: true });
      } else if (name === "COPY") {
        t.equal(rest, ". .");
        const ignored = new Set(readFileSync(join(repository, ".dockerignore"), "utf8").trim().split("\n"));
        for (const entry of readdirSync(repository)) {
          if (!ignored.has(entry)) cpSync(join(repository, entry), join(cwd, entry), { recursive: true });
        }
      } else if (name === "RUN") {
        execFileSync("sh", ["-c", rest.replaceAll(" /source", ` ${folder}/source`)], {
          cwd,
          env,
          stdio: ["ignore", "ignore", "pipe"],
        });
      } else t.fail(`a build stage with ${name}`);
    }

    const machine = await DisposableMachine.start({ source: join(folder, "source") });
    t.teardown(() => machine.close());
    // The image that it starts from has no systemd.
    await machine.must("rm", ["/usr/bin/systemd-sysusers"]);
    let user: readonly string[] = [];
    let health: string[] = [];
    let entry: string[] = [];
    let command: string[] = [];
    for (const { name, rest } of image!) {
      if (name === "COPY") {
        const [, from, to] = /^--from=build \/source\/(\S+)\/ (\S+)\/$/.exec(rest)!;
        await machine.must("cp", ["-r", `${GIVEN}/source/${from!}`, to!]);
      } else if (name === "RUN") await machine.must("sh", ["-c", rest]);
      else if (name === "USER") user = [`--reuid=${rest}`, `--regid=${rest}`, "--clear-groups", "--no-new-privs"];
      else if (name === "HEALTHCHECK") health = words(rest);
      else if (name === "ENTRYPOINT") entry = words(rest);
      else if (name === "CMD") command = words(rest);
    }
    const asUser = (args: readonly string[]): readonly string[] => [...user, ...args];
    t.not((await machine.run("setpriv", asUser(health))).code, 0, "before it runs it is not healthy");
    const running = machine.run("setpriv", asUser([...entry, ...command]));
    for (let tries = 0; ; tries++) {
      const { code, stderr } = await machine.run("setpriv", asUser(health));
      if (code === 0) break;
      if (tries === 100) throw new Error(`never healthy: ${stderr}`);
      await sleep(200);
    }
    t.match(
      await machine.must("stat", ["-c", "%U", "/var/lib/hiddenstate/control.sock"]),
      "hiddenstate\n",
      "it is nobody's root",
    );
    await machine.must("sh", ["-c", "kill -TERM $(pgrep -u hiddenstate -f 'main.js run')"]);
    t.equal((await running).code, 0, "and ends when it is asked to");
  },
);
