import * as fc from "fast-check";
import t from "tap";
import {
  decodeStreamKey,
  encodeStreamKey,
  partStreamKey,
  validatePart,
  validateStreamKey,
} from "../../src/message/stream-key.ts";
import { parseTopicPattern } from "../../src/message/topic-pattern.ts";
import {
  alarmTopic,
  commandFilter,
  commandOf,
  commandTopic,
  deadLetterTopic,
  budgetTopic,
  healthTopic,
  isTopicName,
  latestTopic,
  layoutTopic,
  ownTopicFilters,
  predictionTopic,
  responseTopic,
  stateTopic,
  streamsTopic,
  updateChunkTopic,
  updatedGroupOf,
  updateFilter,
  updateReportTopic,
  updateTopic,
} from "../../src/message/topics.ts";
import { filterMatches } from "../support/filter-matches.ts";
import { rounds } from "../support/emulation.ts";

/** The stream keys of topics under a pattern. */
function keys(pattern: string, ...topics: string[]): (string | undefined)[] {
  const parsed = parseTopicPattern(pattern);
  return topics.map((topic) => parsed.match(topic));
}

t.test("something can be published on a topic without wildcards and NUL", async (t) => {
  for (const topic of ["a", "a//b", "/", "$SYS/x", "büro/1"]) t.ok(isTopicName(topic), topic);
  for (const topic of ["", "a/+", "a/#", "a+b", "a#", "a\0b"]) t.notOk(isTopicName(topic), JSON.stringify(topic));
});

t.test("captures make the key, and a plain + does not", async (t) => {
  t.same(keys("sensors/{device}/readings", "sensors/press-4/readings", "sensors/é x/readings"), ["press-4", "é x"]);
  t.same(keys("plant/{line}/{device}/imu", "plant/l1/d7/imu"), ["l1/d7"]);
  t.same(keys("plant/+/{device}/imu", "plant/l1/d7/imu"), ["d7"]);
  t.same(keys("{line}/x/{device}", "l1/x/d7"), ["l1/d7"]);
});

t.test("without captures the wildcards make the key, and without wildcards the topic is the key", async (t) => {
  t.same(keys("sensors/+/data", "sensors/d7/data"), ["d7"]);
  t.same(keys("a/+/b/+", "a/1/b/2"), ["1/2"]);
  t.same(keys("boiler/temperature", "boiler/temperature", "boiler", "boiler/temperature/x"), [
    "boiler/temperature",
    undefined,
    undefined,
  ]);
});

t.test("a # at the end captures the rest, with what was captured before it", async (t) => {
  t.same(keys("raw/#", "raw/a", "raw/a/b/c", "raw", "raw/"), ["a", "a/b/c", undefined, undefined]);
  t.same(keys("raw/{site}/#", "raw/s1/a/b", "raw/s1"), ["s1/a/b", "s1"]);
  t.same(keys("raw/+/#", "raw/s1/a"), ["s1/a"]);
});

t.test("topics of another shape, with empty levels, of the broker, or without a valid key are not matched", async (t) => {
  t.same(
    keys(
      "sensors/{device}/readings",
      "sensors/d7",
      "sensors/d7/readings/x",
      "sensors//readings",
      "Sensors/d7/readings",
      "xsensors/d7/readings",
      "",
    ),
    Array(6).fill(undefined),
  );
  t.same(keys("{device}/readings", "$SYS/readings", "d7/readings"), [undefined, "d7"]);
  t.same(keys("$SYS/broker/+", "$SYS/broker/uptime"), ["uptime"]);
  t.same(keys("sensors/{device}", `sensors/${"x".repeat(128)}`, `sensors/${"x".repeat(129)}`, "sensors/a\u0007"), [
    "x".repeat(128),
    undefined,
    undefined,
  ]);
});

t.test("the layout topic of a device lies below its readings", async (t) => {
  t.equal(layoutTopic("sensors/d7/readings"), "sensors/d7/readings/layout");
  const plain = parseTopicPattern("sensors/{device}/readings");
  t.equal(plain.filter, "sensors/+/readings");
  t.equal(plain.layoutFilter, "sensors/+/readings/layout");
  t.equal(plain.allowsParts, true);
  t.equal(plain.matchLayout("sensors/d7/readings/layout"), "d7");
  t.equal(plain.matchLayout("sensors/d7/readings"), undefined);
  t.equal(plain.match("sensors/d7/readings/layout"), undefined);
  const open = parseTopicPattern("raw/#");
  t.equal(open.filter, "raw/#");
  t.equal(open.layoutFilter, "raw/#");
  t.equal(open.allowsParts, false);
  t.equal(open.match("raw/a/layout"), undefined);
  t.equal(open.matchLayout("raw/a/layout"), "a");
  const fixed = parseTopicPattern("boiler");
  t.equal(fixed.layoutFilter, "boiler/layout");
  t.equal(fixed.matchLayout("boiler/layout"), "boiler");
});

