// What happened in a run, as one number: two runs of a seed that differ anywhere differ in it. With a listener it is told line by line.
const FNV_PRIME = 0x01000193;

export class Trace {
  #hash = 0x811c9dc5;
  readonly #tell: ((line: string) => void) | undefined;

  constructor(tell?: (line: string) => void) {
    this.#tell = tell;
  }

  get hash(): string {
    return this.#hash.toString(16).padStart(8, "0");
  }

  note(atMs: number, what: string, number = 0): void {
    for (let i = 0; i < what.length; i++) this.#mix(what.charCodeAt(i));
    this.#mix(Math.floor(atMs * 1000));
    this.#mix(number);
    this.#tell?.(`${atMs.toFixed(3)} ${what} ${number}`);
  }

  #mix(value: number): void {
    this.#hash = Math.imul(this.#hash ^ (value & 0xffff), FNV_PRIME) >>> 0;
    this.#hash = Math.imul(this.#hash ^ ((value / 65_536) & 0xffff), FNV_PRIME) >>> 0;
  }
}
