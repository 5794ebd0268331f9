import { type Backend, type Context, type Ggml, openGgml, type Tensor } from '@sled-tts/ggml';

export const ggml: Ggml = openGgml();

/** Values between -1 and 1 that look random and are the same every time. */
export function noise(length: number, seed = 1): Float32Array {
  let state = seed >>> 0;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** Builds one result from f32 inputs of the given dimensions and computes it. */
export function evaluate(
  backend: Backend,
  inputs: readonly { readonly ne: readonly number[]; readonly data: Float32Array }[],
  build: (context: Context, ...tensors: Tensor[]) => Tensor,
): { readonly ne: readonly number[]; readonly values: Float32Array } {
  const context = ggml.context();
  const graph = context.graph();
  try {
    const tensors = inputs.map(({ ne }) => context.input('f32', ne));
    const result = build(context, ...tensors).output();
    graph.expand(result);
    graph.allocate(backend);
    tensors.forEach((tensor, i) => tensor.set(inputs[i].data));
    graph.computeSync();
    return { ne: result.ne, values: result.get() as Float32Array };
  } finally {
    graph.free();
    context.free();
  }
}

/** Largest absolute difference. */
export function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity;
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i] - b[i]));
  return Number.isNaN(largest) ? Infinity : largest;
}