t.test("a malformed pattern is refused with what is allowed", async (t) => {
  const cases: [string, RegExp][] = [
    ["", /it is empty; write levels such as sensors\/\{device\}\/readings/],
    ["a/#/b", /"#" stands before the end; a level is plain text, \{name\}, \+ or, at the end, #/],
    ["a/x{device}", /the level "x\{device\}" is none of these: a level is plain text/],
    ["a/{device", /the level "\{device" is none of these/],
    ["a/{}", /the level "\{\}" is none of these/],
    ["a/{1}", /the level "\{1\}" is none of these/],
    ["a/b+", /the level "b\+" is none of these/],
    ["a/b#", /the level "b#" is none of these/],
    ["a/{d}/{d}", /captures the same name twice/],
    ["a/\u0000", /holds a control character/],
    ["$share/g/sensors/+", /leave out \$share/],
    ["x".repeat(129), /as a stream key, it has 129 bytes, at most 128 are allowed; name the stream by a \{capture\}/],
  ];
  for (const [pattern, message] of cases) t.throws(() => parseTopicPattern(pattern), { code: "bad_argument", message }, pattern);
});

t.test("a pattern that would catch what the node publishes itself is refused", async (t) => {
  const message = /would also catch hiddenstate\/.*, which the runtime uses itself; begin it with a plain level/;
  for (const pattern of [
    "#",
    "+/#",
    "{a}/{b}/dead-letter",
    "{a}/+/{c}",
    "hiddenstate/#",
    "hiddenstate/{n}/prediction/{s}",
    "+/+/command/+",
  ]) {
    t.throws(() => parseTopicPattern(pattern), { code: "bad_argument", message }, pattern);
    t.throws(() => parseTopicPattern(pattern, "box"), { code: "bad_argument", message }, `${pattern} on box`);
  }
  for (const pattern of ["hiddenstate/box/prediction/{s}", "{a}/box/{b}"]) {
    t.throws(() => parseTopicPattern(pattern, "box"), { code: "bad_argument", message }, pattern);
    t.doesNotThrow(() => parseTopicPattern(pattern, "crate"), `${pattern} on another node`);
    t.doesNotThrow(() => parseTopicPattern(pattern), pattern);
  }
  for (const pattern of ["{device}/readings", "{site}/sensors/{device}", "hiddenstate/readings", "plant/#", "{a}/{b}/c/d"]) {
    t.doesNotThrow(() => parseTopicPattern(pattern, "box"), pattern);
  }
});

t.test("for any pattern and topic, what is matched is what the broker's filter catches, less keys that cannot be", async (t) => {
  const level = fc.constantFrom("a", "b", "{x}", "{y}", "+");
  const patterns = fc
    .tuple(fc.array(level, { minLength: 1, maxLength: 4 }), fc.boolean())
    .map(([levels, open]) => ["s", ...levels, ...(open ? ["#"] : [])].join("/"));
  const topics = fc
    .array(fc.constantFrom("a", "b", "s", "c"), { minLength: 0, maxLength: 6 })
    .map((levels) => ["s", ...levels].join("/"));
  let matched = 0;
  fc.assert(
    fc.property(patterns, topics, (text, topic) => {
      fc.pre(new Set(text.match(/\{.\}/g)).size === (text.match(/\{.\}/g)?.length ?? 0));
      const pattern = parseTopicPattern(text);
      const caught = filterMatches(pattern.filter, topic);
      const key = pattern.match(topic);
      if (key !== undefined) matched++;
      const isOnlyPrefix = text.endsWith("/#") && key === undefined && caught;
      return caught === (key !== undefined) || isOnlyPrefix;
    }),
    { seed: 8, numRuns: rounds(3000) },
  );
  t.ok(matched > rounds(3000) / 30, "matches came up");
});

t.test("a stream key is 1 to 128 bytes of UTF-8 without control characters", async (t) => {
  for (const key of ["a", "plant/l1/d7", "é".repeat(64), "😀", " ", "a+b#%"]) t.equal(validateStreamKey(key), undefined, key);
  t.equal(validateStreamKey(""), "it is empty");
  t.equal(validateStreamKey("é".repeat(65)), "it has 130 bytes, at most 128 are allowed");
  for (const key of ["a\n", "\u0000", "\u007f", "\u0085", "\ud800", "\udc00x"]) {
    t.equal(validateStreamKey(key), "it holds a control character or a broken surrogate pair", JSON.stringify(key));
  }
});

t.test("a part stands below its device and nowhere else", async (t) => {
  for (const part of ["x", "motor/bearing-2", "...", "a.b"]) t.equal(validatePart(part), undefined, part);
  for (const part of ["/x", "x/", "a//b", "/"]) t.equal(validatePart(part), "it has an empty level", part);
  t.equal(validatePart(".."), 'it has the level ".."');
  t.equal(validatePart("a/./b"), 'it has the level "."');
  t.equal(validatePart(""), "it is empty");
  t.equal(partStreamKey("d7", "x"), "d7/x");
  t.equal(partStreamKey("d7", undefined), "d7");
});

t.test("a key is one topic level in A-Za-z0-9._- and %XX, and comes back from it", async (t) => {
  t.equal(encodeStreamKey("press-4_A.b"), "press-4_A.b");
  t.equal(encodeStreamKey("line 1/d7"), "line%201%2Fd7");
  t.equal(encodeStreamKey("é+#%😀"), "%C3%A9%2B%23%25%F0%9F%98%80");
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", minLength: 1, maxLength: 30 }), (key) => {
      const encoded = encodeStreamKey(key);
      return /^(?:[A-Za-z0-9._-]|%[0-9A-F]{2})+$/.test(encoded) && decodeStreamKey(encoded) === key;
    }),
    { seed: 9, numRuns: rounds(1000) },
  );
  for (const level of ["", "a/b", "%4", "%zz", "%41", "%2f", "é", "%C3"]) {
    t.throws(
      () => decodeStreamKey(level),
      { code: "bad_argument", message: new RegExp(`cannot decode the topic level "${level}"`) },
      level,
    );
  }
});

