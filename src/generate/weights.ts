import { TENSOR_TYPES, type Backend, type Context, type Ggml, type PackedType, type Tensor } from '@sled-tts/ggml';
import { checkShapes, isIgnoredName, parameterTable } from '../model/checkpoint.js';
import type { SledConfig } from '../model/config.js';
import { CheckpointError } from '../model/errors.js';
import { toFloat32, type SafetensorsArray } from '../model/safetensors.js';

/** How the large matrices are stored; vectors stay float32. */
export const WEIGHT_TYPES = ['f32', 'f16', 'bf16', 'q8_0', 'q4_0', 'q4_K'] as const;
export type WeightType = (typeof WEIGHT_TYPES)[number];

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

  /** Bytes of all weights. */
  get bytes(): number {
    return this.contexts.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  free(): void {
    for (const context of this.contexts) context.free();
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
  const problems = checkShapes(config, new Map([...file].map(([name, { shape }]) => [name, shape])));
  if (problems.length > 0) throw new CheckpointError(`${source} does not fit its config: ${problems.join('; ')}`);
  const [products, plain] = [ggml.context(), ggml.context()];
  const tensors = new Map<string, Tensor>();
  const parts = partsOf(config);
  try {
    for (const { name, rows, columns, isMatrix } of parts) {
      const isProduct = isMatrix && name !== 'textEmbedding.weight';
      const stored = isMatrix ? storedType(name, columns, isProduct || type === 'f32' ? type : 'f16') : 'f32';
      tensors.set(name, (isProduct ? products : plain).tensor(stored, [columns, rows], name));
    }
    products.allocate(backend, { interleave: true });
    plain.allocate(backend);
    for (const part of parts) await upload(ggml, tensors.get(part.name)!, joinRows(part, file));
    return new Weights(tensors, [products, plain]);
  } catch (error) {
    for (const context of [products, plain]) context.free();
    throw error;
  }
}

async function upload(ggml: Ggml, tensor: Tensor, values: Float32Array): Promise<void> {
  if (tensor.type === 'f32') tensor.set(values);
  else tensor.set(await ggml.quantizeAsync(tensor.type as PackedType, values, tensor.ne[0]));
}

function joinRows({ sources, rows, columns }: Part, file: ReadonlyMap<string, SafetensorsArray>): Float32Array {
  if (sources.length === 1) return toFloat32(file.get(sources[0])!);
  const values = new Float32Array(rows * columns);
  let filled = 0;
  for (const source of sources) {
    const part = toFloat32(file.get(source)!);
    values.set(part, filled);
    filled += part.length;
  }
  return values;
}

/** Number of weights in a checkpoint, without those that are none of the network's. */
export function countWeights(file: ReadonlyMap<string, SafetensorsArray>): number {
  let count = 0;
  for (const [name, { shape }] of file) if (!isIgnoredName(name)) count += shape.reduce((a, b) => a * b, 1);
  return count;
}
