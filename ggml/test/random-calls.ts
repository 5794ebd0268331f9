/**
 * Makes random calls, right and wrong, and computes what was accepted: nothing may end the process.
 * node random-calls.js <first seed> <rounds> <threads>; the last line of output is a JSON summary.
 */
import { writeSync } from 'node:fs';
import { type Backend, type Context, type Graph, openGgml, Tensor, type TensorType } from '@sled-tts/ggml';

const [firstSeed = '1', rounds = '20', threads = '1'] = process.argv.slice(2);
const ggml = openGgml();
const backend: Backend = ggml.backend('cpu', { threads: Number(threads) });

let state = 1;
const random = (): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return (state >>> 8) / 2 ** 24;
};
const int = (below: number): number => Math.floor(random() * below);
const pick = <T>(items: readonly T[]): T => items[int(items.length)];
const chance = (p: number): boolean => random() < p;

const TYPES: TensorType[] = [
  'f32', 'f32', 'f32', 'f32', 'f32', 'f16', 'f16', 'bf16', 'i32', 'i32', 'i64', 'i8', 'f64',
  'q8_0', 'q4_0', 'q4_K', 'q6_K', 'iq4_nl', 'q5_1', 'q2_K',
]; // prettier-ignore
const SIZES = [1, 1, 2, 3, 4, 4, 8, 16, 32, 32, 64, 256];
const GARBAGE: unknown[] = [
  null, undefined, NaN, Infinity, -1, 0, 1.5, 2 ** 31, 2 ** 53, 'f32', 'x', {}, [], [0], [-1, 4], true, 10n, Symbol('s'),
  new Float32Array(4), [1, 1, 1, 1, 1], { ne: [1] }, () => 1, '',
]; // prettier-ignore

const summary = {
  calls: 0,
  accepted: 0,
  refused: 0,
  computed: 0,
  /** Operations that were accepted and refused at least once. */
  acceptedOperations: [] as string[],
  refusedOperations: [] as string[],
  /** Messages that say nothing of what was expected. */
  unclear: [] as string[],
};

