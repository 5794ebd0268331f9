import { native } from './native.js';
import { op } from './dispatch.js';
import { keep, scope } from './memory.js';
import { noGrad } from './modes.js';
import { full, zerosLike } from './create.js';
import { updateInFloat32, updateSeed } from './stochastic.js';
import type { Tensor } from './tensor.js';

/** Parameters that share a learning rate; `lr` and `weightDecay` may be changed between steps. */
export interface ParameterGroup {
  readonly params: readonly Tensor[];
  lr: number;
  weightDecay: number;
}

export interface AdamWOptions {
  readonly betas?: readonly [number, number];
  readonly eps?: number;
}

/** What an optimiser remembers, by name: pass it to `loadState` of one with the same parameters in the same order. */
export type OptimizerState = Record<string, Tensor>;

const fusedAdamW = op('_fused_adamw_');
const foreachNorm = op('_foreach_norm', 'Scalar');
const foreachMul = op('_foreach_mul_', 'Tensor');
const foreachAdd = op('_foreach_add_', 'Scalar');
const stack = op('stack');

/** Forgets the gradients of all parameters. */
export function zeroGrad(groups: readonly ParameterGroup[]): void {
  for (const { params } of groups) for (const param of params) native.setGrad(param.handle, 0);
}

/** The parameters that have gradients, with them, in order. Call inside a scope: it frees the gradients' handles. */
export function withGradients(params: readonly Tensor[]): { index: number; param: Tensor; grad: Tensor }[] {
  return params.flatMap((param, index) => {
    const { grad } = param;
    return grad ? [{ index, param, grad }] : [];
  });
}

/** Copies saved tensors into the optimiser's own; throws a RangeError that names what is missing or extra. */
export function copyState(own: OptimizerState, saved: Readonly<OptimizerState>): void {
  const missing = Object.keys(own).filter((name) => !(name in saved));
  const extra = Object.keys(saved).filter((name) => !(name in own));
  if (missing.length || extra.length)
    throw new RangeError(`loadState: missing [${missing.join(', ')}], not known [${extra.join(', ')}]`);
  noGrad(() => {
    for (const [name, tensor] of Object.entries(own)) tensor.copy_(saved[name]);
  });
}

interface Moments {
  readonly mean: Tensor;
  readonly square: Tensor;
  /** Steps taken, float32 [], as libtorch's fused kernel wants it. */
  readonly steps: Tensor;
}

interface Update extends Moments {
  readonly param: Tensor;
  readonly grad: Tensor;
}

/**
 * Adam with decoupled weight decay (Loshchilov and Hutter, 2019), by libtorch's fused kernel. Moments have their
 * parameter's type; bfloat16 is rounded stochastically.
 */
export class AdamW {
  private readonly moments: Moments[][];
  private readonly betas: readonly [number, number];
  private readonly eps: number;

  constructor(
    readonly groups: readonly ParameterGroup[],
    { betas = [0.9, 0.999], eps = 1e-8 }: AdamWOptions = {},
  ) {
    this.betas = betas;
    this.eps = eps;
    this.moments = groups.map(({ params }) => params.map(createMoments));
  }

  /** Updates every parameter that has a gradient. bfloat16 ones need `seed`, another for every step. */
  step(seed?: number): void {
    this.groups.forEach((group, i) => {
      noGrad(() => scope(() => this.stepGroup(group, i, seed)));
    });
  }

  private stepGroup(group: ParameterGroup, i: number, seed?: number): void {
    const ready = withGradients(group.params).map((update) => ({ ...update, ...this.moments[i][update.index] }));
    if (ready.length > 0) foreachAdd(ready.map(({ steps }) => steps), 1); // prettier-ignore
    const whole = ready.filter(({ param }) => param.dtype !== 'bfloat16');
    if (whole.length > 0) this.update(group, whole);
    const before = this.groups.slice(0, i).reduce((sum, { params }) => sum + params.length, 0);
    for (const { index, param, grad, mean, square, steps } of ready.filter((update) => !whole.includes(update)))
      updateInFloat32([param, mean, square], updateSeed(seed, before + index), ([param, mean, square], partOf) =>
        this.update(group, [{ param, grad: partOf(grad), mean, square, steps }]),
      );
  }

  private update({ lr, weightDecay }: ParameterGroup, updates: readonly Update[]): void {
    const all = (key: keyof Update) => updates.map((update) => update[key]);
    const [beta1, beta2] = this.betas;
    fusedAdamW(
      ...[all('param'), all('grad'), all('mean'), all('square'), [], all('steps')],
      ...[lr, beta1, beta2, weightDecay, this.eps, false, false],
    );
  }

  zeroGrad(): void {
    zeroGrad(this.groups);
  }

  /** Live tensors, not copies: `0.3.mean`, `0.3.square` and `0.3.steps` for parameter 3 of group 0. */
  state(): OptimizerState {
    return Object.fromEntries(
      this.moments.flatMap((group, i) =>
        group.flatMap((moments, k) => Object.entries(moments).map(([name, tensor]) => [`${i}.${k}.${name}`, tensor])),
      ),
    );
  }

  loadState(saved: Readonly<OptimizerState>): void {
    copyState(this.state(), saved);
  }
}

function createMoments(param: Tensor): Moments {
  return noGrad(() => ({
    mean: keep(zerosLike(param)),
    square: keep(zerosLike(param)),
    steps: keep(full([], 0, { device: param.device })),
  }));
}

/** Scales all gradients so that their common Euclidean norm, taken in float32, is at most `max`; returns the norm before. */
export function clipGradNorm(params: readonly Tensor[], max: number): number {
  return noGrad(() =>
    scope(() => {
      const grads = withGradients(params).map(({ grad }) => grad);
      if (grads.length === 0) return 0;
      const norm = (stack(foreachNorm(grads, 2, 'float32'), 0) as Tensor).norm();
      // The same small constant as in PyTorch, so that a norm of 0 divides.
      const scale = norm.add(1e-6).pow(-1).mul(max).clamp(null, 1);
      // On a GPU, to multiply costs less than to wait for the number.
      if (params[0].device !== 'cpu' || scale.item() !== 1) foreachMul(grads, scale);
      return norm.item();
    }),
  );
}
