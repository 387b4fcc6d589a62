// The dashboard of one runtime: what it answers under which path. It reads what the runtime says of itself and asks it through its own
// control, so that nothing here can make a reading wait.
import type { Clock } from "../base/clock.ts";
import type { Disk } from "../base/disk.ts";
import { reasonOf } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { Metrics } from "../base/metrics.ts";
import { parseBrokerUrl } from "../mqtt/broker-address.ts";
import type { Config } from "../runtime/config-schema.ts";
import type { DashboardSecrets } from "../runtime/credentials.ts";
import { listenAddressOf } from "../runtime/dashboard-config.ts";
import type { DashboardConfig } from "../runtime/dashboard-config.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { Access } from "./access.ts";
import { troublesOf } from "./health.ts";
import type { Trouble } from "./health.ts";
import { HttpServer } from "./http-server.ts";
import type { HttpEvents, HttpReply, HttpRequest } from "./http-server.ts";
import { processFamilies } from "./process-families.ts";
import { PROMETHEUS_CONTENT_TYPE, prometheusText } from "./prometheus-text.ts";

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
  readonly log: Log;
}

const text = (status: number, body: string): HttpReply => ({ status, body: `${body}\n` });

export class Dashboard {
  readonly #options: DashboardOptions;
  readonly #access: Access;
  /** Without user name and password. */
  readonly #brokerUrl: string;
  #server: HttpServer | undefined;

  private constructor(options: DashboardOptions) {
    const { config, dashboard, secrets, clock } = options;
    this.#options = options;
    this.#access = new Access({
      host: listenAddressOf(dashboard).host,
      hosts: dashboard.hosts,
      token: secrets.token,
      secure: secrets.tls !== undefined,
      clock,
    });
    const { host, port } = parseBrokerUrl(config.mqtt.url);
    this.#brokerUrl = `${host}:${port}`;
  }

  /** Throws `unavailable` where the address cannot be listened on. */
  static async open(options: DashboardOptions): Promise<Dashboard> {
    const dashboard = new Dashboard(options);
    const { host, port } = listenAddressOf(options.dashboard);
    const { tls } = options.secrets;
    dashboard.#server = await HttpServer.listen({ host, port, tls, handle: (request) => dashboard.#handle(request) });
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
    if (path === "healthz") return text(200, "alive");
    if (path === "readyz") return this.#readiness();
    if (path === "session" && method === "POST" && this.#access.needsToken) return this.#access.signIn(request);
    if (!this.#access.isKnown(request)) return text(401, "a token is needed");
    if (path === "metrics" && method !== "POST") return this.#metrics();
    return text(404, "there is no such page");
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

  async #troubles(): Promise<Trouble[]> {
    return troublesOf(this.#options.runtime.status(), this.#brokerUrl, await this.#freeBytes());
  }

  /** Readings can come in and predictions go out; where not, why. */
  async #readiness(): Promise<HttpReply> {
    const stops = (await this.#troubles()).filter(({ severity }) => severity === "stop");
    return stops.length === 0 ? text(200, "ready") : text(503, stops.map(({ title }) => title).join("\n"));
  }

  async #metrics(): Promise<HttpReply> {
    const { runtime, metrics, version } = this.#options;
    const status = runtime.status();
    const freeBytes = await this.#freeBytes();
    const isReady = troublesOf(status, this.#brokerUrl, freeBytes).every(({ severity }) => severity !== "stop");
    const body = prometheusText(metrics, processFamilies(status, isReady, version, freeBytes));
    return { status: 200, headers: { "content-type": PROMETHEUS_CONTENT_TYPE }, body };
  }

  async close(): Promise<void> {
    await this.#server?.close();
  }
}
