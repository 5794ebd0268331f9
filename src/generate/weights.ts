import {
  TENSOR_TYPES,
  type Backend,
  type Context,
  type Ggml,
  type GgufFile,
  type PackedType,
  type Tensor,
  type TensorType,
} from '@sled-tts/ggml';
import { checkShapes, isIgnoredName, parameterTable } from '../model/checkpoint.js';
import type { SledConfig } from '../model/config.js';
import { CheckpointError } from '../model/errors.js';
import { toFloat32, type SafetensorsArray, type SafetensorsType } from '../model/safetensors.js';

/** How the large matrices are stored; vectors stay float32. */
export const WEIGHT_TYPES = ['f32', 'f16', 'bf16', 'q8_0', 'q4_0', 'q4_K'] as const;
export type WeightType = (typeof WEIGHT_TYPES)[number];

/** @throws {RangeError} naming the types that there are. */
export function checkWeightType(type: WeightType): void {
  if (!WEIGHT_TYPES.includes(type))
    throw new RangeError(`weights: expected one of ${WEIGHT_TYPES.join(', ')}, got ${String(type)}`);
}

/** A small network stays in a processor's cache, and is many times faster than its speech whatever it is stored in. */
export const SMALL_NETWORK = 50_000_000;

/**
 * The fastest type that a listener cannot tell from float32: word errors of the shipped voice are the same in all of them. q4_K
 * takes four fifths of q8_0's time where a frame's weights come from memory; elsewhere it saves little, and q8_0 errs a tenth as much.
 */
export const defaultWeights = (weightCount: number): WeightType => (weightCount < SMALL_NETWORK ? 'q8_0' : 'q4_K');

/** The network's tensors by our names (`parameterTable`); products of one input are joined, see `JOINED`. */
export class Weights {
  constructor(
    private readonly tensors: ReadonlyMap<string, Tensor>,
    private readonly contexts: readonly Context[],
    private readonly prefix = '',
  ) {}

  /** The tensors below a prefix: `at('layers.0').tensor('attention.output.weight')`. */
  at(name: string): Weights {
    return new Weights(this.tensors, this.contexts, `${this.prefix}${name}.`);
  }

  /** @throws {CheckpointError} when there is no such tensor. */
  tensor(name: string): Tensor {
    const found = this.tensors.get(this.prefix + name);
    if (!found) throw new CheckpointError(`no weight named ${this.prefix}${name}`);
    return found;
  }

  /**
   * Rows of a step that a worker should compute alone: where a weight is unpacked once for several, the two of guidance, which
   * take the time of one, and as many as a kernel multiplies at a time where the worker has help.
   */
  rowsAtOnce({ helped }: Backend): number {
    const isInterleaved = this.contexts.some(({ tensors }) => tensors.some(({ storage }) => storage?.layout));
    if (!isInterleaved) return 1;
    return helped ? 8 : 2;
  }

