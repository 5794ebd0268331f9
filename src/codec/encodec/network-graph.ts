/**
 * A causal network on ggml for one chunk of columns. Letters: C channels, L columns, K kernel, P columns of context,
 * H width of the LSTM. Shapes are in ggml's order, fastest first: [C, L].
 */
import type { Backend, Context, Ggml, Graph, Tensor } from '@sled-tts/ggml';
import { contextOf, type Convolution, type Layer, type Lstm, type Residual, type Upsampling } from './layers.js';
import type { LoadedNetwork } from './network-weights.js';
import { mirroredColumns } from './padding.js';
import type { StateLayout } from './state.js';

export interface ChunkShape {
  /** Input columns. */
  readonly columns: number;
  /** Nothing came before: convolutions mirror their first columns. */
  readonly isFirst: boolean;
  /** Nothing follows: the length need not be whole frames, and no state is kept. */
  readonly isLast: boolean;
}

/** A graph with its inputs and outputs. */
export interface ChunkGraph {
  readonly input: Tensor;
  readonly state: Tensor;
  /** By the names of the state's slots; empty for a last chunk. */
  readonly nextState: ReadonlyMap<string, Tensor>;
  readonly output: Tensor;
  compute(): Promise<void>;
  free(): void;
}

/** Builds and allocates the graph of a chunk; `channels` are those of the input. */
export function buildChunkGraph(
  ggml: Ggml,
  backend: Backend,
  network: LoadedNetwork,
  { channels, layout, chunk }: { channels: number; layout: StateLayout; chunk: ChunkShape },
): ChunkGraph {
  const context = ggml.context();
  const input = context.input('f32', [channels, chunk.columns], 'input');
  const state = context.input('f32', [layout.length], 'state');
  const builder = new ChunkBuilder(context, network, layout, { state, chunk });
  const output = builder.run(network.layers, input).output();
  const graph: Graph = context.graph();
  for (const kept of builder.nextState.values()) graph.expand(kept.output());
  graph.expand(output);
  graph.allocate(backend);
  for (const [tensor, columns] of builder.columnNumbers) tensor.set(columns);
  const free = () => {
    graph.free();
    context.free();
  };
  return { input, state, nextState: builder.nextState, output, compute: () => graph.compute(), free };
}

class ChunkBuilder {
  readonly nextState = new Map<string, Tensor>();
  /** Inputs that never change, to be set once the graph is allocated. */
  readonly columnNumbers: [Tensor, Int32Array][] = [];

  constructor(
    private readonly context: Context,
    private readonly network: LoadedNetwork,
    private readonly layout: StateLayout,
    private readonly given: { readonly state: Tensor; readonly chunk: ChunkShape },
  ) {}

  run(layers: readonly Layer[], input: Tensor): Tensor {
    return layers.reduce((x, layer) => this.layer(layer, x), input);
  }

  private layer(layer: Layer, x: Tensor): Tensor {
    switch (layer.kind) {
      case 'convolution':
        return this.convolution(layer, x);
      case 'upsampling':
        return this.upsampling(layer, x);
      case 'residual':
        return this.residual(layer, x);
      case 'lstm':
        return this.lstm(layer, x);
      case 'elu':
        return this.elu(x);
    }
  }

  // [Ci, L] -> [Co, ceil(L / stride)]
  private convolution(layer: Convolution, x: Tensor): Tensor {
    const seen = this.withContext(layer, x);
    const columns = layer.dilation === 1 ? this.windows(layer, seen) : this.dilatedWindows(layer, seen);
    return this.linear(layer.name, columns);
  }

  // [C, L] -> [C, P + L + what fills the last stride]
  private withContext(layer: Convolution, x: Tensor): Tensor {
    const { isFirst, isLast } = this.given.chunk;
    const P = contextOf(layer);
    const L = x.ne[1];
    const right = Math.ceil(L / layer.stride) * layer.stride - L;
    if (isFirst) {
      const seen = this.gather(x, mirroredColumns(L, P, right));
      if (!isLast) this.keepLast(layer.name, seen, P);
      return seen;
    }
    const seen = P === 0 ? x : this.context.ops.concat(this.past(layer.name), x, 1);
    if (!isLast) this.keepLast(layer.name, seen, P);
    return this.gather(seen, mirroredColumns(P + L, 0, right));
  }

  // columns of x [C, L] by number -> [C, N]; number L is a column of zeros
  private gather(x: Tensor, columns: Int32Array): Tensor {
    const { getRows, pad } = this.context.ops;
    const L = x.ne[1];
    if (columns.length === L) return x;
    const numbers = this.context.input('i32', [columns.length]);
    this.columnNumbers.push([numbers, columns]);
    return getRows(columns.includes(L) ? pad(x, [0, 0], [0, 1]) : x, numbers);
  }

  // [C, P + L] -> [K * C, L']
  private windows({ kernel, stride }: Convolution, seen: Tensor): Tensor {
    return kernel === 1 && stride === 1 ? seen : this.context.ops.windows(seen, { width: kernel, stride });
  }

