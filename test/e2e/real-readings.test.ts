import t from "tap";
import { PARITY_TOLERANCE } from "../../src/engine/parity.ts";
import { mosquittoMissing } from "../support/mosquitto.ts";
import { sharedData } from "../support/shared-data.ts";
import { runRealReadings, SERIES } from "./real-readings-run.ts";

const csv = sharedData(SERIES);
const skip = csv === undefined ? `the series ${SERIES} is not here` : mosquittoMissing();

t.test(
  "real readings, streamed over a kill, are predicted as offline, and better than by persistence and AR(6)",
  { skip, timeout: 240_000 },
  async (t) => {
    const { rows, predictions, restartedAfter, worstDifference, rmse } = await runRealReadings(csv!, (text) => t.comment(text));
    t.comment(JSON.stringify(rmse));
    t.equal(predictions, rows);
    t.ok(restartedAfter > rows / 4 && restartedAfter < rows, "killed in the middle");
    t.ok(worstDifference <= PARITY_TOLERANCE, `worst difference ${worstDifference}`);
    t.ok(rmse.model < rmse.persistence && rmse.model < rmse.autoregression6, JSON.stringify(rmse));
  },
);
