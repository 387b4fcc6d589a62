import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { parseConfig } from "../../src/runtime/config.ts";
import { DashboardWorld } from "../support/dashboard-world.ts";
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
