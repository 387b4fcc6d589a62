// Sine and cosine of a part of a turn, made of additions and multiplications, which IEEE 754 fixes to the bit, as in tanh.ts and for its
// reason.

/** (2 pi)^k / k! with the series' signs, by Horner's rule in the square of the turn: odd k for the sine, even k for the cosine. */
function seriesOf(first: 0 | 1): number[] {
  const terms: number[] = [];
  let term = first === 0 ? 1 : 2 * Math.PI;
  for (let k = first; k <= 17; k += 2) {
    terms.push(term);
    term *= (-4 * Math.PI * Math.PI) / ((k + 1) * (k + 2));
  }
  return terms;
}

const SINE = seriesOf(1);
const COSINE = seriesOf(0);

function sum(series: readonly number[], square: number): number {
  let value = 0;
  for (let i = series.length - 1; i >= 0; i--) value = value * square + series[i]!;
  return value;
}

/** sin(2 pi turns) within 1e-15; NaN for what is not finite. */
export function sineOfTurns(turns: number): number {
  const quarters = Math.round(4 * (turns - Math.floor(turns)));
  const rest = turns - Math.floor(turns) - quarters / 4;
  const square = rest * rest;
  switch (quarters & 3) {
    case 0:
      return rest * sum(SINE, square);
    case 1:
      return sum(COSINE, square);
    case 2:
      return -rest * sum(SINE, square);
    default:
      return -sum(COSINE, square);
  }
}

/** cos(2 pi turns) within 1e-15; NaN for what is not finite. */
export function cosineOfTurns(turns: number): number {
  return sineOfTurns(turns - Math.floor(turns) + 0.25);
}
