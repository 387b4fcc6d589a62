// The dashboard of one runtime: what it answers under which path. It reads what the runtime says of itself and asks it through its own
// control, so that nothing here can make a reading wait.
import type { Clock } from "../base/clock.ts";
import { systemDisk } from "../base/disk.ts";
import type { Disk } from "../base/disk.ts";
import { HiddenstateError, reasonOf } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { Metrics } from "../base/metrics.ts";
import type { Alarm } from "../message/alarm.ts";
import { parseBrokerUrl } from "../mqtt/broker-address.ts";
import type { Config } from "../runtime/config-schema.ts";
import type { DashboardSecrets } from "../runtime/credentials.ts";
import { listenAddressOf } from "../runtime/dashboard-config.ts";
import type { DashboardConfig } from "../runtime/dashboard-config.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { Access } from "./access.ts";
import { troublesOf } from "./health.ts";
import { HttpServer } from "./http-server.ts";
import type { EventClient, HttpEvents, HttpReply, HttpRequest } from "./http-server.ts";
import { LiveFeed } from "./live-feed.ts";
import type { LogMemory } from "./log-memory.ts";
import { groupModels } from "./model-list.ts";
import { carryOut } from "./page-command.ts";
import { readPageFiles } from "./page-files.ts";
import type { PageFiles } from "./page-files.ts";
import { processFamilies } from "./process-families.ts";
import { PROMETHEUS_CONTENT_TYPE, prometheusText } from "./prometheus-text.ts";
import { alarmDetails } from "./alarm-details.ts";
import { listOrders, StreamList } from "./stream-list.ts";
import { StreamWatch } from "./stream-watch.ts";

export interface DashboardOptions {
  readonly config: Config;
  readonly dashboard: DashboardConfig;
  readonly secrets: DashboardSecrets;
  readonly runtime: Runtime;
  readonly metrics: Metrics;
  /** This release. */
  readonly version: string;
  readonly clock: Clock;
  readonly disk: Disk;
  readonly log: LogMemory;
}

function json(status: number, value: unknown): HttpReply {
  return { status, headers: { "content-type": "application/json; charset=utf-8" }, body: JSON.stringify(value) };
}

function wholeNumber(text: string | null): number {
  const number = Number(text ?? 0);
  return Number.isSafeInteger(number) && number >= 0 ? number : 0;
}

/** Between 200 and 599, by what went wrong. */
function statusOfError(thrown: HiddenstateError): number {
  if (thrown.code === "unknown_stream") return 404;
  return thrown.code === "unavailable" ? 503 : 400;
}

const text = (status: number, body: string): HttpReply => ({ status, body: `${body}\n` });

export class Dashboard {
  readonly #options: DashboardOptions;
  readonly #access: Access;
  /** Without user name and password. */
  readonly #brokerUrl: string;
  readonly #page: PageFiles;
  readonly #list: StreamList;
  readonly #watch: StreamWatch;
  readonly #feed: LiveFeed;
  #watchers = 0;
  #unobserve: () => void = () => {};
  #server: HttpServer | undefined;

