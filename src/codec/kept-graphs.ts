/** Graphs kept at most: a stream uses few chunk lengths again and again, and each takes megabytes. */
const MOST = 6;

/** The graphs of the chunk lengths used last. */
export class KeptGraphs<G extends { free(): void }> {
  private readonly graphs = new Map<string, G>();

  /** The graph of that name, built if it is not there; from now on the last that will be given up. One call at a time. */
  async of(name: string, build: () => Promise<G>): Promise<G> {
    const graph = this.graphs.get(name) ?? (await build());
    this.graphs.delete(name);
    this.graphs.set(name, graph);
    if (this.graphs.size > MOST) {
      const [[oldest, unused]] = this.graphs;
      this.graphs.delete(oldest);
      unused.free();
    }
    return graph;
  }

  free(): void {
    for (const graph of this.graphs.values()) graph.free();
    this.graphs.clear();
  }
}

/** How many of the `frames` frames that are there the next chunk takes: chunks as equal as can be, none above `longest`. */
export function chunkOf(frames: number, longest: number): number {
  return Math.ceil(frames / Math.ceil(frames / longest));
}
