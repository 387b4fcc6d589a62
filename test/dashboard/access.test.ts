import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { systemClock } from "../../src/base/clock.ts";
import { Access } from "../../src/dashboard/access.ts";
import type { HttpRequest } from "../../src/dashboard/http-server.ts";
import { parseConfig } from "../../src/runtime/config.ts";
import { plainAddress } from "../../src/runtime/dashboard-config.ts";
import { ask, DashboardWorld } from "../support/dashboard-world.ts";
import { startIngress } from "../support/ingress.ts";
import { until } from "../support/until.ts";

const TOKEN = "0123456789abcdef0123";

function faults(dashboard: string): string[] {
  const groups = 'groups: [{ name: g, topic: "s/{d}", codec: json, model: m.onnx }]';
  try {
    parseConfig(
      `node: n\nstate: s\nmqtt: { url: "mqtt://127.0.0.1" }\ndashboard: ${dashboard}\n${groups}\n`,
      "/etc/h/config.yaml",
    );
  } catch (thrown) {
    return (thrown as Error).message.split("\n");
  }
  return [];
}

/** For the metrics, with the token. */
const asked = (peer: string, path = "metrics"): HttpRequest => ({
  method: "GET",
  path,
  query: new URLSearchParams(),
  headers: { host: "box.local", authorization: `Bearer ${TOKEN}` },
  peer,
  body: async () => "",
});

t.test("an address that others can reach needs a token, and a certificate or a proxy", async (t) => {
  for (const good of [
    "{}",
    "{ listen: 'localhost:0' }",
    "{ listen: '[::1]:8787' }",
    "{ listen: '127.8.8.8:80' }",
    "{ listen: '0.0.0.0:8787', tokenFile: t, behindProxy: true }",
    "{ listen: 'box.local:443', tokenEnv: T, tls: { cert: c, key: k } }",
  ]) {
    t.strictSame(faults(good), [], good);
  }
  const place = "/etc/h/config.yaml:4:22: dashboard.listen: ";
  t.strictSame(faults("{ listen: '0.0.0.0:8787' }"), [
    `${place}0.0.0.0:8787 can be reached from other machines: name a token for it with tokenFile or tokenEnv`,
    `${place}0.0.0.0:8787 can be reached from other machines: give it a certificate with tls, or say behindProxy: true where a proxy of yours encrypts in front of it`,
  ]);
  t.equal(faults("{ listen: '[::ffff:127.0.0.1]:1', behindProxy: true }").length, 1, "what is not plainly loopback is not");
  t.match(faults("{ listen: '8787' }"), [/expected host:port, such as 127\.0\.0\.1:8787/]);
  t.match(faults("{ listen: '127.0.0.1:70000' }"), [/the port is over 65535/]);
  t.match(faults("{ tokenFile: t, tokenEnv: T }"), [/the token comes from tokenFile already; name one of them/]);
});

t.test("an address that others can reach needs neither where only named proxies are answered", async (t) => {
  t.strictSame(faults("{ listen: '0.0.0.0:8099', trustedProxies: [172.30.32.2, 'fd00::1'] }"), []);
  t.equal(faults("{ listen: '0.0.0.0:8099', trustedProxies: [] }").length, 2, "none is no proxy");
  const place = "/etc/h/config.yaml:4:";
  const proxies = (list: string): string[] => faults(`{ trustedProxies: [${list}] }`);
  for (const wrong of ["172.30.32.0/23", "supervisor", "172.30.32.256", "''"]) {
    t.match(proxies(wrong), [/expected the address of a proxy, such as 172\.30\.32\.2: no name, and no range$/], wrong);
  }
  for (const local of ["127.0.0.1", "'::1'", "'::ffff:127.0.0.1'"]) {
    t.strictSame(proxies(local), [
      `${place}31: dashboard.trustedProxies[0]: ${local.replaceAll("'", "")} cannot be a trusted proxy: every program of this machine comes from it, a browser too: leave it out, and name its token and hosts`,
    ]);
  }
  t.match(proxies("10.0.0.1, 0.0.0.0"), [/trustedProxies\[1\]: 0\.0\.0\.0 cannot be a trusted proxy: nothing comes from it/]);
  t.match(proxies("'::'"), [/:: cannot be a trusted proxy: nothing comes from it/]);
});

t.test("an address is the same however it is written", async (t) => {
  for (const [written, plain] of [
    ["172.30.32.2", "172.30.32.2"],
    ["::ffff:172.30.32.2", "172.30.32.2"],
    ["::FFFF:ac1e:2002", "172.30.32.2"],
    ["::ffff:0:1", "0.0.0.1"],
    ["FD00:0:0::0001", "fd00::1"],
    ["fe80::1%eth0", "fe80::1"],
    ["", ""],
  ])
    t.equal(plainAddress(written!), plain!, written!);
});

