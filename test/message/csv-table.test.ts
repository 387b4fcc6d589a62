import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import t from "tap";
import type { Test } from "tap";
import { limits } from "../../src/base/limits.ts";
import { detectDelimiter } from "../../src/message/csv-rows.ts";
import { parseCsv } from "../../src/message/csv-table.ts";
import type { CsvOptions } from "../../src/message/csv-table.ts";
import { parseIsoTime } from "../../src/message/iso-time.ts";
import { sliceStream } from "../../src/message/reading-table.ts";
import type { TableStream } from "../../src/message/reading-table.ts";
import { createTimeZone } from "../../src/message/time-zone.ts";
import { sharedData } from "../support/shared-data.ts";
import { rounds } from "../support/emulation.ts";

const simple: CsvOptions = { origin: "plant.csv", timeColumn: "time" };

function refuses(tap: Test, text: string, message: RegExp | string, options: CsvOptions = simple): void {
  tap.throws(() => parseCsv(text, options), { code: "bad_argument", message }, String(message));
}

/** The only stream of a table. */
function rows(text: string, options: Partial<CsvOptions> = {}): TableStream {
  const { streams } = parseCsv(text, { ...simple, ...options });
  if (streams.length !== 1) throw new Error(`one stream was expected, ${streams.length} came`);
  return streams[0]!;
}

/** Times of a column with one value a row. */
function times(values: readonly string[], options: Partial<CsvOptions> = {}): string[] {
  const text = `time\tv\n${values.map((value) => `${value}\t1\n`).join("")}`;
  return Array.from(rows(text, options).times, (time) => new Date(time).toISOString());
}

t.test("a table of readings: columns in the order asked for, streams by their column, rows as they come", async (t) => {
  const text = "time,id,a,b,note\n2024-01-01 00:00:05,x,1,10,p\n2024-01-01 00:00:00,y,2,,q\n2024-01-01 00:00:05,x,-3.5e1,30,r\n";
  const table = parseCsv(text, { ...simple, streamColumn: "id", features: ["b", "a"] });
  const at = Date.UTC(2024, 0, 1);
  t.same(table, {
    features: ["b", "a"],
    streams: [
      { key: "x", count: 2, times: Float64Array.of(at + 5000, at + 5000), values: Float32Array.of(10, 1, 30, -35) },
      { key: "y", count: 1, times: Float64Array.of(at), values: Float32Array.of(Number.NaN, 2) },
    ],
  });
  t.same(sliceStream(table.streams[0]!, 1, 2), {
    key: "x",
    count: 1,
    times: Float64Array.of(at + 5000),
    values: Float32Array.of(30, -35),
  });
});

t.test("without features all other named columns are features, and without a stream column there is one stream", async (t) => {
  const table = parseCsv("time,a,,b\n1700000000,1,,2\n", simple);
  t.same(table.features, ["a", "b"]);
  t.same(table.streams, [{ key: "", count: 1, times: Float64Array.of(1_700_000_000_000), values: Float32Array.of(1, 2) }]);
});

t.test(
  "byte order marks, CRLF, bare CR, quotes, line breaks in quotes, blank lines and a missing last line end are read",
  async (t) => {
    const at = "2024-01-01";
    t.same(rows(`\uFEFF"time","a, b"\r\n${at}, 1 \r\n\r\n"${at}","2"`).values, Float32Array.of(1, 2));
    t.same(rows(`time,a\r${at},1\r${at},2\r`).values, Float32Array.of(1, 2));
    const quoted = parseCsv(`time,"a ""x""\nb",id\n${at},1,"s,1"\n`, { ...simple, streamColumn: "id" });
    t.same(quoted.features, ['a "x"\nb']);
    t.equal(quoted.streams[0]?.key, "s,1");
  },
);

t.test("empty columns and rows at the end, as spreadsheets leave them, are passed over", async (t) => {
  t.same(rows("time;a;;\n2024-01-01;1;;\n2024-01-02;2;;;;\n;;;\n;;;\n").values, Float32Array.of(1, 2));
});

t.test("the delimiter is what the header holds most of, quotes aside", async (t) => {
  t.equal(detectDelimiter("time,a\n1;2;3\n"), ",");
  t.equal(detectDelimiter('time;"a,b,c";d'), ";");
  t.equal(detectDelimiter("time\ta\r\n"), "\t");
  t.equal(detectDelimiter("time"), ",");
});

