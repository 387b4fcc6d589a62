// The Debian package, built with the Node that runs this test in place of the one that it carries, and put on a machine that is thrown away.
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { DisposableMachine, GIVEN, machineMissing } from "../support/disposable-machine.ts";
import { debianArchitecture, runScript } from "../support/project-script.ts";

t.setTimeout(240_000);

/** Of what comes besides Node, with one platform's onnxruntime; `npm run size` has the figures. */
const APP_BYTES_MAX = 120e6;

const skip =
  machineMissing() || (debianArchitecture === undefined && `there is no package with a Node of its own for ${process.arch}`);

t.test(
  "the Debian package installs, runs, starts nothing by itself, is upgraded, and goes without a trace",
  { skip },
  async (t) => {
    const out = mkdtempSync(join(tmpdir(), "hiddenstate-package-"));
    t.teardown(() => rmSync(out, { recursive: true, force: true }));
    const built = await runScript(
      "scripts/deb.mjs",
      "--arch",
      debianArchitecture!,
      "--node",
      process.execPath,
      "--quick",
      "--out",
      out,
    );
    t.match(built.stdout, /hiddenstate_\d+\.\d+\.\d+_\w+\.deb: \d+\.\d MB, sha256 [0-9a-f]{64}\n/);

    const machine = await DisposableMachine.start({ out });
    t.teardown(() => machine.close());
    const shell = (line: string): Promise<string> => machine.must("sh", ["-c", line]);
    const installed = await shell(`dpkg --install ${GIVEN}/out/*.deb`);
    t.match(installed, "then: systemctl enable --now hiddenstate");
    t.equal(await shell("dpkg --verify hiddenstate"), "", "every file is as the package has it");
    const kib = Number(await shell("dpkg-query --show --showformat='${Installed-Size}' hiddenstate"));
    t.ok(kib * 1024 - statSync(process.execPath).size < APP_BYTES_MAX, `${kib} KiB with Node`);
    t.match(await shell("hiddenstate --version"), /^\d+\.\d+\.\d+\n$/);
    t.match(
      await shell("hiddenstate check /etc/hiddenstate/config.yaml"),
      /climate/,
      "the config that comes with it is a good one",
    );
    t.equal(
      await shell("find /usr/lib/hiddenstate /usr/bin/hiddenstate ! -user root -o -perm /022 ! -type l"),
      "",
      "only root may change it",
    );
    t.match(await shell("cd /tmp && hiddenstate demo --seconds 3 --json"), /"readingsLost":0/);

    // What this machine takes units from is a folder of its own.
    await shell("ln -s /usr/lib/systemd/system/hiddenstate.service /run/units/ && systemctl daemon-reload");
    const verified = await machine.run("systemd-analyze", ["verify", "--man=no", "/run/units/hiddenstate.service"]);
    t.match(verified, { code: 0, stdout: "", stderr: "" });
    t.match(await shell("systemctl is-active hiddenstate || true"), "inactive");
    await shell("systemctl start hiddenstate");
    t.match(await shell("hiddenstate status --state /var/lib/hiddenstate"), /box: up .*, 0 streams/);
    const pid = (): Promise<string> => shell("systemctl show hiddenstate --property=MainPID --value");
    const before = await pid();
    await shell("echo '# mine' >> /etc/hiddenstate/config.yaml");
    await shell(`dpkg --install --force-confold ${GIVEN}/out/*.deb`);
    t.not(await pid(), before, "an upgrade starts what ran again");
    t.match(await shell("tail -n 1 /etc/hiddenstate/config.yaml"), "# mine", "and keeps the config");

    await shell("dpkg --remove hiddenstate");
    t.match(await shell("systemctl is-active hiddenstate || true"), /inactive|unknown/);
    t.match(await shell("ls /var/lib/hiddenstate/journal /etc/hiddenstate"), "config.yaml", "a removal keeps state and config");
    await shell("dpkg --purge hiddenstate");
    t.equal(await shell("find /usr /etc /var -name '*hiddenstate*'"), "", "a purge leaves nothing");
  },
);
