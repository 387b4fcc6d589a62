// PyTorch reference cases as they lie on disk, and the way from PyTorch's layouts to ours: sequences (T, N, D) -> (N, T, D), weights
// (H, D) -> (D, H). It knows the format, not how a case is run.
import { z } from "zod";
import { swapLeadingAxes } from "../../src/kernels/swap-leading-axes.ts";
import { countOf, tensor } from "../../src/kernels/tensor.ts";
import type { FloatArray, Tensor } from "../../src/kernels/tensor.ts";

const tensorSchema = z.object({
  shape: z.array(z.int().min(0)),
  dtype: z.enum(["float32", "int32"]),
  b64: z.string(),
});
const tensorsSchema = z.record(z.string(), tensorSchema);
const chunkSchema = z.object({ x: tensorSchema, target: tensorSchema, mask: tensorSchema.optional() });

const headSchema = z.object({
  name: z.string(),
  cell: z.string(),
  layers: z.int().min(1),
  input_size: z.int().min(1),
  hidden_size: z.int().min(1),
  batch: z.int().min(1),
  seq_len: z.int().min(1),
  bias: z.boolean().default(true),
  loss_kind: z.string(),
  head_out: z.int().min(1),
  params: tensorsSchema,
  state0: tensorsSchema,
});

const gradCaseSchema = headSchema.extend({
  type: z.literal("grad"),
  chunks: z
    .array(chunkSchema.extend({ expect: z.object({ loss_f64: z.number() }).catchall(tensorSchema), grads: tensorsSchema }))
    .min(1),
});

const optCaseSchema = headSchema.extend({
  type: z.literal("opt"),
  optimizer: z.string(),
  hyper: z.record(z.string(), z.unknown()),
  clip_grad_norm: z.number().nullish(),
  stateful: z.boolean(),
  data: z.array(chunkSchema).min(1),
  steps: z
    .array(
      z.object({
        loss_f64: z.number(),
        grad_norm_f64: z.number(),
        clipped: z.boolean(),
        params_after: tensorsSchema,
        final_state: tensorsSchema,
      }),
    )
    .min(1),
  /** Null where the optimizer keeps no such tensor. */
  optimizer_state_after: z.record(z.string(), z.record(z.string(), tensorSchema.nullable())),
});

const caseSchema = z.discriminatedUnion("type", [gradCaseSchema, optCaseSchema]);

export type TorchTensor = z.output<typeof tensorSchema>;
export type TorchTensors = z.output<typeof tensorsSchema>;
export type TorchChunk = z.output<typeof chunkSchema>;
export type TorchGradCase = z.output<typeof gradCaseSchema>;
export type TorchOptCase = z.output<typeof optCaseSchema>;
export type TorchCase = z.output<typeof caseSchema>;

/** Throws, naming the field, where the text is not a case of a type that is known here. */
export function parseTorchCase(text: string): TorchCase {
  const parsed = caseSchema.safeParse(JSON.parse(text));
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  throw new Error(`not a case: ${path.join(".")}: ${message}`);
}

/** `Float32Array` or `Float64Array`: what a case is run in. */
export interface NumberFormat<A extends FloatArray> {
  readonly name: string;
  from(values: ArrayLike<number>): A;
}

/** A tensor as PyTorch laid it out, in a number format of ours. */
export function decodeTensor<A extends FloatArray>(
  format: NumberFormat<A>,
  from: TorchTensor | undefined,
  name: string,
): Tensor<A> {
  if (from === undefined) throw new Error(`the case has no ${name}`);
  const bytes = Buffer.from(from.b64, "base64");
  const values = Array.from({ length: bytes.length / 4 }, (_, i) =>
    from.dtype === "float32" ? bytes.readFloatLE(4 * i) : bytes.readInt32LE(4 * i),
  );
  return tensor(format.from(values), from.shape);
}

/**
 * A chunk's targets as our losses take them: values `(N, T, K)` with NaN where a mask is 0, or numbers of classes, `(N, T, 1)` out of
 * `(T, N)` and `(N, 1, 1)` out of `(N)`.
 */
export function decodeTargets<A extends FloatArray>(format: NumberFormat<A>, { target, mask }: TorchChunk): Tensor<A> {
  const decoded = decodeTensor(format, target, "target");
  if (target.dtype === "int32") {
    const classes = transposed(format, decoded);
    return { shape: classes.shape.length === 1 ? [...classes.shape, 1, 1] : [...classes.shape, 1], data: classes.data };
  }
  const kept = mask === undefined ? undefined : decodeTensor(format, mask, "mask").data;
  kept?.forEach((share, i) => {
    if (share === 0) decoded.data[i] = Number.NaN;
    else if (share !== 1) throw new Error(`the mask has ${share} at ${i}, and must have 0 or 1`);
  });
  return transposed(format, decoded);
}

/** The first two axes exchanged: a sequence `(T, N, D)` -> `(N, T, D)`, a weight `(H, D)` -> `(D, H)`; a vector stays. */
export function transposed<A extends FloatArray>(format: NumberFormat<A>, from: Tensor<A>): Tensor<A> {
  const [first, second, ...rest] = from.shape;
  if (first === undefined || second === undefined) return from;
  const data = format.from(from.data);
  swapLeadingAxes(from.data, 0, data, first, second, countOf(rest));
  return { shape: [second, first, ...rest], data };
}

/** The state of layer `layer` `(N, H)` out of PyTorch's `(L, N, H)`. */
export function layerOf<A extends FloatArray>(format: NumberFormat<A>, from: Tensor<A>, layer: number): Tensor<A> {
  const shape = from.shape.slice(1);
  const count = countOf(shape);
  return tensor(format.from(from.data.subarray(layer * count, (layer + 1) * count)), shape);
}

/** A tensor with its first two axes brought into our order. */
export function decodeTransposed<A extends FloatArray>(
  format: NumberFormat<A>,
  from: TorchTensor | undefined,
  name: string,
): Tensor<A> {
  return transposed(format, decodeTensor(format, from, name));
}

/** h and, where there is one, c. */
export function decodeStates<A extends FloatArray>(format: NumberFormat<A>, states: TorchTensors): Tensor<A>[] {
  const h = decodeTensor(format, states["h"], "h of a state");
  return states["c"] === undefined ? [h] : [h, decodeTensor(format, states["c"], "c of a state")];
}