t.test("decimal commas are read where a comma is not the delimiter, or where asked for", async (t) => {
  t.same(rows("time;a;b\n2024-01-01;2,5;1e3\n2024-01-02;-0,5;,5\n").values, Float32Array.of(2.5, 1000, -0.5, 0.5));
  t.same(rows("time;a\n2024-01-01;2.5\n").values, Float32Array.of(2.5));
  t.same(rows('time,a\n2024-01-01,"2,5"\n', { decimalComma: true }).values, Float32Array.of(2.5));
  refuses(
    t,
    "time;a\n2024-01-01;2,5\n2024-01-01;1.360\n",
    "cannot read plant.csv: line 3, column 2 (a): 1.360 has a decimal dot, but this file's decimal sign is the comma; signs between thousands are not read",
  );
  refuses(t, "time;a\n2024-01-01;2,5\n", /2,5 has a decimal comma, but this file's decimal sign is the dot/, {
    ...simple,
    decimalComma: false,
  });
  refuses(t, 'time,a\n2024-01-01,"2,5"\n', /decimal sign is the dot/);
  refuses(t, "time;a\n2024-01-01;1.360,5\n", /"1\.360,5" is not a number/);
});

t.test("empty fields, NA, NaN, null and the marks given are missing, whatever their case or zeros", async (t) => {
  const text = "time,a,b\n2024-01-01,,NA\n2024-01-01,nan,NULL\n2024-01-01,-200,-200.0\n2024-01-01,BAD,7\n";
  const { values } = rows(text, { missing: ["-200", "bad"] });
  t.same(Array.from(values, Number.isNaN), [true, true, true, true, true, true, true, false]);
  t.equal(rows(text, { missing: ["bad"] }).values[4], -200);
});

t.test("ISO times with and without zones, several columns joined, and the zone of the rest", async (t) => {
  const values = [
    "2013-12-02 21:15:00",
    "2013-12-02T21:15:00.5Z",
    "2013/12/02 21:15",
    "2013-12-02 21:15:00 +02:00",
    "2013-12-02",
  ];
  t.same(times(values), [
    "2013-12-02T21:15:00.000Z",
    "2013-12-02T21:15:00.500Z",
    "2013-12-02T21:15:00.000Z",
    "2013-12-02T19:15:00.000Z",
    "2013-12-02T00:00:00.000Z",
  ]);
  t.same(times(values.slice(0, 2), { timezone: "+01:00" }), ["2013-12-02T20:15:00.000Z", "2013-12-02T21:15:00.500Z"]);
  const joined = rows("Date,Time,a\n2013-12-02,21:15:00,1\n", { timeColumn: "Date,Time" });
  t.equal(joined.times[0], Date.UTC(2013, 11, 2, 21, 15));
});

t.test("day-first and month-first dates are told apart by the file, and by the option where the file cannot", async (t) => {
  t.same(times(["10/03/2004 18.00.00", "31/03/2004 19:30"]), ["2004-03-10T18:00:00.000Z", "2004-03-31T19:30:00.000Z"]);
  t.same(times(["10/03/2004", "03/31/2004"]), ["2004-10-03T00:00:00.000Z", "2004-03-31T00:00:00.000Z"]);
  t.same(times(["1.2.2024 0:00:00,5"]), ["2024-02-01T00:00:00.500Z"]);
  t.same(times(["1/2/2024"], { timeFormat: "mdy" }), ["2024-01-02T00:00:00.000Z"]);
  refuses(t, "time,a\n1/2/2024,1\n2/2/2024,1\n", /day-first or month-first; say which by the time format dmy or mdy/);
  refuses(
    t,
    "time,a\n31/3/2024,1\n3/31/2024,1\n",
    /line 3, column 1 \(time\): "3\/31\/2024" is no time of the format dmy, as the others are/,
  );
  refuses(t, "time,a\n30/2/2024,1\n", /line 2, column 1 \(time\): "30\/2\/2024" is no time of the format dmy/);
});

t.test("seconds and milliseconds since 1970 are told apart by their size", async (t) => {
  t.same(times(["1700000000", "1700000000.25"]), ["2023-11-14T22:13:20.000Z", "2023-11-14T22:13:20.250Z"]);
  t.same(times(["1700000000123"]), ["2023-11-14T22:13:20.123Z"]);
  t.same(times(["1700000000"], { timeFormat: "milliseconds" }), ["1970-01-20T16:13:20.000Z"]);
});

