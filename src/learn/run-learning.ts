// Carries a learning job out in a worker thread, bounded in memory; what fails there says why, and changes nothing here.
import { Worker } from "node:worker_threads";
import { HiddenstateError } from "../base/errors.ts";
import { limits } from "../base/limits.ts";
import type { JobKind, JobResults, RunLearning } from "./learning-job.ts";

export const runLearning: RunLearning = <K extends JobKind>(job: unknown, signal: AbortSignal) =>
  new Promise<JobResults[K]>((resolve, reject) => {
    const worker = new Worker(new URL("learning-thread.js", import.meta.url), {
      workerData: job,
      resourceLimits: { maxOldGenerationSizeMb: limits.learningHeapMiB },
    });
    const end = (): void => void worker.terminate();
    signal.addEventListener("abort", end, { once: true });
    worker.once("message", (result: JobResults[K]) => resolve(result));
    worker.once("error", reject);
    worker.once("exit", () => {
      signal.removeEventListener("abort", end);
      // Whoever has an answer already does not hear this.
      reject(new HiddenstateError("unavailable", "cannot go on learning: the thread has been ended"));
    });
  });
