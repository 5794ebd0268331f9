/** Residual vector quantisation. Letters: K codebooks, V vectors of a codebook, D channels, T frames. */
import type { Context, Graph, Tensor } from '@sled-tts/ggml';
import { inBackground, type CodecBackend } from '../open-backend.js';

/** Frames that are compared at once; fewer are filled up with zeros. */
const FRAMES = 25;

interface Comparison {
  readonly frames: Tensor;
  readonly products: Tensor;
  readonly graph: Graph;
}

interface Tables {
  readonly context: Context;
  readonly comparisons: readonly Comparison[];
}

/** The sums of codebook vectors that codes [K, T] stand for: latents [T, D]. */
export function sumOfVectors(codebooks: readonly Float32Array[], codes: Int32Array, dimension: number): Float32Array {
  const frames = codes.length / codebooks.length;
  const latents = new Float32Array(frames * dimension);
  codebooks.forEach((vectors, k) => {
    for (let t = 0; t < frames; t++) {
      const from = codes[k * frames + t] * dimension;
      for (let d = 0; d < dimension; d++) latents[t * dimension + d] += vectors[from + d];
    }
  });
  return latents;
}

/** [D]: root of the mean squares of the codebooks' vectors, added up, as if every code were as likely. */
export function spreadOfSums(codebooks: readonly Float32Array[], dimension: number): Float32Array {
  const squares = new Float64Array(dimension);
  for (const vectors of codebooks)
    vectors.forEach((x, i) => (squares[i % dimension] += (x * x * dimension) / vectors.length));
  return Float32Array.from(squares, Math.sqrt);
}

/** Finds the nearest vectors on ggml, one codebook after another. */
export class ResidualQuantizer {
  private readonly loading: Promise<Tables>;
  /** |e|^2 of every vector, [K][V]. */
  private readonly squares: Float64Array[];
  /** [FRAMES, V] */
  private readonly scores: Float32Array;
  private turn: Promise<unknown> = Promise.resolve();
  private freed = false;

  constructor(
    opening: Promise<CodecBackend>,
    private readonly codebooks: readonly Float32Array[],
    private readonly dimension: number,
  ) {
    const size = codebooks[0].length / dimension;
    this.scores = new Float32Array(FRAMES * size);
    this.squares = codebooks.map((vectors) => squaresOf(vectors, dimension));
    this.loading = inBackground(opening.then((opened) => loadTables(opened, codebooks, dimension)));
  }

  /** Embeddings [T, D] -> codes [K, T]. Calls take turns. */
  encode(embeddings: Float32Array): Promise<Int32Array> {
    const result = this.turn.then(() => this.encodeAll(embeddings));
    this.turn = result.catch(() => undefined);
    return result;
  }

  /** Frees tables and graphs after the frames that are being encoded. */
  free(): Promise<void> {
    this.freed = true;
    return this.turn.then(async () => {
      const tables = await this.loading.catch(() => undefined);
      for (const { graph } of tables?.comparisons ?? []) graph.free();
      await tables?.context.freeAsync();
    });
  }

  private async encodeAll(embeddings: Float32Array): Promise<Int32Array> {
    const { comparisons } = await this.loading;
    if (this.freed) throw new Error('EncodecCodec: the codec was freed while a stream was in use');
    const D = this.dimension;
    const T = embeddings.length / D;
    const codes = new Int32Array(this.codebooks.length * T);
    for (let at = 0; at < T; at += FRAMES) {
      const count = Math.min(FRAMES, T - at);
      const residual = new Float32Array(FRAMES * D);
      residual.set(embeddings.subarray(at * D, (at + count) * D));
      for (let k = 0; k < this.codebooks.length; k++) {
        const nearest = await this.nearest(comparisons[k], this.squares[k], residual, count);
        codes.set(nearest, k * T + at);
        subtract(residual, this.codebooks[k], nearest, D);
      }
    }
    return codes;
  }

  // argmin |x - e|^2 = argmax 2 x e - |e|^2; the first of equals
  private async nearest(
    { frames, products, graph }: Comparison,
    squares: Float64Array,
    residual: Float32Array,
    count: number,
  ): Promise<Int32Array> {
    const V = squares.length;
    frames.set(residual);
    await graph.compute();
    products.getInto(this.scores);
    const { scores } = this;
    return Int32Array.from({ length: count }, (_, t) => {
      let best = -Infinity;
      let code = 0;
      for (let v = 0; v < V; v++) {
        const score = 2 * scores[t * V + v] - squares[v];
        if (score > best) [best, code] = [score, v];
      }
      return code;
    });
  }
}

/** Uploads the codebooks, and makes a graph for each that multiplies frames by its vectors. */
async function loadTables(
  { ggml, backend }: CodecBackend,
  codebooks: readonly Float32Array[],
  dimension: number,
): Promise<Tables> {
  const size = codebooks[0].length / dimension;
  const context = ggml.context();
  const tables = codebooks.map((_, k) => context.tensor('f32', [dimension, size], `codebook.${k}`));
  await context.allocateAsync(backend, { zero: false });
  const comparisons: Comparison[] = [];
  for (const [k, table] of tables.entries()) {
    await table.setAsync(codebooks[k]);
    const frames = context.input('f32', [dimension, FRAMES]);
    const products = context.ops.mulMat(table, frames).output(); // [V, FRAMES]
    const graph = context.graph();
    graph.expand(products);
    comparisons.push({ frames, products, graph: await graph.allocateAsync(backend) });
  }
  return { context, comparisons };
}

function squaresOf(vectors: Float32Array, dimension: number): Float64Array {
  const squares = new Float64Array(vectors.length / dimension);
  for (let i = 0; i < vectors.length; i++) squares[Math.floor(i / dimension)] += vectors[i] * vectors[i];
  return squares;
}

function subtract(residual: Float32Array, vectors: Float32Array, codes: Int32Array, dimension: number): void {
  codes.forEach((code, t) => {
    for (let d = 0; d < dimension; d++) residual[t * dimension + d] -= vectors[code * dimension + d];
  });
}
