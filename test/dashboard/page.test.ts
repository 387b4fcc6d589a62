import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import type { Test } from "tap";
import { Metrics } from "../../src/base/metrics.ts";
import { Chromium, chromiumMissing } from "../support/chromium.ts";
import type { Page, Screen } from "../support/chromium.ts";
import { repository } from "../support/cli.ts";
import { DashboardWorld } from "../support/dashboard-world.ts";
import { startIngress } from "../support/ingress.ts";
import { randomModel } from "../support/random-model.ts";
import { until } from "../support/until.ts";

const skip = chromiumMissing();
/** What was seen, for those who want to see it too. */
const PICTURES = join(repository, "build/screenshots");
const DESKTOP: Screen = { width: 1280, height: 900, dark: false };
const SCREENS: Readonly<Record<string, Screen>> = {
  "desktop-light": DESKTOP,
  "desktop-dark": { ...DESKTOP, dark: true },
  "phone-light": { width: 390, height: 844, dark: false },
  "phone-dark": { width: 390, height: 844, dark: true },
};
const HOSTILE = [
  "<img src=x onerror=window.hacked=1>",
  "'\"><script>window.hacked=1<script>",
  "\u202Egnp.evil\u202C",
  "\u2067שלום press",
  "😀".repeat(32),
  "W".repeat(128),
  "javascript:alert(1)",
  "%2e%2e%2f..",
];
t.setTimeout(240_000);

const hash = (page: Page, target: string): Promise<unknown> => page.evaluate(`location.hash = ${JSON.stringify(target)}`);
const streamHash = (stream: string): string => `#/stream/${encodeURIComponent(stream)}`;
const isWide = "document.documentElement.scrollWidth > document.documentElement.clientWidth";

async function seen(t: Test, page: Page, name: string, target: string, ready: string): Promise<void> {
  for (const [screen, size] of Object.entries(SCREENS)) {
    await page.show(size);
    await hash(page, target);
    await page.until(`${name} is there on ${screen}`, ready);
    // The charts follow the width a frame later.
    await sleep(200);
    t.notOk(await page.evaluate(isWide), `${name} on ${screen} needs no scrolling sideways`);
    await page.picture(join(PICTURES, `${name}-${screen}.png`));
  }
  await page.show(DESKTOP);
}

/** Colours that stand against each other by at least 4.5 to 1 (WCAG 2.2, 1.4.3), of every text in sight. */
const FAINT = `(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const pixels = (colours) => { canvas.clearRect(0, 0, 1, 1); for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); } return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3); };
  const light = (rgb) => { const [r, g, b] = rgb.map((v) => { const s = v / 255; return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const faint = [];
  for (const one of document.querySelectorAll("body *")) {
    const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== "");
    if (!own || one.offsetParent === null || one.disabled || one.closest(".skip, option, noscript")) continue;
    const behind = [];
    for (let at = one; at !== null; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
    const back = light(pixels(behind));
    const front = light(pixels([...behind, getComputedStyle(one).color]));
    const ratio = (Math.max(back, front) + 0.05) / (Math.min(back, front) + 0.05);
    if (ratio < 4.5) faint.push(one.textContent.trim().slice(0, 40) + " " + ratio.toFixed(2));
  }
  return faint;
})()`;

