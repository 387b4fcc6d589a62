// Readings out of documents by a mapping: the formats and devices that do not write our own JSON or protobuf.
import { CounterRates } from "./counter-rates.ts";
import { describeValue } from "./describe-value.ts";
import type { DocumentFormat } from "./documents.ts";
import { readSource, sourceValue } from "./field-mapping.ts";
import type { FieldMapping } from "./field-mapping.ts";
import { isFields, readFieldPath } from "./field-path.ts";
import { parseFieldTime } from "./field-time.ts";
import { refuseShape } from "./payload-codec.ts";
import type { MessageOrigin, PayloadDecoder } from "./payload-codec.ts";
import { labelOf, labelsTaken, readingsOfRows, refuseField, timeLabel } from "./reading-rows.ts";
import type { RowLabel } from "./reading-rows.ts";

/** A reading's values and missing marks, written in place from `from` on. */
interface Row {
  readonly values: Float32Array;
  readonly missing: Uint8Array;
  readonly from: number;
  readonly time: number;
  readonly name: string;
  /** By field, where the message says them. */
  readonly units: ReadonlyMap<string, string> | undefined;
}

function timeOf(document: unknown, { time, zone }: FieldMapping, at: string): number {
  if (time === undefined) return Number.NaN;
  const value = readFieldPath(time.path, document) ?? undefined;
  if (value === undefined || value === "") return Number.NaN;
  const ms = parseFieldTime(value, time.shape, zone);
  if (ms !== undefined) return ms;
  return refuseField(at, time.path.text, `is ${describeValue(value)}; a time is expected: a number since 1970, or ISO 8601`);
}

class MappedDecoder implements PayloadDecoder {
  readonly name: string;
  readonly #format: DocumentFormat;
  readonly #mapping: FieldMapping;
  readonly #taken: ReadonlySet<string>;
  readonly #rates = new CounterRates();

  constructor(name: string, format: DocumentFormat, mapping: FieldMapping) {
    this.name = name;
    this.#format = format;
    this.#mapping = mapping;
    this.#taken = labelsTaken(mapping.sources.flatMap(({ path }) => (path.levels.length === 1 ? path.levels : [])));
  }

  decode(payload: Uint8Array, _features: unknown, _layouts: unknown, origin: MessageOrigin, receivedAt: number) {
    const { list, times, units } = this.#format(payload, origin, receivedAt);
    const { sources, passesOver } = this.#mapping;
    const width = sources.length;
    const values = new Float32Array(list.length * width);
    const missing = new Uint8Array(values.length);
    const labels: RowLabel[] = [];
    for (const [index, document] of list.entries()) {
      const at = list.length === 1 ? "" : `reading ${index + 1} of ${list.length}: `;
      const said = times?.[index] ?? Number.NaN;
      const label = this.#label(document, Number.isNaN(said) ? timeOf(document, this.#mapping, at) : said, at);
      const time = Number.isNaN(label.time) ? receivedAt : label.time;
      const name = label.part === undefined ? origin.key : `${origin.key}/${label.part}`;
      const row = { values, missing, from: labels.length * width, time, name, units: units?.[index] };
      const named = this.#read(document, origin, row, at);
      if (named > 0) labels.push(label);
      else if (!passesOver) refuseShape(`${at}none of the features is there: ${sources.map(({ path }) => path.text).join(", ")}`);
    }
    const filled = labels.length * width;
    return readingsOfRows(labels, values.subarray(0, filled), missing.subarray(0, filled));
  }

  #label(document: unknown, time: number, at: string): RowLabel {
    return this.#mapping.isLabelled && isFields(document) ? labelOf(document, this.#taken, time, at) : timeLabel(time);
  }

  /** Fills a row; returns how many of the features the document has, be they missing. */
  #read(document: unknown, { feature }: MessageOrigin, row: Row, at: string): number {
    const { sources, root, decimalComma, unitOf } = this.#mapping;
    let named = 0;
    for (let d = 0; d < sources.length; d++) {
      const source = sources[d]!;
      const found = readSource(source, document, feature, root);
      if (found !== undefined) named++;
      const { wanted, path } = source;
      const unit = wanted && (source.unit ?? row.units?.get(path.text) ?? unitOf?.(path.text, document));
      let value = sourceValue(source, found, unit, decimalComma, at);
      if (source.rate && !Number.isNaN(value)) value = this.#rates.next(`${row.name}\n${source.name}`, value, row.time);
      row.missing[row.from + d] = Number.isNaN(value) ? 1 : 0;
      row.values[row.from + d] = Number.isNaN(value) ? 0 : value;
    }
    return named;
  }
}

/** `features` are the mapping's, whatever `decode` is called with. */
export function createMappedDecoder(name: string, format: DocumentFormat, mapping: FieldMapping): PayloadDecoder {
  return new MappedDecoder(name, format, mapping);
}