t.test("our own topics lie below hiddenstate/<node>, each caught by its filter", async (t) => {
  const topics = [
    predictionTopic("box-1", "l1/d7"),
    latestTopic("box-1", "l1/d7"),
    alarmTopic("box-1", "l1/d7"),
    budgetTopic("box-1", "l1/d7"),
    deadLetterTopic("box-1"),
    commandTopic("box-1", "state-reset"),
    responseTopic("box-1", "a b"),
    stateTopic("box-1"),
    healthTopic("box-1"),
    streamsTopic("box-1"),
    updateTopic("box-1", "g"),
    updateChunkTopic("box-1", "g", "5f0c", 12),
    updateReportTopic("box-1", "g"),
  ];
  t.same(topics, [
    "hiddenstate/box-1/prediction/l1%2Fd7",
    "hiddenstate/box-1/prediction/l1%2Fd7/latest",
    "hiddenstate/box-1/alarm/l1%2Fd7",
    "hiddenstate/box-1/budget/l1%2Fd7",
    "hiddenstate/box-1/dead-letter",
    "hiddenstate/box-1/command/state-reset",
    "hiddenstate/box-1/response/a%20b",
    "hiddenstate/box-1/state",
    "hiddenstate/box-1/health",
    "hiddenstate/box-1/streams",
    "hiddenstate/box-1/update/g",
    "hiddenstate/box-1/update/g/5f0c/12",
    "hiddenstate/box-1/update-report/g",
  ]);
  topics.forEach((topic, i) => t.ok(filterMatches(ownTopicFilters("box-1")[i]!, topic), topic));
  t.equal(commandFilter("box-1"), "hiddenstate/box-1/command/+");
  t.equal(commandOf("box-1", "hiddenstate/box-1/command/state-reset"), "state-reset");
  t.equal(updateFilter("box-1"), "hiddenstate/box-1/update/+");
  t.equal(updatedGroupOf("box-1", "hiddenstate/box-1/update/g"), "g");
  for (const topic of ["hiddenstate/box-2/update/g", "hiddenstate/box-1/update/g/5f0c/1", "hiddenstate/box-1/update/"]) {
    t.equal(updatedGroupOf("box-1", topic), undefined, topic);
  }
  for (const topic of [
    "hiddenstate/box-2/command/x",
    "hiddenstate/box-1/command/",
    "hiddenstate/box-1/command/X!",
    "hiddenstate/box-1/command/a/b",
  ]) {
    t.equal(commandOf("box-1", topic), undefined, topic);
  }
});

t.test("names that would break a topic are refused", async (t) => {
  for (const node of ["", "a/b", "a+", "x".repeat(65), "é"]) {
    t.throws(
      () => predictionTopic(node, "s"),
      { code: "bad_argument", message: /as the name of a node: 1 to 64 of the characters A-Za-z0-9\._- are allowed/ },
      node,
    );
  }
  t.throws(() => commandTopic("box", "Set State"), {
    code: "bad_argument",
    message: /as the name of a command: 1 to 64 of a-z, 0-9 and -/,
  });
  t.throws(() => responseTopic("box", ""), {
    code: "bad_argument",
    message: /as a transaction: it has 0 bytes, 1 to 128 are allowed/,
  });
  t.throws(() => responseTopic("box", "é".repeat(65)), { code: "bad_argument", message: /it has 130 bytes/ });
});
