// `npm run real-readings [-- FILE.csv]`: the series of NAB's machine temperature, or another of the same columns.
import { PARITY_TOLERANCE } from "../../src/engine/parity.ts";
import { sharedData } from "../support/shared-data.ts";
import { runRealReadings, SERIES } from "./real-readings-run.ts";

const csv = process.argv[2] ?? sharedData(SERIES);
if (csv === undefined) {
  console.log(`skipped: ${SERIES} is not here; name the file (Numenta Anomaly Benchmark, ${SERIES})`);
  process.exit(0);
}
const report = await runRealReadings(csv, (text) => process.stdout.write(text));
console.log(JSON.stringify(report, undefined, 2));
const { rmse, worstDifference, predictions, rows } = report;
const passed =
  predictions === rows &&
  worstDifference <= PARITY_TOLERANCE &&
  rmse.model < rmse.persistence &&
  rmse.model < rmse.autoregression6;
console.log(passed ? "passed" : "failed");
process.exit(passed ? 0 : 1);