  private constructor(options: DashboardOptions, page: PageFiles) {
    const { config, dashboard, secrets, clock, runtime, metrics, log, version } = options;
    this.#options = options;
    this.#page = page;
    this.#access = new Access({
      host: listenAddressOf(dashboard).host,
      hosts: dashboard.hosts,
      trustedProxies: dashboard.trustedProxies,
      token: secrets.token,
      secure: secrets.tls !== undefined,
      clock,
    });
    const { host, port } = parseBrokerUrl(config.mqtt.url);
    this.#brokerUrl = `${host}:${port}`;
    this.#list = new StreamList(runtime.fold, clock);
    this.#watch = new StreamWatch(runtime.fold, clock, (alarm) => this.#noteAlarm(alarm));
    const setting = {
      version,
      broker: this.#brokerUrl,
      durability: config.durability.mode,
      state: config.state,
      commands: dashboard.commands,
    };
    this.#feed = new LiveFeed({ metrics, clock, log, setting, standing: () => this.#standing() });
  }

  /** Throws `unavailable` where the address cannot be listened on. */
  static async open(options: DashboardOptions): Promise<Dashboard> {
    const dashboard = new Dashboard(options, await readPageFiles(systemDisk));
    const { host, port } = listenAddressOf(options.dashboard);
    const { tls } = options.secrets;
    dashboard.#server = await HttpServer.listen({ host, port, tls, handle: (request) => dashboard.#handle(request) });
    dashboard.#unobserve = options.runtime.observe(dashboard.#watch);
    dashboard.#feed.start();
    options.log.info("the dashboard listens", { url: dashboard.url });
    return dashboard;
  }

  get url(): string {
    const { host } = listenAddressOf(this.#options.dashboard);
    const scheme = this.#options.secrets.tls === undefined ? "http" : "https";
    return `${scheme}://${host.includes(":") ? `[${host}]` : host}:${this.#server!.port}/`;
  }

  async #handle(request: HttpRequest): Promise<HttpReply | HttpEvents> {
    const refused = this.#access.refusalOf(request);
    if (refused !== undefined) return refused;
    const { method, path } = request;
    const file = method === "POST" ? undefined : this.#page.get(path);
    if (file !== undefined) return file;
    if (path === "healthz") return text(200, "alive");
    if (path === "readyz") return this.#readiness();
    if (path === "session" && method === "POST" && this.#access.needsToken) return this.#access.signIn(request);
    if (!this.#access.isKnown(request)) return text(401, "a token is needed");
    try {
      return await (method === "POST" ? this.#change(request) : this.#answer(request));
    } catch (thrown) {
      if (!(thrown instanceof HiddenstateError)) throw thrown;
      return json(statusOfError(thrown), { error: thrown.message });
    }
  }

  #answer(request: HttpRequest): Promise<HttpReply | HttpEvents> | HttpReply | HttpEvents {
    const { path, query } = request;
    switch (path) {
      case "metrics":
        return this.#metrics();
      case "streams":
        return this.#streams(query);
      case "models":
        return groupModels(this.#options.runtime).then((groups) => json(200, { groups }));
      case "state":
        return this.#options.runtime.getState(query.get("stream") ?? "").then((state) => json(200, state));
      case "live":
        return this.#live(query.get("stream"));
      default:
        return text(404, "there is no such page");
    }
  }

  async #streams(query: URLSearchParams): Promise<HttpReply> {
    const order = listOrders.find((name) => name === query.get("order")) ?? "name";
    const search = (query.get("search") ?? "").slice(0, limits.streamKeyBytesMax);
    const asked = { search, order, alarmsOnly: query.has("alarms") };
    const found = await this.#list.window(asked, wholeNumber(query.get("from")), wholeNumber(query.get("count")));
    return json(200, { at: this.#options.clock.wallMs(), ...found });
  }

  /** All that happens, and with a stream what happens to it: a browser has few connections to one server, so a page takes one. */
  #live(stream: string | null): HttpReply | HttpEvents {
    if (this.#watchers >= limits.dashboardWatchersMax) return text(503, "too many pages are open; close one");
    this.#watchers++;
    return {
      open: (client: EventClient): void => {
        client.whenClosed(() => this.#watchers--);
        if (stream !== null && !this.#watch.add(stream, client)) client.send("full", {});
        void this.#feed.add(client);
      },
    };
  }

  /** Where the config lets the page change something: `{command, ...}`, see `carryOut`. */
  async #change(request: HttpRequest): Promise<HttpReply> {
    const { dashboard, runtime, log } = this.#options;
    if (request.path !== "command") return text(404, "there is no such page");
    if (!dashboard.commands)
      return json(403, { error: "the config does not let the page change anything: dashboard.commands is false" });
    let asked: unknown;
    try {
      asked = JSON.parse(await request.body());
    } catch {
      return json(400, { error: "the body is not JSON" });
    }
    const { answer, done, about } = await carryOut(runtime.control, asked);
    log.note("info", `${done} from the page`, about);
    return json(200, answer);
  }

  #noteAlarm(alarm: Alarm): void {
    const what = alarm.open ? "an alarm opened" : alarm.muted === 0 ? "alarms are raised again" : "an alarm closed";
    this.#options.log.note(alarm.open ? "alarm" : "info", what, alarmDetails(alarm));
  }

  async #standing() {
    return { ...(await this.#health()), alarms: await this.#list.alarms() };
  }

  /** How the runtime is doing, and what is wrong; it is ready where nothing keeps readings from coming in or predictions from going out. */
  async #health() {
    const status = this.#options.runtime.status();
    const freeBytes = await this.#freeBytes();
    return { status, freeBytes, troubles: troublesOf(status, this.#brokerUrl, freeBytes) };
  }

  async #freeBytes(): Promise<number | undefined> {
    const { disk, config, log } = this.#options;
    try {
      return await disk.freeBytes(config.state);
    } catch (thrown) {
      log.debug("cannot ask the disk for its room", { reason: reasonOf(thrown) });
      return undefined;
    }
  }

  /** Readings can come in and predictions go out; where not, why. */
  async #readiness(): Promise<HttpReply> {
    const { troubles } = await this.#health();
    const stops = troubles.filter(({ severity }) => severity === "stop");
    return stops.length === 0 ? text(200, "ready") : text(503, stops.map(({ title }) => title).join("\n"));
  }

  async #metrics(): Promise<HttpReply> {
    const { metrics, version } = this.#options;
    const { status, freeBytes, troubles } = await this.#health();
    const isReady = troubles.every(({ severity }) => severity !== "stop");
    const body = prometheusText(metrics, processFamilies(status, isReady, version, freeBytes));
    return { status: 200, headers: { "content-type": PROMETHEUS_CONTENT_TYPE }, body };
  }

  async close(): Promise<void> {
    this.#unobserve();
    this.#feed.stop();
    this.#watch.close();
    await this.#server?.close();
  }
}