function attempt<T>(what: string, call: () => T): T | undefined {
  summary.calls++;
  // Written before the call: when the process dies, the last line tells where.
  if (process.env.TRACE) writeSync(2, `${what}\n`);
  try {
    const result = call();
    summary.accepted++;
    return result;
  } catch (error) {
    summary.refused++;
    const message = error instanceof Error ? error.message : String(error);
    const known = /^[\w" ./:]+: (expected|this|no |got|the |a )|: |use a/.test(message);
    if (
      !(error instanceof Error) ||
      !known ||
      /Cannot read|is not a function|not iterable|something else/.test(message)
    ) {
      if (summary.unclear.length < 20) summary.unclear.push(`${what}: ${message}`);
    }
    return undefined;
  }
}

const MAX_ELEMENTS = 20_000;
const dims = (): number[] => {
  const ne = Array.from({ length: 1 + int(4) }, () => pick(SIZES));
  return ne.reduce((product, n) => product * n, 1) > MAX_ELEMENTS ? dims() : ne;
};

/** An argument for an operation: mostly a tensor or something sensible, sometimes garbage. */
function argument(name: string, position: number, pool: Tensor[]): unknown {
  if (chance(0.03)) return pick(GARBAGE);
  if (position < (ARITY[name] ?? 1)) return pick(pool);
  return (EXTRA[name]?.[position - (ARITY[name] ?? 1)] ?? (() => pick(GARBAGE)))(pool);
}

const ARITY: Record<string, number> = {
  add: 2, sub: 2, mul: 2, div: 2, swigluSplit: 2, gegluSplit: 2, mulMat: 2, getRows: 2, setRows: 3, rope: 2, flashAttention: 3,
  concat: 2, cpy: 2, im2col: 2, conv1d: 2, convDepthwise: 2, ssmConv: 2, convTranspose1d: 2,
}; // prettier-ignore
type Maker = (pool: Tensor[]) => unknown;
const small: Maker = () => int(5);
const number: Maker = () => 4 * random() - 2;
const shape: Maker = () => dims();
const convolution: Maker = () => ({ stride: int(4), padding: int(3), dilation: int(3), type: pick(['f32', 'f16']) });
const EXTRA: Record<string, Maker[]> = {
  scale: [number, number],
  clamp: [number, number],
  repeat: [(pool) => (chance(0.5) ? pick(pool).ne.map((n) => n * (1 + int(2))) : dims())],
  norm: [number],
  rmsNorm: [number],
  reshape: [small, small, small, small],
  view: [
    shape,
    () => ({ offset: int(40), strides: chance(0.5) ? [pick(SIZES), 64, 256].slice(0, int(4)) : undefined }),
  ],
  permute: [small, small, small, small],
  cast: [() => pick(TYPES)],
  concat: [small],
  pad: [() => [int(3), int(3)], () => [int(3)]],
  padReflect1d: [small, small],
  softMax: [(pool) => (chance(0.5) ? { mask: pick(pool), scale: number(pool) } : {})],
  rope: [() => ({ dimensions: pick([2, 4, 8, 3, 64]), mode: pick(['neox', 'normal', 'x']), theta: 100 })],
  flashAttention: [(pool) => (chance(0.5) ? { mask: pick(pool), scale: 1 } : { scale: 0.5 })],
  im2col: [convolution],
  conv1d: [convolution],
  windows: [() => ({ width: int(6), stride: int(4) })],
  convDepthwise: [() => ({ stride: int(4), dilation: int(4) })],
  convTranspose1d: [small],
  col2im1d: [() => ({ stride: int(4), channels: int(5) })],
};

/** Arguments that fit more often than chance would have it: pure noise would never get past the first check. */
function fitting(name: string, context: Context, pool: Tensor[]): unknown[] | undefined {
  const a = pick(pool);
  const [n0, n1, n2, n3] = a.ne;
  const like = (type: TensorType, ne: number[]) => attempt('input', () => context.input(type, ne)) ?? a;
  switch (name) {
    case 'reshape':
      return chance(0.5) ? [a, n0, n1 * n2 * n3] : [a, n0 * n1, n2, n3];
    case 'permute':
      return [a, ...pick([[1, 0, 2, 3], [0, 2, 1, 3], [3, 2, 1, 0], [2, 0, 1, 3]])]; // prettier-ignore
    case 'view':
      return [a, [Math.max(1, n0 >> 1), n1], { offset: pick([0, 0, n0 >> 1]), strides: [n0] }];
    case 'mulMat':
      return [a, turned(context, n0, n2 * (1 + int(2)), n3 * (1 + int(2)))];
    case 'setRows':
      return [a, like('f32', [n0, 2, n2, n3]), like(pick(['i32', 'i64']), [2])];
    case 'getRows':
      return [a, like('i32', [3, n2, n3])];
    case 'rope':
      return [a, like('i32', [n2]), { dimensions: n0 }];
    case 'softMax':
      return [a, { mask: like(pick(['f16', 'f32']), [n0, n1]) }];
    case 'flashAttention': {
      const [S, type] = [pick(SIZES), pick<TensorType>(['f32', 'f16', 'q8_0', 'bf16'])];
      const [k, v] = [like(type, [n0, S, n2, n3]), like(type, [pick(SIZES), S, n2, n3])];
      return [a, k, v, chance(0.5) ? { mask: like('f16', [S, n1 + int(2)]), scale: 0.3 } : { scale: 1 }];
    }
    case 'conv1d':
    case 'im2col':
      return [like(pick(['f32', 'f16']), [1 + int(3), n1, pick(SIZES)]), a, convolution(pool)];
    case 'convDepthwise':
      return [like('f32', [n0, 2 + int(3)]), a, { stride: 1 + int(2), dilation: 1 + int(2) }];
    case 'ssmConv':
      return [like('f32', [1 + int(3), n1]), a];
    case 'convTranspose1d':
      return [like(pick(['f32', 'f16']), [1 + int(4), 1 + int(3), n1]), a, 1 + int(3)];
    case 'cpy':
      return [a, like(pick(TYPES), [...a.ne])];
    case 'cast':
      return [a, pick(TYPES)];
    default:
      return undefined;
  }
}

/** An operand [n0, M, n2, n3], sometimes in an order of its own in memory. */
function turned(context: Context, n0: number, n2: number, n3: number): Tensor {
  const m = pick(SIZES);
  if (chance(0.6)) return context.input(pick<TensorType>(['f32', 'f32', 'f32', 'f16']), [n0, m, n2, n3]);
  return context.ops.permute(context.input('f32', [n0, n2, m, n3]), 0, 2, 1, 3);
}

function compute(context: Context, results: Tensor[]): void {
  const graph: Graph = context.graph();
  const wanted = results.filter(() => chance(0.6));
  for (const result of wanted) {
    if (chance(0.5)) attempt('output', () => result.output());
    attempt(`expand ${result.describe()}`, () => graph.expand(result));
  }
  if (attempt('allocate', () => graph.allocate(backend))) {
    for (const tensor of context.tensors) {
      if (!tensor.isInput || !tensor.storage) continue;
      attempt(`set ${tensor.describe()}`, () => tensor.set(contentOf(tensor)));
    }
    if (attempt('compute', () => (graph.computeSync(), true))) summary.computed++;
    for (const result of wanted) attempt(`get ${result.describe()}`, () => result.get());
  }
  graph.free();
}

function contentOf(tensor: Tensor): Float32Array | Int32Array | BigInt64Array | Uint8Array {
  if (tensor.type === 'i32') return new Int32Array(tensor.elements).map(() => int(5) - (chance(0.02) ? 3 : 0));
  if (tensor.type === 'i64') return new BigInt64Array(tensor.elements).map(() => BigInt(int(5)));
  if (tensor.type === 'i8') return new Uint8Array(tensor.elements);
  const special = pick([0, 0, 0, NaN, Infinity]);
  return new Float32Array(tensor.elements).map(() => (special && chance(0.05) ? special : 2 * random() - 1));
}

function round(seed: number): void {
  state = seed;
  const contexts = [ggml.context(), ggml.context()];
  const [weights, context] = contexts;
  const pool: Tensor[] = [];
  const keep = (tensor: Tensor | undefined): void => void (tensor instanceof Tensor && pool.push(tensor));
  for (let i = 0; i < 5; i++) {
    keep(attempt('tensor', () => weights.tensor(pick(TYPES), dims())));
    keep(attempt('input', () => context.input(pick(TYPES), dims())));
    keep(attempt('input', () => context.input('f32', dims())));
  }
  for (const rows of [1, 8, 12, 64]) keep(weights.tensor(pick(['q4_0', 'q4_K', 'q6_K', 'iq4_nl', 'f16']), [256, rows]));
  if (chance(0.9)) attempt('allocate weights', () => weights.allocate(backend, { interleave: chance(0.5) }));
  const names = Object.keys(context.ops) as (keyof Context['ops'])[];
  const results: Tensor[] = [];
  for (let i = 0; i < 120; i++) {
    const name = pick(names);
    const fit = chance(0.6) ? fitting(name, context, pool) : undefined;
    const args =
      fit ?? Array.from({ length: (ARITY[name] ?? 1) + (EXTRA[name]?.length ?? 0) }, (_, p) => argument(name, p, pool));
    const text = `${name}(${args.map((arg) => (arg instanceof Tensor ? arg.describe() : String(typeof arg === 'object' ? JSON.stringify(arg, (_, v) => (v instanceof Tensor ? v.describe() : v)) : String(arg)))).join(', ')})`; // prettier-ignore
    const result = attempt(text, () => (context.ops[name] as (...all: unknown[]) => Tensor)(...args));
    // Else it is made with the graph, if it comes to be in one.
    if (result instanceof Tensor && chance(0.5)) attempt(`making ${text}`, () => result.pointer);
    const seen = result instanceof Tensor ? summary.acceptedOperations : summary.refusedOperations;
    if (!seen.includes(name)) seen.push(name);
    if (result instanceof Tensor && result.elements < 10 * MAX_ELEMENTS) {
      pool.push(result);
      results.push(result);
    }
  }
  if (chance(0.1)) attempt('free', () => weights.free());
  compute(context, results);
  if (chance(0.2)) compute(context, results);
  for (const owner of contexts) owner.free();
}

for (let i = 0; i < Number(rounds); i++) {
  if (process.env.TRACE) writeSync(2, `seed ${Number(firstSeed) + i}\n`);
  round(Number(firstSeed) + i);
}
backend.free();
console.log(JSON.stringify(summary));
