import { AdamW, Muon, type Tensor } from '@sled-tts/torch';
import type { Parameters } from './parameters.js';
import type { TrainingConfig } from './training-config.js';

/** Muon orthogonalises an update of at least this many rows and columns. */
const SMALLEST_MATRIX = 48;

/** Fused matrices whose parts Muon takes one by one: shift, scale and gate of a modulation. */
const partsOf = (name: string): number => {
  if (name.endsWith('outputModulation.weight')) return 2;
  return name.endsWith('.modulation.weight') ? 3 : 1;
};

/** Weight decay applies to everything but norms and biases. */
export const decays = (name: string): boolean => !/[nN]orm\.|\.bias$/.test(name);

/** True for the hidden matrices of trunk and energy head, which Muon takes. */
export function isHiddenMatrix(name: string, tensor: Tensor): boolean {
  if (!/^(layers|energyHead\.(blocks|outputModulation))/.test(name) || tensor.shape.length !== 2) return false;
  return tensor.shape.every((size) => size >= SMALLEST_MATRIX);
}

/** AdamW for all, or Muon for hidden matrices and AdamW for the rest; one object for the trainer. */
export class Optimizer {
  private readonly adamw: AdamW;
  private readonly muon: Muon | null;

  constructor(
    parameters: Parameters,
    private readonly config: TrainingConfig,
  ) {
    const { learningRate, matrixLearningRate, weightDecay, beta1, beta2 } = config;
    const named = [...parameters];
    const matrices = matrixLearningRate > 0 ? named.filter(([name, tensor]) => isHiddenMatrix(name, tensor)) : [];
    const rest = named.filter((entry) => !matrices.includes(entry));
    const tensors = (entries: [string, Tensor][]) => entries.map(([, tensor]) => tensor);
    this.adamw = new AdamW(
      [
        { params: tensors(rest.filter(([name]) => decays(name))), lr: learningRate, weightDecay },
        { params: tensors(rest.filter(([name]) => !decays(name))), lr: learningRate, weightDecay: 0 },
      ],
      { betas: [beta1, beta2], eps: 1e-8 },
    );
    const groups = [1, 2, 3].map((parts) => {
      const params = tensors(matrices.filter(([name]) => partsOf(name) === parts));
      const split = parts > 1 ? params[0]?.shape[0] / parts : undefined; // rows of a part
      return { params, lr: matrixLearningRate, weightDecay, split };
    });
    this.muon = matrices.length > 0 ? new Muon(groups.filter(({ params }) => params.length > 0)) : null;
  }

  /** Update number `step` of the run, at `factor` times the configured rates. */
  step(factor: number, step: number): void {
    for (const group of this.adamw.groups) group.lr = this.config.learningRate * factor;
    this.adamw.step(2 * step);
    if (!this.muon) return;
    for (const group of this.muon.groups) group.lr = this.config.matrixLearningRate * factor;
    this.muon.step(2 * step + 1);
  }

  zeroGrad(): void {
    this.adamw.zeroGrad();
    this.muon?.zeroGrad();
  }

  /** Everything that the next step depends on, by name. */
  state(): Map<string, Tensor> {
    const state = new Map<string, Tensor>();
    for (const [name, tensor] of Object.entries(this.adamw.state())) state.set(`adamw.${name}`, tensor);
    for (const [name, tensor] of Object.entries(this.muon?.state() ?? {})) state.set(`muon.${name}`, tensor);
    return state;
  }

  loadState(state: ReadonlyMap<string, Tensor>): void {
    const part = (prefix: string) =>
      Object.fromEntries(
        [...state].filter(([name]) => name.startsWith(prefix)).map(([name, t]) => [name.slice(prefix.length), t]),
      );
    this.adamw.loadState(part('adamw.'));
    this.muon?.loadState(part('muon.'));
  }
}