t.test(
  "through a trusted proxy no token and no known name are asked for, but only its own page may change something",
  async (t) => {
    const root = t.testdir({ plain: { token: TOKEN }, mapped: { token: TOKEN } });
    for (const [name, listen] of [
      ["plain", "127.0.0.1:0"],
      // On such a socket the proxy's address is ::ffff:127.0.0.2.
      ["mapped", "[::ffff:127.0.0.1]:0"],
    ]) {
      const folder = join(root, name!);
      const dashboard = { listen, tokenFile: join(folder, "token"), trustedProxies: ["127.0.0.2"] };
      const world = await DashboardWorld.open({ folder, dashboard });
      t.teardown(() => world.close());
      const ingress = await startIngress(world.url.replace("[::ffff:127.0.0.1]", "127.0.0.1"), "127.0.0.2");
      t.teardown(() => ingress.close());
      const host = "home.example.net";
      const through = async (path: string, headers = {}): Promise<number> =>
        (await ask(`${ingress.url}${path}`, { headers: { host, ...headers } })).status;
      t.equal(await through(""), 200);
      t.equal(await through("metrics"), 200, "its people have signed in there");
      t.equal(await through("streams"), 200);
      t.equal(await through("live", { "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors" }), 403);
      const post = async (headers: Record<string, string>): Promise<number> => {
        const all = { host, "content-type": "application/json", ...headers };
        return (await ask(`${ingress.url}nothing`, { method: "POST", headers: all, body: "{}" })).status;
      };
      t.equal(await post({ origin: `https://${host}`, "sec-fetch-site": "same-origin" }), 404, "it was looked at");
      t.equal(await post({ origin: "https://evil.example.net" }), 403);
      t.equal(await post({ origin: `https://${host}:8443` }), 403, "another server of the same name");
      t.equal(await post({ "sec-fetch-site": "same-site" }), 403);
      t.equal(await post({ origin: `https://${host}`, "content-type": "text/plain" }), 415);

      t.equal((await world.ask("metrics")).status, 401, "from this machine the token is wanted");
      const bearer = { authorization: `Bearer ${TOKEN}` };
      t.equal((await world.ask("metrics", { headers: bearer })).status, 200);
      t.equal((await world.ask("metrics", { headers: { ...bearer, host } })).status, 421, "and a name that is known");
      const forged = { "x-forwarded-for": "127.0.0.2", "x-real-ip": "127.0.0.2", forwarded: "for=127.0.0.2" };
      t.equal(
        (await world.ask("metrics", { headers: forged })).status,
        401,
        "what a header says of where it comes from is not heard",
      );
    }
  },
);

t.test("where there are trusted proxies, nobody else from outside is answered, with the token neither", async (t) => {
  const options = { host: "0.0.0.0", hosts: ["box.local"], token: TOKEN, secure: false, clock: systemClock };
  const access = new Access({ ...options, trustedProxies: ["172.30.32.2", "FD00::0:2"] });
  const from = (peer: string, path?: string) => access.refusalOf(asked(peer, path));
  for (const peer of ["172.30.32.2", "::ffff:172.30.32.2", "fd00::2", "127.0.0.1", "::1", "::ffff:127.0.0.1", "127.9.9.9"])
    t.equal(from(peer), undefined, peer);
  for (const peer of ["172.30.32.3", "192.168.1.20", "::ffff:172.30.32.20", "fd00::3", "fe80::1%eth0", ""])
    t.equal(from(peer)?.status, 403, peer);
  t.equal(from("172.30.33.7", "healthz")?.status, 403, "health is no exception");
  t.equal(
    from("::ffff:172.30.33.7")?.body,
    "this dashboard answers only its own machine and the proxies that its config trusts, and you come from 172.30.33.7; go by way of the proxy, or name this in dashboard.trustedProxies\n",
  );
  t.equal(
    new Access({ ...options, trustedProxies: [] }).refusalOf(asked("192.168.1.20")),
    undefined,
    "without any it is as before",
  );
});

t.test("a name that nobody configured is refused, and so is a request from another site", async (t) => {
  const world = await DashboardWorld.open({ folder: t.testdir({}), dashboard: { hosts: ["box.local:8787", "ha.example.net"] } });
  t.teardown(() => world.close());
  const host = async (name: string): Promise<number> => (await world.ask("healthz", { headers: { host: name } })).status;
  for (const name of ["127.0.0.1:1", "localhost", "[::1]:8787", "BOX.local:8787", "ha.example.net", "ha.example.net:444"])
    t.equal(await host(name), 200, name);
  for (const name of ["evil.example.net", "box.local", "127.0.0.1.evil.example.net", "localhost.evil.example.net", "x"])
    t.equal(await host(name), 421, name);
  t.match((await world.ask("healthz", { headers: { host: "box:1" } })).body, /called "box"; name it in dashboard\.hosts/);

  const post = async (headers: Record<string, string>): Promise<number> =>
    (await world.ask("nothing", { method: "POST", headers: { "content-type": "application/json", ...headers }, body: "{}" }))
      .status;
  const own = world.url.replace(/\/$/, "");
  t.equal(await post({ origin: own, "sec-fetch-site": "same-origin" }), 404, "it was looked at");
  t.equal(await post({}), 404, "a program names no site");
  t.equal(await post({ origin: "http://ha.example.net" }), 404, "a proxy's own name that the config lists");
  for (const headers of [
    { origin: "http://evil.example.net" },
    { origin: "null" },
    { origin: "http://127.0.0.1:1" },
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
  ])
    t.equal(await post(headers as Record<string, string>), 403, JSON.stringify(headers));
  t.equal(await post({ "content-type": "text/plain" }), 415, "what a form of another site could send");
  t.equal((await world.ask("healthz", { method: "DELETE" })).status, 405);

  const foreign = { "sec-fetch-site": "cross-site" };
  t.equal((await world.ask("live", { headers: { ...foreign, "sec-fetch-mode": "cors" } })).status, 403);
  t.equal((await world.ask("", { headers: { ...foreign, "sec-fetch-mode": "navigate" } })).status, 200, "a link leads here");

  const { headers } = await world.ask("healthz");
  t.match(headers, {
    "content-security-policy": /^default-src 'none'; script-src 'self'; /,
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
  });
  t.notMatch(headers["content-security-policy"], /unsafe/);
});

