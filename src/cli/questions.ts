// Questions to whoever sits at the terminal, one line each, with what is taken for an empty answer. On standard error, so that standard
// output holds the result alone.
import { createInterface } from "node:readline/promises";
import type { Interface } from "node:readline/promises";
import { HiddenstateError } from "../base/errors.ts";

export class Questions {
  readonly #lines: Interface;
  readonly #ended: Promise<never>;

  constructor() {
    this.#lines = createInterface({ input: process.stdin, output: process.stderr });
    this.#ended = new Promise((_, reject) => {
      this.#lines.once("close", () => {
        process.stderr.write("\n");
        reject(new HiddenstateError("bad_argument", "cannot go on: a question was left without an answer; nothing is written"));
      });
    });
    this.#ended.catch(() => {});
  }

  say(text: string): void {
    process.stderr.write(`${text}\n`);
  }

  /** Asks until `take` does not throw one of our errors; `assumed` stands for an empty answer. */
  async ask<T>(question: string, assumed: string, take: (answer: string) => T | Promise<T>): Promise<T> {
    const prompt = assumed === "" ? `${question}: ` : `${question} [${assumed}]: `;
    for (;;) {
      const answer = (await Promise.race([this.#ended, this.#lines.question(prompt)])).trim();
      try {
        return await take(answer === "" ? assumed : answer);
      } catch (thrown) {
        if (!(thrown instanceof HiddenstateError)) throw thrown;
        this.say(thrown.message);
      }
    }
  }

  confirm(question: string): Promise<boolean> {
    return this.ask(`${question} (yes or no)`, "no", (answer) => /^y(es)?$/i.test(answer));
  }

  close(): void {
    this.#lines.removeAllListeners("close").close();
  }
}