t.test("every error names the file, the line and the column", async (t) => {
  const row = "2024-01-01,1,2\n";
  refuses(t, "", "cannot read plant.csv: it is empty; a line of column names is expected first");
  refuses(t, "time,a\n", "cannot read plant.csv: it has no rows");
  refuses(t, "t,a\n", 'cannot read plant.csv: it has no column "time"; its columns are t, a');
  refuses(t, "time,a,a\n", 'cannot read plant.csv: it has two columns "a"');
  refuses(t, "time\n2024-01-01\n", "cannot read plant.csv: no column is left to be a feature");
  refuses(t, `time,a,b\n${row}\n2024-01-01,1\n`, "cannot read plant.csv: line 4 has 2 fields, the header has 3");
  refuses(t, `time,a,b\n${row}2024-01-01,1,2,3\n`, "cannot read plant.csv: line 3 has 4 fields, the header has 3");
  refuses(t, `time,a,b\n"2024-01-01",1,"2\n3"\n${row}2024-01-01,1,x y\n`, /line 2, column 3 \(b\): "2\\n3" is not a number/);
  refuses(
    t,
    `time,a,b\n${row}2024-01-01,1,x y\n`,
    'cannot read plant.csv: line 3, column 3 (b): "x y" is not a number; if it marks a missing value, name it as one',
  );
  for (const bad of ["0x10", "1e", "--1", "Infinity", "1_000", "1 000"])
    refuses(t, `time,a\n2024-01-01,${bad}\n`, /column 2 \(a\): ".*" is not a number/);
  refuses(t, "time,a\n2024-01-01,1e39\n", /line 2, column 2 \(a\): 1e39 is beyond the range of float32/);
  refuses(t, "time,a\nsoon,1\n", /line 2, column 1 \(time\): "soon" is no time/);
  refuses(t, "time,a\n2024-01-01,1\n,1\n", /line 3, column 1 \(time\): "" is no time of the format iso/);
  refuses(t, 'time,a\n2024-01-01,"1\n', "cannot read plant.csv: line 2, column 2: its quote is not closed");
  refuses(t, 'time,a\n2024-01-01,"1"2\n', "cannot read plant.csv: line 2, column 2: text follows its closing quote");
  refuses(t, "time,a,id\n2024-01-01,1,\n", /line 2, column 3 \(id\): "" cannot name a stream: it is empty/, {
    ...simple,
    streamColumn: "id",
  });
  const many = Array.from({ length: limits.streamsMax + 1 }, (_, i) => `1700000000,1,s${i}\n`).join("");
  refuses(t, `time,a,id\n${many}`, /it has more than 10000 streams/, { ...simple, streamColumn: "id" });
  refuses(t, "time,a\n2024-01-01,1\n", /cannot use time zone "Middle\/Earth": write UTC, an offset as \+01:00 or a name/, {
    ...simple,
    timezone: "Middle/Earth",
  });
  refuses(t, "t,a\n", /^cannot read CSV: /, { timeColumn: "time" });
});

t.test("a zone's clocks: offsets, winter and summer, the hour shown twice and the hour never shown", async (t) => {
  const berlin = createTimeZone("Europe/Berlin");
  const utc = (face: string): string => new Date(berlin.toUtcMs(parseIsoTime(face)!.ms)).toISOString();
  t.equal(utc("2024-01-15T12:00:00"), "2024-01-15T11:00:00.000Z");
  t.equal(utc("2024-07-15T12:00:00"), "2024-07-15T10:00:00.000Z");
  t.equal(utc("2024-03-31T01:59:59"), "2024-03-31T00:59:59.000Z");
  t.equal(utc("2024-03-31T02:30:00"), "2024-03-31T01:30:00.000Z", "never shown: as much after the jump");
  t.equal(utc("2024-03-31T03:00:00"), "2024-03-31T01:00:00.000Z");
  t.equal(utc("2024-10-27T02:30:00"), "2024-10-27T00:30:00.000Z", "shown twice: the first");
  t.equal(utc("2024-10-27T03:00:00"), "2024-10-27T02:00:00.000Z");
  t.equal(createTimeZone("utc").toUtcMs(5), 5);
  t.equal(createTimeZone("-03:30").toUtcMs(0), 12_600_000);
  t.equal(new Date(createTimeZone("Asia/Kathmandu").toUtcMs(Date.UTC(2024, 0, 1))).toISOString(), "2023-12-31T18:15:00.000Z");
  for (const bad of ["", "+25:00", "GMT+1x"]) t.throws(() => createTimeZone(bad), { code: "bad_argument" }, bad);
});