t.test("with a token the metrics need it, in a header or by a browser's cookie, and guessing is slowed down", async (t) => {
  const folder = t.testdir({});
  writeFileSync(join(folder, "token"), `${TOKEN}\n`);
  const world = await DashboardWorld.open({ folder, dashboard: { tokenFile: join(folder, "token") } });
  t.teardown(() => world.close());
  t.equal((await world.ask("metrics")).status, 401);
  t.equal((await world.ask("healthz")).status, 200, "what tells nothing needs none");
  t.equal((await world.ask("readyz")).status, 200);
  const bearer = (token: string) => world.ask("metrics", { headers: { authorization: `Bearer ${token}` } });
  t.equal((await bearer(TOKEN)).status, 200);
  t.equal((await bearer(`${TOKEN}0`)).status, 401);
  const signIn = (body: string) =>
    world.ask("session", { method: "POST", headers: { "content-type": "application/json" }, body });
  t.equal((await signIn("no JSON")).status, 400);
  t.equal((await signIn("null")).status, 401);
  const { status, headers } = await signIn(JSON.stringify({ token: TOKEN }));
  t.equal(status, 200);
  const [cookie] = headers["set-cookie"]!;
  t.match(cookie, /^hiddenstate=[0-9a-f]{64}; HttpOnly; SameSite=Strict; Max-Age=2592000$/);
  t.notMatch(cookie, TOKEN);
  t.equal((await world.ask("metrics", { headers: { cookie: `a=b; ${cookie!.split(";")[0]}` } })).status, 200);
  t.equal((await world.ask("metrics", { headers: { cookie: "hiddenstate=0" } })).status, 401);
  for (let i = 0; i < 12; i++) await signIn(JSON.stringify({ token: `guess ${i}` }));
  t.match(await signIn(JSON.stringify({ token: TOKEN })), { status: 429, body: "too many wrong tokens; wait a minute\n" });
  t.equal((await world.ask("metrics", { headers: { cookie: cookie!.split(";")[0] } })).status, 200, "who is in stays in");
});

t.test("a token that could be guessed, or that is absent, is no token", async (t) => {
  const folder = t.testdir({ token: "short\n" });
  await t.rejects(DashboardWorld.open({ folder, dashboard: { tokenFile: join(folder, "token") } }), {
    code: "bad_config",
    message: /it has 5 characters, at least 16 are needed/,
  });
  await t.rejects(DashboardWorld.open({ folder, dashboard: { tokenEnv: "HIDDENSTATE_NO_SUCH" } }), {
    message: "cannot read the dashboard's token: the environment has no HIDDENSTATE_NO_SUCH",
  });
});

t.test("readiness says whether readings come in and predictions go out, and what is in the way", async (t) => {
  const world = await DashboardWorld.open({ folder: t.testdir({}) });
  t.teardown(() => world.close());
  await until("the sink is up", () => world.started.runtime.status().broker.sink);
  t.match(await world.ask("readyz"), { status: 200, body: "ready\n" });
  for (let sequence = 0; sequence < 3; sequence++) await world.publish("a", sequence);
  await until("they are settled", () => world.started.runtime.status().metrics["message_latency_count"] === 3);
  const { body, headers } = await world.ask("metrics");
  t.equal(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
  t.match(body, /^hiddenstate_readings_accepted_total 3$/m);
  t.match(body, /^hiddenstate_message_latency_seconds_count 3$/m);
  t.match(body, /^hiddenstate_group_streams\{group="presses"\} 1$/m);
  t.match(body, /^hiddenstate_disk_free_bytes \d{6,}/m);
  t.match((await world.ask("nowhere")).status, 404);
  await world.endBroker();
  await until(
    "it is noticed",
    () => !world.started.runtime.status().broker.intake && !world.started.runtime.status().broker.sink,
  );
  t.match(await world.ask("readyz"), { status: 503, body: "The broker cannot be reached\n" });
  t.match((await world.ask("metrics")).body, /^hiddenstate_ready 0$/m);
  t.equal((await world.ask("healthz")).status, 200, "it is alive all the same");
});
