import { headSizeOf, stackedDimOf, type MelCodecConfig } from './config.js';

/** A row-major float32 array with its shape. */
export interface WeightArray {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Name and shape of every weight of the decoder; both engines and the file use these names. */
export function decoderShapes(config: MelCodecConfig): Map<string, number[]> {
  const { latentDim: D, decoderWidth: C, decoderKernel: K, stackedFrames } = config;
  const inner = C * config.decoderExpansion;
  const shapes = new Map<string, number[]>([
    ['input.weight', [C, D, config.decoderInputKernel]],
    ['input.bias', [C]],
    ['upsample.weight', [stackedFrames * C, C]],
    ['upsample.bias', [stackedFrames * C]],
  ]);
  for (let i = 0; i < config.decoderBlocks; i++) {
    shapes.set(`blocks.${i}.conv.weight`, [C, 1, K]);
    shapes.set(`blocks.${i}.conv.bias`, [C]);
    shapes.set(`blocks.${i}.norm.weight`, [C]);
    shapes.set(`blocks.${i}.norm.bias`, [C]);
    shapes.set(`blocks.${i}.expand.weight`, [inner, C]);
    shapes.set(`blocks.${i}.expand.bias`, [inner]);
    shapes.set(`blocks.${i}.contract.weight`, [C, inner]);
    shapes.set(`blocks.${i}.contract.bias`, [C]);
    shapes.set(`blocks.${i}.gate`, [C]);
  }
  shapes.set('norm.weight', [C]);
  shapes.set('norm.bias', [C]);
  shapes.set('output.weight', [headSizeOf(config), C]);
  shapes.set('output.bias', [headSizeOf(config)]);
  return shapes;
}

/** Name and shape of what the analysis is made of. */
export function analysisShapes(config: MelCodecConfig): Map<string, number[]> {
  const [S, D] = [stackedDimOf(config), config.latentDim];
  return new Map([
    ['analysis.mean', [S]],
    ['analysis.basis', [D, S]],
    ['analysis.scale', [1]],
    ['statistics.mean', [D]],
    ['statistics.std', [D]],
  ]);
}
