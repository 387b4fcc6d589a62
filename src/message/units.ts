// Units of measurement that devices write, and how to get from one to another of the same quantity. A unit that is not here is a text:
// equal to itself, and not to be converted.

export interface Conversion {
  readonly scale: number;
  readonly offset: number;
}

interface Unit {
  readonly quantity: string;
  /** A value in it times this, plus the offset, is in the quantity's first unit. */
  readonly scale: number;
  readonly offset: number;
}

/** By quantity: the unit's names, the first unit first. Factors as in the SI brochure (9th edition), table 8 and NIST SP 811. */
const QUANTITIES: Readonly<Record<string, readonly (readonly [names: string, scale: number, offset?: number])[]>> = {
  temperature: [
    ["°C ℃ C Cel degC celsius", 1],
    ["K kelvin", 1, -273.15],
    ["°F ℉ F degF fahrenheit", 5 / 9, (-32 * 5) / 9],
  ],
  pressure: [
    ["Pa", 1],
    ["hPa mbar", 100],
    ["kPa", 1000],
    ["MPa", 1e6],
    ["bar", 1e5],
    ["psi", 6894.757293168],
    ["mmHg", 133.322387415],
    ["inHg", 3386.389],
  ],
  voltage: [
    ["V", 1],
    ["mV", 1e-3],
    ["kV", 1e3],
  ],
  current: [
    ["A", 1],
    ["mA", 1e-3],
  ],
  power: [
    ["W", 1],
    ["mW", 1e-3],
    ["kW", 1e3],
    ["MW", 1e6],
  ],
  "apparent power": [
    ["VA", 1],
    ["kVA", 1e3],
  ],
  energy: [
    ["Wh", 1],
    ["kWh", 1e3],
    ["MWh", 1e6],
    ["J", 1 / 3600],
  ],
  frequency: [
    ["Hz", 1],
    ["kHz", 1e3],
  ],
  length: [
    ["m", 1],
    ["mm", 1e-3],
    ["cm", 1e-2],
    ["km", 1e3],
    ["in", 0.0254],
    ["ft", 0.3048],
  ],
  speed: [
    ["m/s", 1],
    ["mm/s", 1e-3],
    ["km/h", 1 / 3.6],
    ["mph", 0.44704],
    ["kn", 1852 / 3600],
  ],
  ratio: [
    ["%", 1],
    ["1", 100],
    ["‰", 0.1],
  ],
  time: [
    ["s", 1],
    ["ms", 1e-3],
    ["min", 60],
    ["h", 3600],
  ],
  illuminance: [["lx", 1]],
  fraction: [
    ["ppm", 1],
    ["ppb", 1e-3],
  ],
};

const units: ReadonlyMap<string, Unit> = new Map(
  Object.entries(QUANTITIES).flatMap(([quantity, list]) =>
    list.flatMap(([names, scale, offset = 0]) => names.split(" ").map((name) => [name, { quantity, scale, offset }] as const)),
  ),
);

/** Undefined: nothing is to be done. Throws nothing: `different` are quantities that have nothing to do with each other. */
export function convertUnit(from: string, to: string): Conversion | "different" | "unknown" | undefined {
  if (from === to) return undefined;
  const [one, other] = [units.get(from), units.get(to)];
  if (one === undefined || other === undefined) return "unknown";
  if (one.quantity !== other.quantity) return "different";
  if (one.scale === other.scale && one.offset === other.offset) return undefined;
  return { scale: one.scale / other.scale, offset: (one.offset - other.offset) / other.scale };
}
