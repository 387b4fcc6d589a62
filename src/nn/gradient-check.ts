// Holds a backward pass against finite differences of its forward pass, in double precision. It knows no layer: anything whose loss is a
// pure function of some tensors can be judged, a user's own network too.
import { HiddenstateError } from "../base/errors.ts";
import type { Tensor } from "../kernels/tensor.ts";
import { checkSameShape } from "./check-shape.ts";

/** A tensor that the loss depends on, and the gradient that a backward pass has claimed for it. */
export interface CheckedVariable {
  readonly name: string;
  readonly value: Tensor<Float64Array>;
  readonly gradient: Tensor<Float64Array>;
}

/** How closely gradients are looked at. */
export interface GradientCheckOptions {
  /**
   * For a loss with kinks, such as those of relu: numbers of the last pass whose signs say on which side of each kink it was, as the
   * outputs of a relu layer do. Elements within 1e-4 of a kink, where moving them so far takes any of these over 0, are left out.
   */
  readonly sides?: () => ArrayLike<number>;
}

/** What a gradient check has found. */
export interface GradientReport {
  /** How many gradients were held against differences: every element of every variable but those left out. */
  readonly count: number;
  /** How many elements lie at a kink. */
  readonly leftOut: number;
  /** The largest |analytic - numeric| / max(|analytic|, |numeric|, 1e-3); NaN counts as infinite. */
  readonly worst: number;
  /** Where it is, as `Wx[3]`, and the two values there. */
  readonly at: string;
  readonly analytic: number;
  readonly numeric: number;
}

const ERROR_FLOOR = 1e-3;
/**
 * Central differences over four points leave an error of step^4: at 1e-3 both that and the rounding of the loss, about
 * 1e-16 / step, stay well under a millionth of the floor.
 */
const STEP = 1e-3;
/** The far points, two steps away, are as far as an element has to be from a kink. */
const STEP_BESIDE_KINKS = 5e-5;

/**
 * Moves each element of each variable in turn, and puts it back. `loss` runs a forward pass on the variables as they stand, from the same
 * initial state each time, and returns the loss; it runs no backward. Gradients are copied first, so they may be a layer's own tensors.
 * Throws `bad_argument` where the loss is not repeatable, since differences would then measure something else.
 */
export function checkGradients(
  loss: () => number,
  variables: readonly CheckedVariable[],
  { sides }: GradientCheckOptions = {},
): GradientReport {
  const claims = variables.map(({ name, value, gradient }) => {
    checkSameShape(`check the gradient of ${name}`, "it", gradient, value, "pass the gradient by that very tensor");
    return gradient.data.slice();
  });
  const before = loss();
  if (!Object.is(before, loss())) {
    throw new HiddenstateError(
      "bad_argument",
      "cannot check gradients: the loss differs from call to call; set the initial state and every input anew in each",
    );
  }
  const differentiate = sides === undefined ? fourPoints(loss, STEP) : besideKinks(loss, sides);
  let worst = { worst: 0, at: "", analytic: 0, numeric: 0 };
  let count = 0;
  let leftOut = 0;
  variables.forEach(({ name, value }, index) => {
    for (let i = 0; i < value.data.length; i++) {
      const numeric = differentiate(value.data, i);
      if (numeric === undefined) {
        leftOut++;
        continue;
      }
      const analytic = claims[index]![i]!;
      const error = Math.abs(analytic - numeric) / Math.max(Math.abs(analytic), Math.abs(numeric), ERROR_FLOOR);
      const rated = Number.isNaN(error) ? Infinity : error;
      count++;
      if (rated >= worst.worst) worst = { worst: rated, at: `${name}[${i}]`, analytic, numeric };
    }
  });
  return { count, leftOut, ...worst };
}

/** The derivative of the loss by `values[i]`, which is left as it was; undefined at a kink. */
type Differentiate = (values: Float64Array, i: number) => number | undefined;

/** f'(x) = (8 (f(x + s) - f(x - s)) - (f(x + 2s) - f(x - 2s))) / 12s */
function fourPoints(loss: () => number, step: number): Differentiate {
  return (values, i) => {
    const middle = values[i]!;
    const lossAt = (offset: number): number => {
      values[i] = middle + offset * step;
      return loss();
    };
    const near = lossAt(1) - lossAt(-1);
    const far = lossAt(2) - lossAt(-2);
    values[i] = middle;
    return (8 * near - far) / (12 * step);
  };
}

/** The same, unless one of the points lies on another side of a kink than the variables as they stand, on which the last loss was. */
function besideKinks(loss: () => number, sides: () => ArrayLike<number>): Differentiate {
  const home = Array.from(sides(), (value) => value > 0);
  let left = false;
  const watched = (): number => {
    const value = loss();
    const now = sides();
    left ||= home.some((above, index) => now[index]! > 0 !== above);
    return value;
  };
  const differentiate = fourPoints(watched, STEP_BESIDE_KINKS);
  return (values, i) => {
    left = false;
    const numeric = differentiate(values, i);
    return left ? undefined : numeric;
  };
}
