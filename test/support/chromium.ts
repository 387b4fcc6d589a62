// A headless Chromium with a profile of its own, driven over its debugging pipe (https://chromedevtools.github.io/devtools-protocol/): just
// enough to open pages, look at them, type and take pictures.
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { findProgram } from "./find-program.ts";

const INSTALL = "Chromium is missing, so the dashboard's page was not looked at; install it with: apt-get install chromium";
const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const WAIT_MS_MAX = 60_000;
const CLOSE_MS_MAX = 10_000;

function findChromium(): string | undefined {
  return findProgram(NAMES, ["/usr/bin", "/usr/local/bin"]);
}

/** For a test's `skip` option: why it cannot run, or false. In CI it is never skipped: the test then fails for want of a browser. */
export function chromiumMissing(): string | false {
  return findChromium() === undefined && process.env["CI"] !== "true" ? INSTALL : false;
}

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

type Params = Readonly<Record<string, unknown>>;
interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Params;
  readonly result?: Params;
  readonly error?: { readonly message: string };
  readonly sessionId?: string;
}

export interface Screen {
  readonly width: number;
  readonly height: number;
  readonly dark: boolean;
}

/** One tab. */
export class Page {
  readonly #send: (method: string, params?: Params) => Promise<Params>;
  /** What the page complained of: exceptions, errors on the console, refused by its policy. */
  readonly complaints: string[] = [];

  constructor(send: (method: string, params?: Params) => Promise<Params>) {
    this.#send = send;
  }

  take(method: string, params: Params): void {
    if (method === "Runtime.exceptionThrown") {
      const { exceptionDetails: details } = params as {
        exceptionDetails: { text: string; exception?: { description?: string } };
      };
      this.complaints.push(details.exception?.description ?? details.text);
    }
    if (method === "Log.entryAdded") {
      const { entry } = params as { entry: { level: string; text: string; url?: string } };
      if (entry.level === "error") this.complaints.push(`${entry.text} ${entry.url ?? ""}`);
    }
  }

  async show({ width, height, dark }: Screen): Promise<void> {
    const metrics = { width, height, deviceScaleFactor: 1, mobile: width < 600 };
    await this.#send("Emulation.setDeviceMetricsOverride", metrics);
    const features = [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }];
    await this.#send("Emulation.setEmulatedMedia", { features });
  }

  async open(url: string): Promise<void> {
    await this.#send("Page.navigate", { url });
    await this.until("the page is there", "document.readyState === 'complete'");
  }

  /** What an expression gives in the page; promises are waited for. */
  async evaluate<T = unknown>(expression: string): Promise<T> {
    const answer = (await this.#send("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true })) as {
      result: { value: T };
      exceptionDetails?: { exception?: { description?: string } };
    };
    if (answer.exceptionDetails !== undefined)
      throw new Error(`${expression}: ${answer.exceptionDetails.exception?.description ?? "failed"}`);
    return answer.result.value;
  }

  async until(what: string, expression: string): Promise<void> {
    const giveUpAt = performance.now() + WAIT_MS_MAX;
    while (!(await this.evaluate<boolean>(`Boolean(${expression})`).catch(() => false))) {
      if (performance.now() > giveUpAt) {
        const text = await this.evaluate<string>("document.body.innerText").catch(() => "");
        throw new Error(`waited in vain until ${what}; the page says: ${text}; it complains: ${this.complaints.join("; ")}`);
      }
      await sleep(50);
    }
  }

  text(selector = "body"): Promise<string> {
    return this.evaluate<string>(`document.querySelector(${JSON.stringify(selector)})?.innerText ?? ""`);
  }

  async click(selector: string): Promise<void> {
    await this.evaluate(`document.querySelector(${JSON.stringify(selector)}).click()`);
  }

  /** A key as somebody presses it. */
  async press(key: string): Promise<void> {
    const codes: Record<string, number> = { Tab: 9, Enter: 13, Escape: 27, ArrowUp: 38, ArrowDown: 40 };
    const text = key === "Enter" ? { text: "\r" } : {};
    const event = { key, code: key, windowsVirtualKeyCode: codes[key], ...text };
    await this.#send("Input.dispatchKeyEvent", { type: "keyDown", ...event });
    await this.#send("Input.dispatchKeyEvent", { type: "keyUp", ...event });
  }

  async type(text: string): Promise<void> {
    await this.#send("Input.insertText", { text });
  }

  async picture(path: string): Promise<void> {
    const { data } = (await this.#send("Page.captureScreenshot", { format: "png", captureBeyondViewport: false })) as {
      data: string;
    };
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, Buffer.from(data, "base64"));
  }
}

export class Chromium {
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #waiting = new Map<number, (message: Message) => void>();
  readonly #pages = new Map<string, Page>();
  #id = 0;

  private constructor(child: ChildProcess, folder: string) {
    this.#child = child;
    this.#folder = folder;
    let rest = "";
    (child.stdio[4] as Readable).setEncoding("utf8").on("data", (text: string) => {
      const messages = (rest + text).split("\0");
      rest = messages.pop()!;
      for (const message of messages) this.#take(JSON.parse(message) as Message);
    });
  }

  static async start(): Promise<Chromium> {
    const program = findChromium();
    if (program === undefined) throw new Error(INSTALL);
    const folder = mkdtempSync(join(tmpdir(), "chromium-"));
    const options = ["--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];
    const quiet = [
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--mute-audio",
      "--hide-scrollbars",
    ];
    const child = spawn(program, [...options, ...quiet, `--user-data-dir=${folder}`, "about:blank"], {
      stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
    });
    running.add(child);
    child.once("exit", () => running.delete(child));
    return new Chromium(child, folder);
  }

  #take({ id, method, params, sessionId, ...answer }: Message): void {
    if (id !== undefined) {
      this.#waiting.get(id)?.(answer);
      this.#waiting.delete(id);
    } else if (method !== undefined && sessionId !== undefined) this.#pages.get(sessionId)?.take(method, params ?? {});
  }

  async #send(method: string, params: Params = {}, sessionId?: string): Promise<Params> {
    const id = ++this.#id;
    const answered = new Promise<Message>((resolve) => this.#waiting.set(id, resolve));
    (this.#child.stdio[3] as Writable).write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    const { error, result } = await Promise.race([
      answered,
      sleep(WAIT_MS_MAX, undefined, { ref: false }).then((): Message => ({ error: { message: "no answer" } })),
    ]);
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result ?? {};
  }

  async newPage(): Promise<Page> {
    const { targetId } = await this.#send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = (await this.#send("Target.attachToTarget", { targetId, flatten: true })) as { sessionId: string };
    const page = new Page((method, params) => this.#send(method, params, sessionId));
    this.#pages.set(sessionId, page);
    for (const domain of ["Page", "Runtime", "Log"]) await this.#send(`${domain}.enable`, {}, sessionId);
    return page;
  }

  async close(): Promise<void> {
    const ended = once(this.#child, "exit");
    // Its own processes end with it in order; killed, they would go on writing into its folder for a while.
    this.#send("Browser.close").catch(() => {});
    await Promise.race([ended, sleep(CLOSE_MS_MAX, undefined, { ref: false })]);
    this.#child.kill("SIGKILL");
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}
