// The kernels' speed: npm run bench:kernels -- [--json] [--cells rnn,gru,lstm] [--hidden 16,32,64,128,256] [--batches 1,64,1024]
// [--rounds 9] [--processes 3] [--kernel relaxed|plain|scalar]. Every process measures all rows; what is printed are medians over them.
import { execFileSync } from "node:child_process";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { fastestKernel } from "../src/kernels/open-network.ts";
import type { Kernel } from "../src/kernels/recurrent-network.ts";
import { bytesPerStream, measureRows } from "./kernel-rows.ts";
import { median } from "./median.ts";
import type { Cell, Plan, Row } from "./kernel-rows.ts";

interface Report {
  readonly rows: Row[];
  /** Operations a nanosecond. */
  readonly peak: number;
  readonly onnxruntime: string | null;
}

const { values } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    cells: { type: "string", default: "rnn,gru,lstm" },
    hidden: { type: "string", default: "16,32,64,128,256" },
    batches: { type: "string", default: "1,64,1024" },
    rounds: { type: "string", default: "9" },
    processes: { type: "string", default: "3" },
    kernel: { type: "string", default: fastestKernel() },
    /** What a process of several runs: itself once, its report on standard output. */
    report: { type: "boolean", default: false },
  },
});
const numbers = (list: string): number[] => list.split(",").map(Number);
const plan: Plan = {
  cells: values.cells.split(",") as Cell[],
  hidden: numbers(values.hidden),
  batches: numbers(values.batches),
  rounds: Number(values.rounds),
  kernel: values.kernel as Kernel,
};

function runProcess(): Report {
  const script = fileURLToPath(import.meta.url);
  const output = execFileSync(process.execPath, [script, ...process.argv.slice(2), "--report"], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  return JSON.parse(output) as Report;
}

/** The median over processes of each of a row's numbers. */
function mergeRows(rows: readonly Row[]): Row {
  const middle = (pick: (row: Row) => number): number => median(rows.map(pick));
  const known = (pick: (row: Row) => number | null): number | null =>
    pick(rows[0]!) === null ? null : middle((row) => pick(row)!);
  return {
    ...rows[0]!,
    nativeNs: middle((row) => row.nativeNs),
    onnxNs: known((row) => row.onnxNs),
    ratio: known((row) => row.ratio),
    onnxChunkNs: known((row) => row.onnxChunkNs),
    gflops: middle((row) => row.gflops),
    peakShare: middle((row) => row.peakShare),
  };
}

function printTable(rows: readonly Row[], reports: readonly Report[]): void {
  const times = (theirs: number | null, ours: number): string => (theirs === null ? "-" : `${(theirs / ours).toFixed(2)} x`);
  const ns = (time: number | null): string => (time === null ? "-" : time < 1000 ? time.toFixed(1) : time.toFixed(0));
  console.log(`${cpus()[0]?.model ?? "unknown processor"}, Node ${process.version}, kernel ${rows[0]!.kernel}`);
  console.log(
    `best multiply-add rate: ${median(reports.map(({ peak }) => peak)).toFixed(1)} GFLOP/s; onnxruntime ${reports[0]!.onnxruntime ?? "not installed"}, 1 thread`,
  );
  console.log("nanoseconds a stream-step; D = 8, a head of 8; x: onnxruntime's time over ours\n");
  console.log("cell  hidden  batch    native   GFLOP/s  of best   onnx 1 step          onnx 64 steps");
  for (const row of rows) {
    const { cell, hidden, batch, nativeNs, onnxNs, onnxChunkNs, gflops, peakShare } = row;
    const columns = [
      cell.padEnd(4),
      String(hidden).padStart(7),
      String(batch).padStart(6),
      ns(nativeNs).padStart(9),
      gflops.toFixed(1).padStart(9),
      `${(100 * peakShare).toFixed(0)} %`.padStart(8),
      ns(onnxNs).padStart(9),
      times(onnxNs, nativeNs).padStart(9),
      ns(onnxChunkNs).padStart(9),
      times(onnxChunkNs, nativeNs).padStart(9),
    ];
    console.log(columns.join(" "));
  }
  console.log(
    `\n${bytesPerStream(plan.kernel).toFixed(1)} bytes a stream with 100,000 streams of a GRU with 32 units (its state is 128)`,
  );
}

if (values.report) {
  process.stdout.write(JSON.stringify(await measureRows(plan)));
} else {
  const reports = Array.from({ length: Number(values.processes) }, runProcess);
  const rows = reports[0]!.rows.map((_, index) => mergeRows(reports.map((report) => report.rows[index]!)));
  if (values.json) for (const row of rows) console.log(JSON.stringify(row));
  else printTable(rows, reports);
}
