import type { Context, Graph, Tensor } from '@sled-tts/ggml';
import type { SledConfig } from '../model/config.js';
import type { CacheWindow, SledGraph } from './network.js';
import { TrunkFeed, type PositionInput } from './trunk-feed.js';

interface WatchedTrunkParts {
  context: Context;
  graph: Graph;
  sled: SledGraph;
  config: SledConfig;
  window: CacheWindow;
  rows: number;
  /** Whether the alignment heads' scores are computed too. */
  watched: boolean;
}

/** The trunk over one position of each of R rows, with its inputs and, where asked for, the scores of the alignment heads. */
export class WatchedTrunk {
  /** [C, R] */
  readonly z: Tensor;
  readonly #feed: TrunkFeed;
  /** [K, 1, R] of each alignment head. */
  readonly #headScores: Tensor[] = [];
  /** Position of each row. */
  #positions: number[] = [];

  constructor(private readonly parts: WatchedTrunkParts) {
    const { context, graph, sled, config, window, rows, watched } = parts;
    this.#feed = new TrunkFeed(context, config, window, rows, 1);
    const watch = (layer: number, query: Tensor) => {
      for (const [l, head] of config.alignmentHeads)
        if (l === layer) this.#headScores.push(graph.expand(sled.headScores(l, head, query, window).output()));
    };
    this.z = sled.trunk(this.#feed.inputs, window, watched ? watch : undefined);
  }

  /** Rows in slot order, undefined where a slot is idle. */
  set(rows: readonly (PositionInput | undefined)[]): void {
    this.#feed.set(rows);
    this.#positions = rows.map((row) => row?.position ?? 0);
  }

  /** Of each row, the scores of each alignment head as far as the row's positions go, or undefined where nothing is watched. */
  headScores(): Float32Array[][] | undefined {
    if (this.#headScores.length === 0) return undefined;
    const { window, config } = this.parts;
    const scale = Math.sqrt(config.width / config.heads);
    const heads = this.#headScores.map((scores) => scores.get() as Float32Array);
    return this.#positions.map((position, row) => {
      const first = row * window.length;
      return heads.map((scores) => scores.slice(first, first + position + 1).map((score) => score / scale));
    });
  }
}
