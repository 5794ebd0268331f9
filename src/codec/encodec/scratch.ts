/** Memory in which a graph puts columns side by side. Letters: C channels, L columns, K kernel. */
import type { Context, Graph, Tensor } from '@sled-tts/ggml';
import type { Convolution, Layer } from './layers.js';

/** Elements of the scratch memory of a chunk of `columns` input columns. */
export function scratchLength(layers: readonly Layer[], columns: number): number {
  let length = 0;
  let L = columns;
  const convolution = ({
    inputs,
    kernel,
    stride,
    dilation,
  }: Pick<Convolution, 'inputs' | 'kernel' | 'stride' | 'dilation'>) => {
    const windows = kernel * inputs * Math.ceil(L / stride);
    length = Math.max(length, windows, inputs * (dilation * (kernel - 1) + 1 + L));
    L = Math.ceil(L / stride);
  };
  for (const layer of layers) {
    if (layer.kind === 'convolution') convolution(layer);
    if (layer.kind === 'lstm') length = Math.max(length, layer.width * L);
    if (layer.kind === 'residual') {
      convolution(layer.first);
      length = Math.max(length, L * (layer.second.inputs + layer.second.outputs));
    }
    if (layer.kind === 'upsampling') {
      convolution({ inputs: layer.inputs, kernel: 2, stride: 1, dilation: 1 });
      L *= layer.stride;
    }
  }
  return length;
}

/**
 * The scratch memory as the graph of one chunk uses it, again and again: whatever writes or reads it enters the graph at once,
 * since ggml computes in the order of the graph and knows nothing of what lies where.
 */
export class Scratch {
  constructor(
    private readonly context: Context,
    private readonly graph: Graph,
    private readonly memory: Tensor,
  ) {}

  /** Columns [C, L1], [C, L2], .. -> [C, L1 + L2 + ..]; valid until the next call. Copies of rows: ggml's concat goes by element, on one thread. */
  columns(parts: readonly Tensor[]): Tensor {
    for (const part of parts) this.graph.expand(part);
    const C = parts[0].ne[0];
    let L = 0;
    for (const part of parts) {
      this.put(part, { width: C, offset: L * C });
      L += part.ne[1];
    }
    return this.context.ops.view(this.memory, [C, L]);
  }

  /** Rows [C1, L], [C2, L], .. -> [C1 + C2 + .., L]; valid until the next call. */
  rows(parts: readonly Tensor[]): Tensor {
    for (const part of parts) this.graph.expand(part);
    const width = parts.reduce((sum, { ne }) => sum + ne[0], 0);
    let offset = 0;
    for (const part of parts) {
      this.put(part, { width, offset });
      offset += part.ne[0];
    }
    return this.context.ops.view(this.memory, [width, parts[0].ne[1]]);
  }

  /** What `columns` put there, [C, L] -> windows [K * C, floor((L - K) / stride) + 1]. */
  windows([C, L]: readonly number[], { kernel, stride }: { kernel: number; stride: number }): Tensor {
    const { cont, view } = this.context.ops;
    const count = Math.floor((L - kernel) / stride) + 1;
    return this.graph.expand(cont(view(this.memory, [kernel * C, count], { strides: [stride * C] })));
  }

  /** The last `count` columns of what `columns` put there, [C, L] -> [C, count]. */
  last([C, L]: readonly number[], count: number): Tensor {
    const { cont, view } = this.context.ops;
    return this.graph.expand(cont(view(this.memory, [C, count], { offset: (L - count) * C })));
  }

  /** Copies a column [C] to number `t`. */
  putColumn(column: Tensor, t: number): void {
    const { cpy, view } = this.context.ops;
    const C = column.ne[0];
    this.graph.expand(cpy(column, view(this.memory, [C], { offset: t * C })));
  }

  /** Copies [C, L] to where columns are `width` elements apart. */
  private put(part: Tensor, { width, offset }: { width: number; offset: number }): void {
    const { cpy, view } = this.context.ops;
    this.graph.expand(cpy(part, view(this.memory, [part.ne[0], part.ne[1]], { strides: [width], offset })));
  }
}