  // [C, P + L] -> [K * C, L], columns `dilation` apart
  private dilatedWindows(layer: Convolution, seen: Tensor): Tensor {
    const { concat, view } = this.context.ops;
    const [C, length] = seen.ne;
    const L = length - contextOf(layer);
    const taps = Array.from({ length: layer.kernel }, (_, k) => view(seen, [C, L], { offset: k * layer.dilation * C }));
    return taps.reduce((columns, tap) => concat(columns, tap, 0));
  }

  // [Ci, L] -> [Co, L * stride]; x[-1] is zero
  private upsampling({ name, outputs, stride }: Upsampling, x: Tensor): Tensor {
    const { add, concat, reshape, windows } = this.context.ops;
    const L = x.ne[1];
    const seen = concat(this.past(name), x, 1); // [Ci, 1 + L]
    if (!this.given.chunk.isLast) this.keepLast(name, seen, 1);
    const columns = this.product(`${name}.weight`, windows(seen, { width: 2 })); // [stride * Co, L]
    return add(reshape(columns, outputs, stride * L), this.at(`${name}.bias`));
  }

  private residual({ first, second, shortcut }: Residual, x: Tensor): Tensor {
    const { add } = this.context.ops;
    const inner = this.convolution(first, this.elu(x));
    const block = this.convolution(second, this.elu(inner));
    return add(shortcut ? this.convolution(shortcut, x) : x, block);
  }

  // x + lstm(x): [H, L] -> [H, L]
  private lstm({ name, layers }: Lstm, x: Tensor): Tensor {
    let out = x;
    for (let i = 0; i < layers; i++) out = this.recurrence(name, i, out);
    return this.context.ops.add(x, out);
  }

  // i, f, o = sigmoid(..), g = tanh(..);  c = f * c + i * g;  h = o * tanh(c)
  private recurrence(name: string, index: number, x: Tensor): Tensor {
    const { add, mul, mulMat, sigmoid, tanh, view } = this.context.ops;
    const [H, L] = x.ne;
    const key = `${name}.${index}`;
    const driven = add(this.product(`${key}.input`, x), this.at(`${key}.bias`)); // [4H, L]
    let h = this.past(`${name}.h${index}`);
    let c = this.past(`${name}.c${index}`);
    const outputs: Tensor[] = [];
    for (let t = 0; t < L; t++) {
      const gates = add(mulMat(this.at(`${key}.recurrent`), h), view(driven, [4 * H], { offset: t * 4 * H }));
      const open = sigmoid(view(gates, [3 * H]));
      const gate = (n: number) => view(open, [H], { offset: n * H });
      const candidate = tanh(view(gates, [H], { offset: 3 * H }));
      c = add(mul(gate(1), c), mul(gate(0), candidate));
      h = mul(gate(2), tanh(c));
      outputs.push(h);
    }
    if (!this.given.chunk.isLast) {
      this.nextState.set(`${name}.h${index}`, h);
      this.nextState.set(`${name}.c${index}`, c);
    }
    return this.joined(outputs);
  }

  /** Columns side by side, in pairs of pairs: L log L copies instead of L * L. */
  private joined(columns: readonly Tensor[]): Tensor {
    if (columns.length === 1) return columns[0];
    const half = columns.length >> 1;
    return this.context.ops.concat(this.joined(columns.slice(0, half)), this.joined(columns.slice(half)), 1);
  }

  // max(x, 0) + exp(min(x, 0)) - 1: five passes that take half the time of ggml's elu, a call of expm1f an element
  private elu(x: Tensor): Tensor {
    const { add, exp, relu, scale, sub } = this.context.ops;
    const positive = relu(x);
    return add(positive, scale(exp(sub(x, positive)), 1, -1));
  }

  private linear(name: string, x: Tensor): Tensor {
    return this.context.ops.add(this.product(`${name}.weight`, x), this.at(`${name}.bias`));
  }

  /**
   * ggml multiplies a single column by another kernel than several, which rounds otherwise. With two at least, results
   * do not depend on how a stream was cut into chunks.
   */
  private product(name: string, x: Tensor): Tensor {
    const { mulMat, pad, view } = this.context.ops;
    const w = this.at(name);
    if (x.ne[1] > 1) return mulMat(w, x);
    return view(mulMat(w, pad(x, [0, 0], [0, 1])), [w.ne[1], 1]);
  }

  private past(name: string): Tensor {
    const { offset, ne } = this.layout.slots.get(name)!;
    return this.context.ops.view(this.given.state, ne, { offset });
  }

  private keepLast(name: string, seen: Tensor, columns: number): void {
    if (columns === 0) return;
    const { cont, view } = this.context.ops;
    const [C, length] = seen.ne;
    this.nextState.set(name, cont(view(seen, [C, columns], { offset: (length - columns) * C })));
  }

  private at(name: string): Tensor {
    return this.network.weights.get(name)!;
  }
}
