import type { Context } from '@sled-tts/ggml';
import type { SledConfig } from '../model/config.js';
import type { CacheWindow, TrunkInputs } from './network.js';

/** What a sequence holds at a position: a token id, or a latent frame [D]. */
export type Position = number | Float32Array;

/** A position to compute: what it holds, its number in its row, and the slot of that row. */
export interface PositionInput {
  content: Position;
  position: number;
  slot: number;
}

const MINUS_INFINITY = 0xfc00; // float16

/** A trunk's inputs, with the arrays that are copied into them before each computation. */
export class TrunkFeed {
  readonly inputs: TrunkInputs;
  readonly #tokens: Int32Array;
  readonly #latents: Float32Array;
  readonly #isText: Float32Array;
  readonly #isFrame: Float32Array;
  readonly #positions: Int32Array;
  readonly #cacheRows: Int32Array;
  readonly #mask: Uint16Array;

  /** M = rows * perRow positions. */
  constructor(
    context: Context,
    { latentDim: D }: SledConfig,
    private readonly window: CacheWindow,
    rows: number,
    perRow: number,
  ) {
    const M = rows * perRow;
    this.inputs = {
      tokens: context.input('i32', [M], 'tokens'),
      latents: context.input('f32', [D, M], 'latents'),
      isText: context.input('f32', [1, M], 'isText'),
      isFrame: context.input('f32', [1, M], 'isFrame'),
      positions: context.input('i32', [M], 'positions'),
      cacheRows: context.input('i32', [M], 'cacheRows'),
      mask: context.input('f16', [window.length, perRow, 1, rows], 'mask'),
    };
    this.#tokens = new Int32Array(M);
    this.#latents = new Float32Array(D * M);
    this.#isText = new Float32Array(M);
    this.#isFrame = new Float32Array(M);
    this.#positions = new Int32Array(M);
    this.#cacheRows = new Int32Array(M);
    this.#mask = new Uint16Array(window.length * M);
  }

  /** Entry m for each of the M positions; undefined ones are computed and thrown away. */
  set(entries: readonly (PositionInput | undefined)[]): void {
    this.#mask.fill(MINUS_INFINITY);
    entries.forEach((entry, m) => this.#place(entry, m));
    const { inputs } = this;
    inputs.tokens.set(this.#tokens);
    inputs.latents.set(this.#latents);
    inputs.isText.set(this.#isText);
    inputs.isFrame.set(this.#isFrame);
    inputs.positions.set(this.#positions);
    inputs.cacheRows.set(this.#cacheRows);
    inputs.mask.set(this.#mask);
  }

  #place(entry: PositionInput | undefined, m: number): void {
    const { cache, length } = this.window;
    const { content = 0, position = 0, slot = 0 } = entry ?? {};
    const isText = typeof content === 'number';
    this.#tokens[m] = isText ? content : 0;
    if (!isText) this.#latents.set(content, m * content.length);
    this.#isText[m] = isText ? 1 : 0;
    this.#isFrame[m] = isText ? 0 : 1;
    this.#positions[m] = position;
    this.#cacheRows[m] = entry ? cache.rowOf(slot, position) : cache.padding;
    // A position sees itself and what came before; padding sees one position, since a softmax over nothing is no number.
    this.#mask.fill(0, m * length, m * length + position + 1);
  }
}
