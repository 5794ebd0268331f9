import { baddbmm, bmm, stack } from './functional.js';
import { keep, scope } from './memory.js';
import { noGrad } from './modes.js';
import { zerosLike } from './create.js';
import { copyState, withGradients, zeroGrad, type OptimizerState, type ParameterGroup } from './optim.js';
import { updateInFloat32, updateSeed } from './stochastic.js';
import type { Tensor } from './tensor.js';

/** A group of matrices; `split` cuts each into blocks of so many rows (fused q, k and v), orthogonalised one by one. */
export interface MuonGroup extends ParameterGroup {
  readonly split?: number;
}

export interface MuonOptions {
  readonly momentum?: number;
  /** Newton-Schulz iterations. */
  readonly iterations?: number;
}

// Chosen by Keller Jordan for the steepest slope at zero: singular values end up between about 0.7 and 1.2.
const A = 3.4445;
const B = -4.775;
const C = 2.0315;

/** The nearest semi-orthogonal matrices, roughly, to a batch [N, R, C] of matrices, in bfloat16. */
export function orthogonalize(matrices: Tensor, iterations = 5): Tensor {
  const [, rows, columns] = matrices.shape;
  // Rows no more than columns makes the products below the smaller ones.
  const flipped = rows > columns;
  let x = flipped ? matrices.transpose(1, 2) : matrices;
  x = x
    .div(x.norm([1, 2], true).add(1e-7))
    .to('bfloat16')
    .contiguous();
  for (let i = 0; i < iterations; i++) {
    // x <- A x + (B g + C g g) x, g = x x'
    const gram = bmm(x, x.transpose(1, 2));
    const polynomial = baddbmm(gram, gram, gram, { beta: B, alpha: C });
    x = baddbmm(x, polynomial, x, { beta: A });
  }
  return flipped ? x.transpose(1, 2) : x;
}

interface Block {
  readonly param: Tensor;
  readonly update: Tensor;
  /** Of the whole parameter's update, where it is bfloat16. */
  readonly seed: number;
}

/** Momentum whose update is orthogonalised, for the matrices of a network (Keller Jordan, 2024). Steps bigger than AdamW's. */
export class Muon {
  private readonly momenta: Tensor[][];
  private readonly momentum: number;
  private readonly iterations: number;

  constructor(
    readonly groups: readonly MuonGroup[],
    { momentum = 0.95, iterations = 5 }: MuonOptions = {},
  ) {
    this.momentum = momentum;
    this.iterations = iterations;
    groups.forEach(checkGroup);
    this.momenta = groups.map(({ params }) => params.map((param) => noGrad(() => keep(zerosLike(param)))));
  }

  /** Updates every parameter that has a gradient. bfloat16 ones need `seed`, another for every step. */
  step(seed?: number): void {
    this.groups.forEach((group, i) => {
      noGrad(() => scope(() => this.stepGroup(group, i, seed)));
    });
  }

  private stepGroup(group: MuonGroup, i: number, seed?: number): void {
    const byShape = new Map<string, Block[]>();
    const before = this.groups.slice(0, i).reduce((sum, { params }) => sum + params.length, 0);
    for (const { index, param, grad } of withGradients(group.params)) {
      const momentum = this.momenta[i][index];
      const own = param.dtype === 'bfloat16' ? updateSeed(seed, 2 * (before + index)) : 0;
      updateInFloat32([momentum], own, ([copy], partOf) => copy.lerp_(partOf(grad), 1 - this.momentum));
      // Nesterov: look one step ahead of the momentum. grad is not needed again, but stays as it is.
      const update = grad.mul(1 - this.momentum).add_(momentum, this.momentum);
      for (const block of blocksOf({ param, update, seed: own + 1 }, group.split)) {
        const key = block.param.shape.join();
        const same = byShape.get(key);
        if (same) same.push(block);
        else byShape.set(key, [block]);
      }
    }
    for (const blocks of byShape.values()) scope(() => this.apply(blocks, group));
  }

  // param <- param * (1 - lr * decay) - lr * max(1, rows / columns)^(1/2) * orthogonal update
  private apply(blocks: readonly Block[], { lr, weightDecay }: MuonGroup): void {
    const updates = orthogonalize(stack(blocks.map(({ update }) => update)), this.iterations);
    const [rows, columns] = blocks[0].param.shape;
    const scale = Math.sqrt(Math.max(1, rows / columns));
    blocks.forEach(({ param, seed }, i) =>
      updateInFloat32([param], seed, ([copy], partOf) => {
        if (weightDecay !== 0) copy.mul_(1 - lr * weightDecay);
        copy.add_(partOf(updates.select(0, i)), -lr * scale);
      }),
    );
  }

  zeroGrad(): void {
    zeroGrad(this.groups);
  }

  /** Live tensors, not copies: `0.3.momentum` for parameter 3 of group 0. */
  state(): OptimizerState {
    return Object.fromEntries(
      this.momenta.flatMap((group, i) => group.map((tensor, k) => [`${i}.${k}.momentum`, tensor])),
    );
  }

  loadState(saved: Readonly<OptimizerState>): void {
    copyState(this.state(), saved);
  }
}

function checkGroup({ params, split }: MuonGroup): void {
  for (const { shape } of params) {
    if (shape.length !== 2)
      throw new RangeError(`Muon: expected matrices, got [${shape.join(', ')}]; use AdamW for it`);
    if (split !== undefined && shape[0] % split !== 0)
      throw new RangeError(`Muon: cannot split [${shape.join(', ')}] into blocks of ${split} rows`);
  }
}

function blocksOf(whole: Block, split: number | undefined): Block[] {
  if (split === undefined) return [whole];
  const updates = whole.update.split(split, 0);
  return whole.param.split(split, 0).map((param, i) => ({ ...whole, param, update: updates[i] }));
}
