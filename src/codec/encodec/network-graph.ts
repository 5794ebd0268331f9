/**
 * A causal network on ggml for one chunk of columns. Letters: C channels, L columns, K kernel, P columns of context,
 * H width of the LSTM. Shapes are in ggml's order, fastest first: [C, L].
 */
import type { Backend, Context, Ggml, Graph, Tensor } from '@sled-tts/ggml';
import { elu } from './elu.js';
import { contextOf, type Convolution, type Layer, type Lstm, type Residual, type Upsampling } from './layers.js';
import type { LoadedNetwork } from './network-weights.js';
import { mirroredColumns } from './padding.js';
import { Scratch } from './scratch.js';
import type { StateLayout } from './state.js';

export interface ChunkShape {
  /** Input columns: whole frames, but for the last ones of a stream. */
  readonly columns: number;
  /** Nothing came before: convolutions mirror their first columns. */
  readonly isFirst: boolean;
}

/** A graph with its inputs and outputs. */
export interface ChunkGraph {
  readonly input: Tensor;
  readonly state: Tensor;
  /** By the names of the state's slots. */
  readonly nextState: ReadonlyMap<string, Tensor>;
  readonly output: Tensor;
  compute(): Promise<void>;
  free(): void;
}

/** Builds the graph of a chunk, and has it allocated beside other work. */
export async function buildChunkGraph(
  ggml: Ggml,
  backend: Backend,
  network: LoadedNetwork,
  { layout, chunk }: { layout: StateLayout; chunk: ChunkShape },
): Promise<ChunkGraph> {
  const context = ggml.context();
  const input = context.input('f32', [network.channels, chunk.columns], 'input');
  const state = context.input('f32', [layout.length], 'state');
  const graph = context.graph();
  const activation = backend.kernels?.hasElu ? context.ops.elu : (x: Tensor) => elu(context.ops, x);
  const builder = new ChunkBuilder(context, graph, network, { layout, state, chunk, activation });
  const output = builder.run(input).output();
  for (const kept of builder.nextState.values()) graph.expand(kept.output());
  graph.expand(output);
  await graph.allocateAsync(backend);
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
  private readonly scratch: Scratch;

  constructor(
    private readonly context: Context,
    private readonly graph: Graph,
    private readonly network: LoadedNetwork,
    private readonly given: {
      readonly layout: StateLayout;
      readonly state: Tensor;
      readonly chunk: ChunkShape;
      readonly activation: (x: Tensor) => Tensor;
    },
  ) {
    this.scratch = new Scratch(context, graph, network.scratch);
  }

  run(input: Tensor): Tensor {
    return this.network.layers.reduce((x, layer) => this.layer(layer, x), input);
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
    if (layer.kernel === 1 && layer.stride === 1) return this.linear(layer.name, x);
    const seen = this.withContext(layer, x);
    const columns = layer.dilation === 1 ? this.scratch.windows(seen.ne, layer) : this.dilatedWindows(layer, seen);
    return this.linear(layer.name, columns);
  }

  // [C, L] -> [C, P + L + what fills the last stride], in the scratch memory
  private withContext(layer: Convolution, x: Tensor): Tensor {
    const { isFirst } = this.given.chunk;
    const P = contextOf(layer);
    const L = x.ne[1];
    const right = Math.ceil(L / layer.stride) * layer.stride - L;
    if (isFirst) {
      const seen = this.scratch.columns([this.gather(x, mirroredColumns(L, P, right))]);
      this.keepLast(layer.name, seen, P);
      return seen;
    }
    const seen = this.scratch.columns(P === 0 ? [x] : [this.past(layer.name), x]);
    this.keepLast(layer.name, seen, P);
    return right === 0 ? seen : this.scratch.columns([this.gather(seen, mirroredColumns(P + L, 0, right))]);
  }

  // columns of x [C, L] by number -> [C, N]; number L is a column of zeros
  private gather(x: Tensor, columns: Int32Array): Tensor {
    const { getRows, pad } = this.context.ops;
    const L = x.ne[1];
    const numbers = this.context.input('i32', [columns.length]);
    this.columnNumbers.push([numbers, columns]);
    return getRows(columns.includes(L) ? pad(x, [0, 0], [0, 1]) : x, numbers);
  }

  // [C, P + L] -> [K * C, L], columns `dilation` apart
  private dilatedWindows(layer: Convolution, seen: Tensor): Tensor {
    const { concat, view } = this.context.ops;
    const [C, length] = seen.ne;
    const L = length - contextOf(layer);
    const taps = Array.from({ length: layer.kernel }, (_, k) => view(seen, [C, L], { offset: k * layer.dilation * C }));
    return this.graph.expand(taps.reduce((columns, tap) => concat(columns, tap, 0)));
  }

  // [Ci, L] -> [Co, L * stride]; x[-1] is zero
  private upsampling({ name, outputs, stride }: Upsampling, x: Tensor): Tensor {
    const seen = this.scratch.columns([this.past(name), x]); // [Ci, 1 + L]
    this.keepLast(name, seen, 1);
    const columns = this.product(`${name}.weight`, this.scratch.windows(seen.ne, { kernel: 2, stride: 1 }));
    return this.biased(name, this.context.ops.reshape(columns, outputs, stride * x.ne[1]));
  }

  private residual({ first, second, shortcut }: Residual, x: Tensor): Tensor {
    const inner = this.elu(this.convolution(first, this.elu(x)));
    if (!shortcut) return this.context.ops.add(x, this.convolution(second, inner));
    const joined = this.scratch.rows([inner, x]);
    return this.biased(second.name, this.graph.expand(this.product(`${second.name}.weight`, joined)));
  }

  // x + lstm(x): [H, L] -> [H, L]
  private lstm({ name, layers }: Lstm, x: Tensor): Tensor {
    let out = x;
    for (let i = 0; i < layers; i++) out = this.recurrence(name, i, out);
    return this.graph.expand(this.context.ops.add(x, out));
  }

  // i, f, o = sigmoid(..), g = tanh(..);  c = f * c + i * g;  h = o * tanh(c).  Of c and g we keep the double.
  private recurrence(name: string, index: number, x: Tensor): Tensor {
    const { add, mul, mulMat, scale, sigmoid, view } = this.context.ops;
    const [H, L] = x.ne;
    const key = `${name}.${index}`;
    const driven = this.graph.expand(add(this.product(`${key}.input`, x), this.at(`${key}.bias`))); // [4H, L]
    let h = this.past(`${name}.h${index}`);
    let c = this.past(`${name}.c${index}`);
    for (let t = 0; t < L; t++) {
      const gates = sigmoid(add(mulMat(this.at(`${key}.recurrent`), h), view(driven, [4 * H], { offset: t * 4 * H })));
      const gate = (n: number) => view(gates, [H], { offset: n * H });
      c = add(mul(gate(1), c), mul(gate(0), scale(gate(3), 4, -2)));
      h = mul(gate(2), scale(sigmoid(c), 2, -1));
      this.scratch.putColumn(h, t);
    }
    this.nextState.set(`${name}.h${index}`, h);
    this.nextState.set(`${name}.c${index}`, c);
    return view(this.network.scratch, [H, L]);
  }

  private elu(x: Tensor): Tensor {
    return this.context.ops.reshape(this.given.activation(this.asFrames(x)), x.ne[0], x.ne[1]);
  }

  private linear(name: string, x: Tensor): Tensor {
    return this.biased(name, this.product(`${name}.weight`, x));
  }

  private biased(name: string, x: Tensor): Tensor {
    const { add, reshape, view } = this.context.ops;
    const bias = this.at(`${name}.bias`);
    const frames = this.asFrames(x);
    if (frames.ne[0] === bias.ne[0]) return reshape(add(frames, bias), x.ne[0], x.ne[1]);
    return add(x, view(bias, [x.ne[0]]));
  }

  /** A row a frame, where there are whole ones: ggml's passes are quick on long rows, and no bit depends on how many there are. */
  private asFrames(x: Tensor): Tensor {
    const frames = this.given.chunk.columns / this.network.columnsPerFrame;
    return Number.isInteger(frames) ? this.context.ops.reshape(x, x.elements / frames, frames) : x;
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
    const { offset, ne } = this.given.layout.slots.get(name)!;
    return this.context.ops.view(this.given.state, ne, { offset });
  }

  private keepLast(name: string, seen: Tensor, columns: number): void {
    if (columns > 0) this.nextState.set(name, this.scratch.last(seen.ne, columns));
  }

  private at(name: string): Tensor {
    return this.network.weights.get(name)!;
  }
}