t.test("what a table is written to, it is read from again", async (t) => {
  const cell = fc.option(fc.float({ noNaN: true, noDefaultInfinity: true }), { nil: undefined });
  const row = fc.record({
    key: fc.string({ minLength: 1, maxLength: 8 }).filter((key) => key.trim() === key && !/[\p{Cc}]/u.test(key)),
    cells: fc.tuple(cell, cell),
  });
  fc.assert(
    fc.property(
      fc.array(row, { minLength: 1, maxLength: 30 }),
      fc.constantFrom(",", ";", "\t"),
      fc.constantFrom("\n", "\r\n"),
      (list, delimiter, end) => {
        const lines = list.map(({ key, cells }, i) => {
          const fields = [
            String(1_700_000_000_000 + i),
            `"${key.replaceAll('"', '""')}"`,
            ...cells.map((value) => (value === undefined ? "" : String(value))),
          ];
          return fields.join(delimiter);
        });
        const text = [["time", "id", "a", "b"].join(delimiter), ...lines].join(end);
        const table = parseCsv(text, { ...simple, streamColumn: "id" });
        const expected = new Map<string, number[]>();
        for (const { key, cells } of list)
          expected.set(key, [...(expected.get(key) ?? []), ...cells.map((value) => value ?? Number.NaN)]);
        t.same(Object.fromEntries(table.streams.map(({ key, values }) => [key, [...values]])), Object.fromEntries(expected));
      },
    ),
    { seed: 6, numRuns: rounds(200) },
  );
});

t.test("a file of 200,000 rows is read whole", async (t) => {
  const line = "2024-01-01 00:00:00,12.5,13.5\n";
  const table = rows(`time,a,b\n${line.repeat(200_000)}`);
  t.equal(table.count, 200_000);
  t.equal(table.values[399_999], 13.5);
});

const airQuality = sharedData("sensors", "airquality", "AirQualityUCI.csv");
t.test(
  "the UCI air quality file: dates and times in two columns, -200 as missing",
  { skip: airQuality === undefined && "../shared/data is missing" },
  async (t) => {
    const text = readFileSync(airQuality!, "utf8");
    const options: CsvOptions = { timeColumn: "Date,Time", missing: ["-200"], features: ["CO_GT", "T", "NMHC_GT"] };
    const { streams } = parseCsv(text, options);
    const { count, times: at, values } = streams[0]!;
    t.equal(count, 9357);
    t.equal(new Date(at[0]!).toISOString(), "2004-03-10T18:00:00.000Z");
    t.equal(new Date(at[count - 1]!).toISOString(), "2005-04-04T14:00:00.000Z");
    t.same([...values.subarray(0, 3)], [Math.fround(2.6), Math.fround(13.6), 150]);
    t.equal(values.filter((value, i) => i % 3 === 0 && Number.isNaN(value)).length, 1683);
    t.notOk(values.includes(-200));
    // The same rows as the file was first published: semicolons, decimal commas, dots in times, empty columns and rows.
    const original = text
      .trimEnd()
      .split(/\r?\n/)
      .map((line, i) => {
        const fields = line.split(",");
        return i === 0
          ? [...fields, "", ""].join(";")
          : [fields[0], fields[1]!.replaceAll(":", "."), ...fields.slice(2).map((field) => field.replace(".", ",")), "", ""].join(
              ";",
            );
      });
    const again = parseCsv([...original, ";".repeat(16), ";".repeat(16)].join("\r\n"), options);
    t.same(again.streams[0], streams[0]);
  },
);

const machine = sharedData("nab", "data", "realKnownCause", "machine_temperature_system_failure.csv");
t.test(
  "the NAB machine temperature file: the jump an hour back, and the times it repeats, stay as they are",
  { skip: machine === undefined && "../shared/data is missing" },
  async (t) => {
    const { streams, features } = parseCsv(readFileSync(machine!, "utf8"), { timeColumn: "timestamp" });
    const { count, times: at, values } = streams[0]!;
    t.same(features, ["value"]);
    t.equal(count, 22_695);
    t.equal(values[0], Math.fround(73.96732207));
    let backwards = 0;
    for (let i = 1; i < count; i++) {
      if (at[i]! < at[i - 1]!) backwards++;
    }
    t.equal(backwards, 1);
    t.equal(count - new Set(at).size, 12, "times that were there before");
  },
);