t.test("the page, on desktop and phone, in light and dark", { skip }, async (t) => {
  const metrics = new Metrics();
  const folder = t.testdir({});
  const world = await DashboardWorld.open({
    folder,
    dashboard: { commands: true },
    surroundings: { metrics },
    range: { feature1: [-100, 100] },
    streamsMax: 10_000,
    score: {},
    learning: (champion) => ({
      course: {
        stage: "shadow",
        champion,
        challenger: { version: "c".repeat(64), rows: 1200, epochs: 3, change: 0.034, trainedTo: 0 },
        notBefore: 1_000_000,
      },
      decisions: [
        {
          at: Date.UTC(2026, 0, 5, 4),
          decision: "dropped",
          why: "its loss is not lower by 2 % and in 8 of 10 stretches",
          version: "b".repeat(64),
          figures: { readings: 500, championLoss: 0.5, challengerLoss: 0.499, wins: 6 },
        },
        {
          at: Date.UTC(2026, 0, 6, 4),
          decision: "tuned",
          why: "errors have grown (adwin)",
          version: "c".repeat(64),
          figures: { rows: 1200, epochs: 3, change: 0.034 },
        },
      ],
    }),
  });
  t.teardown(() => world.close());
  const browser = await Chromium.start();
  t.teardown(() => browser.close());
  const page = await browser.newPage();
  await page.show(DESKTOP);

  await t.test("before there are streams, it says what is missing", async (t) => {
    await page.open(world.url);
    await page.until("it is live", `document.querySelector("#link").textContent === "live"`);
    t.match(await page.text("nav"), /Overview\s+Streams\s+Models\s+Events/);
    await page.until(
      "the tiles are filled",
      `document.querySelector("main").innerText.includes("no messages in the last minute")`,
    );
    await hash(page, "#/streams");
    await page.until("the list is there", `document.querySelector("main").innerText.includes("There are no streams yet.")`);
    t.match(await page.text("main"), /0 streams, no open alarms\./);
    await hash(page, streamHash("nobody"));
    await page.until("it says so", `document.querySelector("main").innerText.includes("There is no stream of this name.")`);
    await hash(page, "#/events");
    await page.until("it says so", `document.querySelector("main").innerText.includes("Nothing was refused since the start.")`);
    t.match(await page.text("main"), /taking readings\s+groups: \["presses","pumps"\]/);
  });

  // Two presses that go on, with a gap and a refusal, and others that only have names.
  let sequence = 0;
  const stopped = new AbortController();
  const pump = (async () => {
    while (!stopped.signal.aborted) {
      for (const device of ["press-1", "press-2"]) await world.publish(device, sequence);
      if (sequence === 20) await world.publish("press-3", 0, { feature1: 1000 });
      sequence += sequence % 15 === 0 ? 3 : 1;
      await sleep(40);
    }
  })();
  t.teardown(() => {
    stopped.abort();
    return pump;
  });
  for (const name of HOSTILE) await world.publish(name, 0);
  await until("they are stepped", () => world.started.runtime.status().streams === HOSTILE.length + 2);

  await t.test("the overview shows rates, times, groups and the disk, in figures and words", async (t) => {
    await hash(page, "#/");
    const flowing = `document.querySelectorAll(".chart canvas").length === 2 && /Readings\\s+[1-9]/.test(document.querySelector("main").innerText)`;
    await page.until("all are counted", `/Streams\\s+10\\s/.test(document.querySelector("main").innerText)`);
    await seen(t, page, "overview", "#/", flowing);
    const text = await page.text("main");
    t.match(text, /Streams\s+10\s+in 2 groups/);
    t.match(text, /Broker\s+connected\s+127\.0\.0\.1:\d+: /);
    t.match(text, /Disk\s+[\d.]+ [GMT]iB\s+left where the state lies/);
    t.match(text, /99 of 100 messages are safe by then; half by [\d.]+ m?s/);
    t.match(text, /presses\s+10\s+native \((relaxed|plain)-\d+\)\s+\S/);
    t.match(text, /it survives a power cut/);
    t.strictSame(await page.evaluate(FAINT), [], "every text stands out in light");
    await page.show(SCREENS["desktop-dark"]!);
    t.strictSame(await page.evaluate(FAINT), [], "and in dark");
    await page.show(DESKTOP);
  });

  await t.test("a stream is shown live, and its state can be reset", async (t) => {
    const drawn = `document.querySelectorAll(".chart canvas").length === 2 && document.querySelector("main").innerText.includes("predicted next:")`;
    await seen(t, page, "stream", streamHash("press-1"), drawn);
    await page.until("gaps are counted", `/Gaps\\s+[1-9]/.test(document.querySelector("main").innerText)`);
    const text = await page.text("main");
    t.match(text, /Group presses, model random, stepped by the native engine/);
    t.match(text, /Readings\s+\d+\s+boot 1, sequence \d+/);
    t.match(text, /usually one every \d+ ms/);
    t.match(text, /State\s+[\d.]+\s+its length, as a vector; h: 8 numbers, the greatest [\d.]+/);
    t.match(text, /Nine of ten readings should lie in the shaded band\./);
    t.match(text, /Score\s+How unusual each reading is/);
    t.strictSame(await page.evaluate(FAINT), []);
    const before = await page.evaluate<number>(
      `Number(/Readings\\s+([\\d,]+)/.exec(document.querySelector("main").innerText)[1].replace(",", ""))`,
    );
    await page.until(
      "it goes on",
      `Number(/Readings\\s+([\\d,]+)/.exec(document.querySelector("main").innerText)[1].replace(",", "")) > ${before}`,
    );

    stopped.abort();
    await pump;
    await page.click(".commands button.danger");
    await page.until("it asks", `document.querySelector("dialog[open]")`);
    await page.picture(join(PICTURES, "reset-desktop-light.png"));
    t.match(await page.text("dialog"), /Reset this state\?\s+press-1\s+The network forgets/);
    t.equal(await page.evaluate("document.activeElement.textContent"), "Cancel", "a key pressed by mistake changes nothing");
    await page.press("Escape");
    await page.until("it is closed", `document.querySelector("dialog") === null`);
    const { state } = await world.started.runtime.getState("press-1");
    t.ok(state["h"]!.some((value) => value !== 0));
    await page.click(".commands button.danger");
    await page.click("dialog button.danger");
    const answered = (text: string): string =>
      `[...document.querySelectorAll(".answer")].some((one) => one.textContent === "${text}")`;
    await page.until("it is done", answered("The state was reset."));
    t.ok((await world.started.runtime.getState("press-1")).state["h"]!.every((value) => value === 0));
    await page.until("the page sees it", `/State\\s+0\\s/.test(document.querySelector("main").innerText)`);

    const command = (name: string): string =>
      `[...document.querySelectorAll(".commands .quiet")].find((one) => one.textContent === "${name}")`;
    t.match(await page.text("main"), /its group's budget is [\d.]+ a week\./);
    await page.evaluate(`document.querySelector("#budget").value = "0.5"; ${command("Set")}.click()`);
    await page.until("it is set", answered("The budget is set."));
    await page.until("the page says so", `/a budget of its own, 0\\.5 a week/.test(document.querySelector("main").innerText)`);
    t.match(world.started.runtime.control.listAlarms(), [{ stream: "press-1", budget: 0.5 }]);
    await page.evaluate(`document.querySelector("#budget").scrollIntoView({ block: "center" })`);
    await page.picture(join(PICTURES, "budget-desktop-light.png"));
    await page.evaluate(`${command("As its group")}.click()`);
    await page.until("it is its group's", answered("The stream has its group's budget."));
    t.strictSame(world.started.runtime.control.listAlarms(), []);
    await page.evaluate(`${command("Mute for 2 hours")}.click()`);
    await page.until("it is muted", answered("This stream raises no alarms for a while."));
    await page.until("the page says so", `document.querySelector("h1 .badge").textContent === "muted"`);
    t.match(await page.text("main"), /No alarms are raised until /);
    t.match(world.started.runtime.control.listAlarms(), [{ stream: "press-1", open: false, muted: Number }]);
    const disabled = `[...document.querySelectorAll(".commands")][0].querySelectorAll("button:disabled")`;
    t.strictSame(
      await page.evaluate(`[...${disabled}].map((button) => button.textContent)`),
      ["It was nothing", "It was a fault", "As its group"],
      "of no alarm nothing can be said",
    );
    t.strictSame(await page.evaluate(FAINT), []);
    await page.picture(join(PICTURES, "muted-desktop-light.png"));
    await page.evaluate(`${command("Raise alarms again")}.click()`);
    await page.until("it is raised again", `document.querySelector("h1 .badge").textContent === ""`);
  });

  await t.test("models: the challenger, what was decided, and a version of before in force again", async (t) => {
    const { runtime } = world.started;
    const first = runtime.status().groups[0]!.version;
    const other = randomModel({ features: 2, hidden: [8], cells: ["gru"], head: "gaussian", residual: true, seed: 5 });
    writeFileSync(join(folder, "other.onnx"), other.bytes);
    const held = `document.querySelector("main").innerText.includes("A challenger is held against the model")`;
    await seen(t, page, "models", "#/models", held);
    const text = await page.text("main");
    t.match(text, /presses challenger\s/);
    t.match(text, /[\d,]+ readings to go\. Version c{12}: trained on 1,200 readings, in 3 passes, weights changed by 3\.4 %\./);
    t.match(text, /tuned\s+c{12}\s+errors have grown \(adwin\)[^]*dropped\s+b{12}\s+its loss is not lower by 2 %/);
    t.match(text, /on 500 readings, loss of the model 0\.5, of the challenger 0\.499, better in 6 of 10 stretches/);
    t.match(text, /pumps\s+This group does not learn/);
    t.strictSame(await page.evaluate(FAINT), []);
    t.equal(await page.evaluate(`document.querySelectorAll("main button:disabled").length`), 1, "it is at it already");

    await runtime.promoteModel(join(folder, "other.onnx"), "presses", { unverified: true });
    await page.until(
      "the page sees it",
      `/${other.version.slice(0, 12)}\\s+in force/.test(document.querySelector("main").innerText)`,
    );
    t.match(await page.text("main"), new RegExp(`${first.slice(0, 12)}\\s+before`));
    await page.click("main td button");
    await page.until("it asks", `document.querySelector("dialog[open]")`);
    t.match(await page.text("dialog"), new RegExp(`Put this version in force\\?\\s+presses\\s+Version ${first.slice(0, 12)}`));
    await page.click("dialog button.danger");
    await page.until("it is done", `document.querySelector(".answer").textContent === "That version is in force."`);
    t.equal(runtime.status().groups[0]!.version, first);
    await page.until("the page sees it", `/${first.slice(0, 12)}\\s+in force/.test(document.querySelector("main").innerText)`);
  });

  await t.test("hostile names are names", async (t) => {
    await hash(page, "#/streams");
    await page.until("the list is there", `document.querySelectorAll(".row[role=listitem]").length === 10`);
    const names = await page.evaluate<string[]>(`[...document.querySelectorAll(".rows .name")].map((name) => name.textContent)`);
    t.strictSame(names.toSorted(), [...HOSTILE, "press-1", "press-2"].toSorted());
    for (const name of HOSTILE) {
      await hash(page, streamHash(name));
      await page.until(
        `the stream ${name} is there`,
        `document.querySelector("h1 bdi")?.textContent === ${JSON.stringify(name)}`,
      );
      await page.until("its facts are there", `/Readings\\s+1\\s/.test(document.querySelector("main").innerText)`);
      t.notOk(await page.evaluate(isWide), `${name} breaks nothing`);
    }
    await page.show(SCREENS["phone-light"]!);
    await hash(page, streamHash(HOSTILE[5]!));
    await page.until("it is there", `document.querySelector("h1 bdi")?.textContent.startsWith("WWW")`);
    t.notOk(await page.evaluate(isWide), "not on a phone either");
    await page.picture(join(PICTURES, "hostile-phone-light.png"));
    await page.show(DESKTOP);
    t.equal(await page.evaluate("window.hacked"), undefined);
    t.equal(await page.evaluate(`document.querySelectorAll("main img, main script").length`), 0);
  });

  await t.test("what was refused is told by reason, with what it means", async (t) => {
    const ready = `document.querySelector("main").innerText.includes("A value lies outside the range that the config allows.")`;
    await seen(t, page, "events", "#/events", ready);
    const text = await page.text("main");
    t.match(text, /reading\s+range\s+1\s+A value lies outside/);
    t.match(text, /\d+\s+readings that never arrived, by the gaps in their numbers/);
    t.match(text, /note\s+a state was reset from the page\s+press-1/);
  });

  await t.test("10,000 streams are searched and scrolled, with a mouse and with keys", async (t) => {
    const names = Array.from(
      { length: 10_000 - world.started.runtime.status().streams },
      (_, i) => `m-${String(i).padStart(5, "0")}`,
    );
    for (let from = 0; from < names.length; from += 500)
      await Promise.all(names.slice(from, from + 500).map((name) => world.publish(name, 0)));
    await until("they are there", () => world.started.runtime.status().streams === 10_000);
    await seen(t, page, "streams", "#/streams", `document.querySelector("main").innerText.includes("10,000 streams")`);
    const rows = `document.querySelectorAll(".row[role=listitem]").length`;
    t.ok((await page.evaluate<number>(rows)) <= 100, "only the rows in sight are made");
    await page.evaluate(`document.querySelector(".list").scrollTop = 48 * 5000`);
    await page.until("it is in the middle", `document.querySelector('[data-index="5005"]')`);
    t.ok((await page.evaluate<number>(rows)) <= 100);
    await page.evaluate(`document.querySelector(".list").scrollTop = 48 * 1e6`);
    await page.until("it is at the end", `document.querySelector('[data-index="9999"]')`);
    await page.evaluate(`document.querySelector("#search").focus()`);
    await page.type("M-0421");
    await page.until("it has found them", `document.querySelector("main").innerText.includes("10 of 10,000 streams")`);
    for (let i = 0; i < 5 && (await page.evaluate(`document.activeElement.className`)) !== "row"; i++) await page.press("Tab");
    t.equal(await page.evaluate(`document.activeElement.querySelector(".name").textContent`), "m-04210");
    await page.press("ArrowDown");
    await page.press("ArrowDown");
    await page.press("ArrowUp");
    await page.press("Enter");
    await page.until("it is open", `document.querySelector("h1 bdi")?.textContent === "m-04211"`);
    await hash(page, "#/streams");
    await page.until("the search is as it was", `document.querySelector("main").innerText.includes("10 of 10,000 streams")`);
  });

  await t.test("a broker and a disk that fail are told in words, on every view", async (t) => {
    await world.endBroker();
    await page.until("it says so", `document.querySelector("#troubles").innerText.includes("The broker cannot be reached")`);
    t.match(
      await page.text("#troubles"),
      /No readings come in and no predictions go out\. States are kept, and predictions wait\./,
    );
    metrics.gauge("disk_full").set(1);
    await page.until("it says so", `document.querySelector("#troubles").innerText.includes("The disk is full")`);
    await hash(page, "#/");
    await page.until("the overview is there", `document.querySelector("main").innerText.includes("readings wait for room")`);
    t.match(await page.text("main"), /Broker\s+away/);
    t.match(await page.evaluate("document.title"), /^\(!\) box/);
    for (const [name, screen] of Object.entries(SCREENS)) {
      await page.show(screen);
      await page.picture(join(PICTURES, `trouble-${name}.png`));
      t.strictSame(await page.evaluate(FAINT), [], name);
    }
    t.strictSame(page.complaints, [], "the browser has complained of nothing");
    await world.started.dashboard!.close();
    await page.until("it says so", `document.querySelector("#troubles").innerText.includes("hiddenstate does not answer")`);
    t.match(await page.text("#troubles"), /What you see is from \d\d:\d\d:\d\d\. It is tried again by itself\./);
    t.equal(await page.text("#link"), "no connection");
  });
});

t.test("where a token is wanted, the page asks for it, below any path of a proxy", { skip }, async (t) => {
  const folder = t.testdir({});
  const token = "a token of ours, long enough";
  writeFileSync(join(folder, "token"), token);
  const world = await DashboardWorld.open({ folder, dashboard: { tokenFile: join(folder, "token") } });
  t.teardown(() => world.close());
  const browser = await Chromium.start();
  t.teardown(() => browser.close());
  const page = await browser.newPage();
  await page.show(SCREENS["phone-dark"]!);
  const ingress = await startIngress(world.url);
  t.teardown(() => ingress.close());
  await page.open(ingress.url);
  await page.until("it asks", `document.querySelector("#token") === document.activeElement`);
  await page.type("wrong");
  await page.press("Enter");
  await page.until("it refuses", `document.querySelector(".wrong").textContent === "It was refused: this is not the token."`);
  await page.picture(join(PICTURES, "token-phone-dark.png"));
  await page.type(token);
  await page.press("Enter");
  await page.until("it is live", `document.querySelector("#link").textContent === "live"`);
  await world.publish("a", 0);
  await until("it is stepped", () => world.accepted === 1);
  await hash(page, streamHash("a"));
  await page.until("the stream is there", `document.querySelector("main").innerText.includes("dashboard.commands: true")`);
  const allowed = `[...document.querySelectorAll(".commands button:enabled")].map((button) => button.textContent)`;
  t.strictSame(await page.evaluate(allowed), ["Save state"], "nothing can be changed");
});

t.test(
  "through a proxy that signs people in, the page asks for nothing, and may change what the config lets it",
  { skip },
  async (t) => {
    const folder = t.testdir({ token: "a token of ours, long enough" });
    const dashboard = { tokenFile: join(folder, "token"), trustedProxies: ["127.0.0.2"], commands: true };
    const world = await DashboardWorld.open({ folder, dashboard });
    t.teardown(() => world.close());
    const ingress = await startIngress(world.url, "127.0.0.2");
    t.teardown(() => ingress.close());
    const browser = await Chromium.start();
    t.teardown(() => browser.close());
    const page = await browser.newPage();
    await page.open(ingress.url);
    await page.until("it is live", `document.querySelector("#link").textContent === "live"`);
    await world.publish("a", 0);
    await until("it is stepped", () => world.accepted === 1);
    const body = JSON.stringify({ command: "reset", stream: "a" });
    const asked = `fetch("command", { method: "POST", headers: { "content-type": "application/json" }, body: ${JSON.stringify(body)} })`;
    await page.evaluate(`${asked}.then(({ status }) => { globalThis.answered = status; })`);
    await page.until("it is answered", `globalThis.answered !== undefined`);
    t.equal(await page.evaluate("globalThis.answered"), 200);
  },
);
