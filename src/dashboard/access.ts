// Who may ask the dashboard for what. A name in Host that nobody configured is refused, so that a foreign site cannot point its own name
// at this machine (DNS rebinding); whatever changes something must come from a page of ours; and where there is a token, all but the
// page's own files and the two health checks need it. Where there are trusted proxies, they say who may come and under which name, and
// nobody else from outside this machine is answered.
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { Clock } from "../base/clock.ts";
import { limits } from "../base/limits.ts";
import { isLoopbackHost } from "../mqtt/broker-address.ts";
import { plainAddress } from "../runtime/dashboard-config.ts";
import type { HttpReply, HttpRequest } from "./http-server.ts";

export interface AccessOptions {
  /** The host that is listened on. */
  readonly host: string;
  /** More authorities that browsers may ask for. */
  readonly hosts: readonly string[];
  /** Addresses whose connections carry people who have signed in there; with any, only these and loopback are answered. */
  readonly trustedProxies: readonly string[];
  readonly token: string | undefined;
  /** The page is served over https by us. */
  readonly secure: boolean;
  readonly clock: Clock;
}

const COOKIE = "hiddenstate";
const COOKIE_AGE_SECONDS = 30 * 24 * 3600;
/** An address cannot be pointed elsewhere, as a name can. */
const IS_ADDRESS = /^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:.]+\])$/i;

function refusal(status: number, text: string): HttpReply {
  return { status, body: `${text}\n` };
}

function equal(a: string, b: string): boolean {
  const [one, other] = [a, b].map((text) => createHash("sha256").update(text).digest());
  return timingSafeEqual(one!, other!);
}

function cookieOf(request: HttpRequest): string | undefined {
  const pairs = (request.headers.cookie ?? "").split(";").map((pair) => pair.trim());
  return pairs.find((pair) => pair.startsWith(`${COOKIE}=`))?.slice(COOKIE.length + 1);
}

export class Access {
  readonly #options: AccessOptions;
  readonly #names: ReadonlySet<string>;
  readonly #proxies: ReadonlySet<string>;
  /** What a browser holds that has given the token: it stays good for as long as the token does. */
  readonly #session: string | undefined;
  #attempts = 0;
  #minute = -Infinity;

  constructor(options: AccessOptions) {
    const { token, hosts, host, trustedProxies } = options;
    this.#options = options;
    this.#names = new Set([...hosts, host, "localhost"].map((name) => name.toLowerCase()));
    this.#proxies = new Set(trustedProxies.map(plainAddress));
    this.#session = token === undefined ? undefined : createHmac("sha256", token).update("dashboard session").digest("hex");
  }

  /** Why a request is refused before it is looked at; undefined where it may be. */
  refusalOf(request: HttpRequest): HttpReply | undefined {
    const peer = plainAddress(request.peer);
    const isTrusted = this.#proxies.has(peer);
    if (this.#proxies.size > 0 && !isTrusted && !isLoopbackHost(peer)) {
      const whose = "this dashboard answers only its own machine and the proxies that its config trusts";
      return refusal(
        403,
        `${whose}, and you come from ${peer}; go by way of the proxy, or name this in dashboard.trustedProxies`,
      );
    }
    const host = (request.headers.host ?? "").toLowerCase();
    const name = host.replace(/:\d+$/, "");
    if (!isTrusted && !this.#names.has(host) && !this.#names.has(name) && !IS_ADDRESS.test(name)) {
      return refusal(421, `nobody has said that this dashboard is called "${name}"; name it in dashboard.hosts of the config`);
    }
    if (request.method === "GET" || request.method === "HEAD") {
      // Another site may link here. It must not use up what few pages may be open.
      const isForeign = request.headers["sec-fetch-site"] === "cross-site" && request.headers["sec-fetch-mode"] !== "navigate";
      return isForeign ? refusal(403, "the request comes from another site") : undefined;
    }
    if (request.method !== "POST") return refusal(405, "only GET, HEAD and POST are answered");
    if (!this.#isFromOurPage(request, host)) return refusal(403, "the request comes from another site");
    if (!/^application\/json\b/.test(request.headers["content-type"] ?? "")) return refusal(415, "the body must be JSON");
    return undefined;
  }

  /** A browser names the site it acts for; a program that names none acts for nobody but its user. */
  #isFromOurPage(request: HttpRequest, host: string): boolean {
    const { origin } = request.headers;
    const site = request.headers["sec-fetch-site"];
    if (origin === undefined) return site === undefined || site === "same-origin";
    const from = URL.canParse(origin) ? new URL(origin).host : undefined;
    return from !== undefined && (from === host || this.#options.hosts.includes(from));
  }

  get needsToken(): boolean {
    return this.#session !== undefined;
  }

  /** Whether the request carries the token, or the cookie that was given for it, or a trusted proxy does. True where none is asked for. */
  isKnown(request: HttpRequest): boolean {
    const { token } = this.#options;
    if (this.#proxies.has(plainAddress(request.peer))) return true;
    if (token === undefined || this.#session === undefined) return true;
    const { authorization } = request.headers;
    if (authorization?.startsWith("Bearer ") === true) return this.#attempt(authorization.slice("Bearer ".length)) === "right";
    const cookie = cookieOf(request);
    return cookie !== undefined && equal(cookie, this.#session);
  }

  /** Holds a text against the token; after too many wrong ones nobody is heard for the rest of the minute. */
  #attempt(text: string): "right" | "wrong" | "wait" {
    const { token, clock } = this.#options;
    const minute = Math.floor(clock.monotonicMs() / 60_000);
    if (minute !== this.#minute) [this.#minute, this.#attempts] = [minute, 0];
    if (this.#attempts >= limits.dashboardAttemptsPerMinuteMax) return "wait";
    if (token !== undefined && equal(text, token)) return "right";
    this.#attempts++;
    return "wrong";
  }

  /** Gives a browser its cookie for the token in the body, `{"token": "..."}`. */
  async signIn(request: HttpRequest): Promise<HttpReply> {
    let given: unknown;
    try {
      given = (JSON.parse(await request.body()) as { token?: unknown } | null)?.token;
    } catch {
      return refusal(400, "the body must be JSON");
    }
    const verdict = typeof given === "string" ? this.#attempt(given) : "wrong";
    if (verdict === "wait") return refusal(429, "too many wrong tokens; wait a minute");
    if (verdict === "wrong") return refusal(401, "this is not the token");
    // Without a path it is for this folder, wherever a proxy has put it.
    const cookie = `${COOKIE}=${this.#session!}; HttpOnly; SameSite=Strict; Max-Age=${COOKIE_AGE_SECONDS}`;
    return { status: 200, headers: { "set-cookie": `${cookie}${this.#options.secure ? "; Secure" : ""}` }, body: "\n" };
  }
}