  /** Bytes of all weights. */
  get bytes(): number {
    return this.contexts.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  async free(): Promise<void> {
    for (const context of this.contexts) await context.freeAsync();
  }
}

/** Matrices that read the same vector become one product: fewer operations a step, and the bytes stay the same. */
const JOINED: readonly { parts: RegExp; joined: string }[] = [
  { parts: /\.attention\.(query|key|value)\.weight$/, joined: '.attention.queryKeyValue.weight' },
  { parts: /\.feedForward\.(gate|up)\.weight$/, joined: '.feedForward.gateUp.weight' },
];

/** Small matrices at the ends of the network, where an error is heard at once: never below float16. */
const SENSITIVE = new Set(['latentProjection.weight', 'energyHead.output.weight', 'endHead.weight']);

/** One matrix or vector to upload: its rows, from one or several checkpoint tensors. */
interface Part {
  name: string;
  /** Released names, in order of their rows. */
  sources: string[];
  rows: number;
  columns: number;
  isMatrix: boolean;
}

function partsOf(config: SledConfig): Part[] {
  const parts = new Map<string, Part>();
  for (const { name, released, shape } of parameterTable(config)) {
    const join = JOINED.find(({ parts }) => parts.test(name));
    const joined = join ? name.replace(join.parts, join.joined) : name;
    const [rows, columns] = shape.length === 2 ? shape : [1, shape[0]];
    const part = parts.get(joined) ?? { name: joined, sources: [], rows: 0, columns, isMatrix: shape.length === 2 };
    part.sources.push(released);
    part.rows += rows;
    parts.set(joined, part);
  }
  return [...parts.values()];
}

/** The type a matrix is stored in: the wanted one, or the nearest whose blocks fill its rows. */
export function storedType(name: string, columns: number, wanted: WeightType): WeightType {
  if (SENSITIVE.has(name) && wanted.startsWith('q')) return 'f16';
  const fits = (type: WeightType) => columns % TENSOR_TYPES[type].blockSize === 0;
  if (fits(wanted)) return wanted;
  return wanted === 'q4_K' && fits('q4_0') ? 'q4_0' : 'f16';
}

/**
 * Loads a checkpoint in the released layout onto a backend. Matrices go into memory that the backend interleaves for faster
 * products where it can.
 * @throws {CheckpointError} listing every missing, unknown and mis-shaped tensor.
 */
export async function loadWeights(
  { ggml, backend }: { ggml: Ggml; backend: Backend },
  config: SledConfig,
  file: ReadonlyMap<string, SafetensorsArray>,
  type: WeightType,
  source = 'model.safetensors',
): Promise<Weights> {
  expectShapes(config, file, source);
  const parts = partsOf(config);
  return createWeights(
    ggml,
    parts,
    (part) => typeOf(part, type),
    async ({ products, plain, tensors }) => {
      await products.allocateAsync(backend, { interleave: true, zero: false });
      await plain.allocateAsync(backend, { zero: false });
      for (const part of parts) await upload(ggml, tensors.get(part.name)!, part, file);
    },
  );
}

/**
 * Loads the network of a voice file: what is not interleaved stays in the mapped file.
 * @throws {CheckpointError} listing every missing, unknown and mis-shaped tensor.
 */
export function loadPackedWeights(
  { ggml, backend }: { ggml: Ggml; backend: Backend },
  config: SledConfig,
  file: GgufFile,
): Promise<Weights> {
  const parts = partsOf(config);
  const problems = packedProblems(parts, file);
  if (problems.length > 0) throw new CheckpointError(`${file.path} does not fit its config: ${problems.join('; ')}`);
  const storedAs = ({ name }: Part) => file.tensors.get(name)!.type;
  return createWeights(ggml, parts, storedAs, async ({ products, plain }) => {
    await products.load(backend, file, { interleave: true });
    await plain.load(backend, file);
  });
}

function packedProblems(parts: readonly Part[], { tensors }: GgufFile): string[] {
  const problems = parts.flatMap(({ name, rows, columns, isMatrix }) => {
    const shape = [columns, rows];
    const found = tensors.get(name);
    if (!found) return [`missing ${name} [${shape}]`];
    if (found.ne.length > 2 || found.ne[0] !== columns || (found.ne[1] ?? 1) !== rows)
      return [`${name}: expected [${shape}], got [${found.ne}]`];
    const allowed: readonly string[] = isMatrix ? WEIGHT_TYPES : ['f32'];
    return allowed.includes(found.type) ? [] : [`${name}: expected ${allowed.join(', ')}, got ${found.type}`];
  });
  const known = new Set(parts.map(({ name }) => name));
  for (const name of tensors.keys()) if (!known.has(name) && !isIgnoredName(name)) problems.push(`unknown ${name}`);
  return problems;
}

/** The network's tensors as a voice file stores them, one at a time. */
export function packedParts(
  ggml: Ggml,
  config: SledConfig,
  file: ReadonlyMap<string, SafetensorsArray>,
  type: WeightType,
  source: string,
): { name: string; type: WeightType; ne: number[]; pack: () => Promise<ArrayBufferView> }[] {
  expectShapes(config, file, source);
  return partsOf(config).map((part) => {
    const stored = typeOf(part, type);
    const pack = () => packedRows(ggml, part, stored, file);
    return { name: part.name, type: stored, ne: part.isMatrix ? [part.columns, part.rows] : [part.columns], pack };
  });
}

function expectShapes(config: SledConfig, file: ReadonlyMap<string, SafetensorsArray>, source: string): void {
  const problems = checkShapes(config, new Map([...file].map(([name, { shape }]) => [name, shape])));
  if (problems.length > 0) throw new CheckpointError(`${source} does not fit its config: ${problems.join('; ')}`);
}

/** Read by row number, not multiplied by: block types would be unpacked again and again. */
const isEmbedding = ({ name }: Part) => name === 'textEmbedding.weight';

function typeOf(part: Part, wanted: WeightType): WeightType {
  if (!part.isMatrix) return 'f32';
  return storedType(part.name, part.columns, isEmbedding(part) && wanted !== 'f32' ? 'f16' : wanted);
}

interface WeightParts {
  /** Matrices to multiply by. */
  products: Context;
  plain: Context;
  tensors: ReadonlyMap<string, Tensor>;
}

/** Makes the tensors of all parts and lets `fill` give them memory and values. */
async function createWeights(
  ggml: Ggml,
  parts: readonly Part[],
  typeOf: (part: Part) => TensorType,
  fill: (made: WeightParts) => Promise<void>,
): Promise<Weights> {
  const [products, plain] = [ggml.context(), ggml.context()];
  const tensors = new Map<string, Tensor>();
  try {
    for (const part of parts) {
      const context = part.isMatrix && !isEmbedding(part) ? products : plain;
      tensors.set(part.name, context.tensor(typeOf(part), [part.columns, part.rows], part.name));
    }
    await fill({ products, plain, tensors });
    return new Weights(tensors, [products, plain]);
  } catch (error) {
    for (const context of [products, plain]) context.free();
    throw error;
  }
}

/** Element types that checkpoints have, as ggml names them. */
const GGML_TYPES: Partial<Record<SafetensorsType, TensorType>> = { F32: 'f32', F16: 'f16', BF16: 'bf16' };

/** Writes a part into its tensor, on worker threads: source by source, but whole into memory that is written whole. */
async function upload(ggml: Ggml, tensor: Tensor, part: Part, file: ReadonlyMap<string, SafetensorsArray>) {
  const { sources, columns } = part;
  if (!tensor.storage?.plain) return tensor.setAsync(await packedRows(ggml, part, tensor.type, file));
  let elements = 0;
  for (const source of sources) {
    const array = file.get(source)!;
    await tensor.setAsync(await packedArray(ggml, array, tensor.type, columns), elements);
    elements += array.shape.reduce((a, b) => a * b, 1);
  }
}

/** The rows of all sources of a part in the bytes of `type`. */
async function packedRows(
  ggml: Ggml,
  { sources, columns }: Part,
  type: TensorType,
  file: ReadonlyMap<string, SafetensorsArray>,
): Promise<Uint8Array> {
  const arrays: Uint8Array[] = [];
  for (const source of sources) arrays.push(await packedArray(ggml, file.get(source)!, type, columns));
  return arrays.length === 1 ? arrays[0] : Buffer.concat(arrays);
}

/** An array in the bytes of `type`, converted on worker threads. */
async function packedArray(
  ggml: Ggml,
  array: SafetensorsArray,
  type: TensorType,
  columns: number,
): Promise<Uint8Array> {
  const stored = GGML_TYPES[array.dtype];
  if (stored === type) return array.bytes;
  const count = array.shape.reduce((a, b) => a * b, 1);
  const values = stored ? await ggml.dequantizeAsync(stored, array.bytes, count) : toFloat32(array);
  if (type === 'f32') return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return ggml.quantizeAsync(type as PackedType, values, columns);
}

/** Number of weights of a network. */
export const countWeights = (config: SledConfig): number =>
  parameterTable(config).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
