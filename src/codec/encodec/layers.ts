/** The SEANet encoder and decoder as lists of layers, in Hugging Face's order and names. */
import type { EncodecConfig } from './config.js';

export interface Convolution {
  readonly kind: 'convolution';
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
}

/** A transposed convolution whose kernel is twice its stride. */
export interface Upsampling {
  readonly kind: 'upsampling';
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  readonly stride: number;
}

/** `second(elu(first(elu(x)))) + shortcut(x)`; without a shortcut, x itself. */
export interface Residual {
  readonly kind: 'residual';
  readonly first: Convolution;
  readonly second: Convolution;
  readonly shortcut: Convolution | undefined;
}

/** `x + lstm(x)`. */
export interface Lstm {
  readonly kind: 'lstm';
  readonly name: string;
  readonly width: number;
  readonly layers: number;
}

export interface Elu {
  readonly kind: 'elu';
}

export type Layer = Convolution | Upsampling | Residual | Lstm | Elu;

const ELU: Elu = { kind: 'elu' };

/** Columns before the first that a convolution sees: those it remembers from chunk to chunk, and pads at the start. */
export const contextOf = ({ kernel, stride, dilation }: Convolution): number => dilation * (kernel - 1) + 1 - stride;

/** Convolutions and transposed ones, those inside residual blocks too. */
export function convolutionsOf(layers: readonly Layer[]): (Convolution | Upsampling)[] {
  return layers.flatMap((layer) => {
    if (layer.kind === 'residual') return [layer.first, layer.second, ...(layer.shortcut ? [layer.shortcut] : [])];
    return layer.kind === 'convolution' || layer.kind === 'upsampling' ? [layer] : [];
  });
}

/** Samples [1, N] -> embeddings [D, ceil(N / hop)]. */
export function encoderLayers(config: EncodecConfig): Layer[] {
  const list = new LayerList('encoder', config);
  let width = config.filters;
  list.convolution(1, width, config.kernelSize);
  for (const stride of [...config.ratios].reverse()) {
    list.residuals(width);
    list.elu();
    list.convolution(width, 2 * width, 2 * stride, stride);
    width *= 2;
  }
  list.lstm(width);
  list.elu();
  list.convolution(width, config.latentDim, config.lastKernelSize);
  return list.layers;
}

/** Latents [D, T] -> samples [1, T * hop]. */
export function decoderLayers(config: EncodecConfig): Layer[] {
  const list = new LayerList('decoder', config);
  let width = config.filters * 2 ** config.ratios.length;
  list.convolution(config.latentDim, width, config.kernelSize);
  list.lstm(width);
  for (const stride of config.ratios) {
    list.elu();
    list.upsampling(width, width / 2, stride);
    width /= 2;
    list.residuals(width);
  }
  list.elu();
  list.convolution(width, 1, config.lastKernelSize);
  return list.layers;
}

/** Counts modules as Hugging Face's ModuleList does, activations included. */
class LayerList {
  readonly layers: Layer[] = [];

  constructor(
    private readonly prefix: string,
    private readonly config: EncodecConfig,
  ) {}

  elu(): void {
    this.layers.push(ELU);
  }

  lstm(width: number): void {
    this.layers.push({ kind: 'lstm', name: `${this.next()}.lstm`, width, layers: this.config.lstmLayers });
  }

  convolution(inputs: number, outputs: number, kernel: number, stride = 1): void {
    this.layers.push(convolution(`${this.next()}.conv`, inputs, outputs, { kernel, stride }));
  }

  upsampling(inputs: number, outputs: number, stride: number): void {
    this.layers.push({ kind: 'upsampling', name: `${this.next()}.conv`, inputs, outputs, stride });
  }

  residuals(width: number): void {
    const { residualLayers, residualKernelSize: kernel, dilationGrowthRate, compress } = this.config;
    const inner = Math.floor(width / compress);
    for (let j = 0; j < residualLayers; j++) {
      const name = this.next();
      this.layers.push({
        kind: 'residual',
        first: convolution(`${name}.block.1.conv`, width, inner, { kernel, dilation: dilationGrowthRate ** j }),
        second: convolution(`${name}.block.3.conv`, inner, width, { kernel: 1 }),
        shortcut: this.config.convolutionShortcut
          ? convolution(`${name}.shortcut.conv`, width, width, { kernel: 1 })
          : undefined,
      });
    }
  }

  private next(): string {
    return `${this.prefix}.layers.${this.layers.length}`;
  }
}

function convolution(
  name: string,
  inputs: number,
  outputs: number,
  { kernel, stride = 1, dilation = 1 }: { kernel: number; stride?: number; dilation?: number },
): Convolution {
  return { kind: 'convolution', name, inputs, outputs, kernel, stride, dilation };
}

/**
 * The fewest frames whose start can be computed: each convolution mirrors its first columns to the left, for which it
 * needs one more column than it mirrors. `columns` is the network's input columns a frame.
 */
export function startFrames(layers: readonly Layer[], columns: number): number {
  let frames = 1;
  while (!canStart(layers, frames * columns)) frames++;
  return frames;
}

function canStart(layers: readonly Layer[], columns: number): boolean {
  let length = columns;
  for (const layer of layers) {
    const first = layer.kind === 'residual' ? layer.first : layer;
    if (first.kind === 'convolution') {
      if (length <= contextOf(first)) return false;
      length /= first.stride;
    }
    if (first.kind === 'upsampling') length *= first.stride;
  }
  return true;
}
