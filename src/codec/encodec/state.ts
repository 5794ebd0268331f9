import { contextOf, type Convolution, type Layer } from './layers.js';

/** Where a layer's memory of earlier columns lies in a stream's state. */
export interface StateSlot {
  readonly offset: number;
  /** ggml's order, channels fastest. */
  readonly ne: readonly [number, number];
}

/** Everything that a network remembers from chunk to chunk, as parts of one float32 array. */
export interface StateLayout {
  readonly slots: ReadonlyMap<string, StateSlot>;
  readonly length: number;
}

/** Elements, 256 bytes: Vulkan multiplies nothing that begins elsewhere, and its drivers ask for no more. */
const ALIGNMENT = 64;

/** The left context of each convolution, and hidden and cell state (`.h0`, `.c0`, ..) of each LSTM layer. */
export function stateLayout(layers: readonly Layer[]): StateLayout {
  const slots = new Map<string, StateSlot>();
  let length = 0;
  const add = (name: string, channels: number, columns: number): void => {
    if (columns === 0) return;
    slots.set(name, { offset: length, ne: [channels, columns] });
    length += Math.ceil((channels * columns) / ALIGNMENT) * ALIGNMENT;
  };
  const addConvolution = (layer: Convolution) => add(layer.name, layer.inputs, contextOf(layer));
  for (const layer of layers) {
    if (layer.kind === 'convolution') addConvolution(layer);
    if (layer.kind === 'residual') addConvolution(layer.first);
    if (layer.kind === 'upsampling') add(layer.name, layer.inputs, 1);
    if (layer.kind === 'lstm') {
      for (let i = 0; i < layer.layers; i++) {
        add(`${layer.name}.h${i}`, layer.width, 1);
        add(`${layer.name}.c${i}`, layer.width, 1);
      }
    }
  }
  return { slots, length };
}
