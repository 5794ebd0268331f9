import { isQuantized } from '@sled-tts/ggml';
import type { SledConfig } from '../model/config.js';
import { GraphCache, LONGEST_PREFILL } from './graph-cache.js';
import type { Frame, FrameInput, GraphParts } from './graphs.js';
import { KvCache, type CacheType } from './kv-cache.js';
import { PrefixStore, type PrefixRow, type SharedPrefix } from './prefix-store.js';
import { SledStream, type Row, type StreamOptions } from './sled-stream.js';
import type { PositionInput } from './trunk-feed.js';

/** Rows of the cache at the start: one voice with guidance. */
const FIRST_SLOTS = 2;
const FIRST_POSITIONS = 512;
/** Frames whose noise is gone through at once: its weights are then read a quarter as often. */
const FRAMES_AHEAD = 4;
/** Weights that a processor's cache may keep from frame to frame, where that saves nothing. */
const CACHED_BYTES = 32 * 2 ** 20;

export interface SessionOptions {
  /**
   * Element type of the key and value cache (default: q8_0 beside quantised weights that come from memory where there is a kernel for it, else
   * f16; openSession() takes f32 with float32 weights).
   */
  cacheType?: CacheType;
  /** Streams that may be open at once; memory grows with those that are. */
  maxStreams?: number;
  /**
   * Frames whose noise is gone through at once, 0 for none but the one that is drawn (default: 4 where a processor's weights come from
   * memory, or another worker has the time).
   */
  framesAhead?: number;
}

const framesAheadOf = ({ weights, workers: { all, main } }: GraphParts) =>
  main.device.kind === 'cpu' && (weights.bytes > CACHED_BYTES || (all.length > 1 && !main.helped)) ? FRAMES_AHEAD : 0;

/** In q8_0 they are half the bytes to read, a third of a frame's after ten seconds, and add nothing to the error of quantised weights. */
function cacheTypeOf({ weights, workers: { main }, config: { width, heads } }: GraphParts): CacheType {
  const { type } = weights.tensor('layers.0.attention.queryKeyValue.weight');
  const isRounded = isQuantized(type) && weights.bytes > CACHED_BYTES;
  return isRounded && main.kernels?.attendsToBytes(width / heads) ? 'q8_0' : 'f16';
}

interface Request {
  stream: SledStream;
  resolve: (frame: Frame) => void;
  reject: (error: unknown) => void;
}

/** One loaded network that serves many streams: each step computes the rows of all that are ready in one graph. */
export class Session {
  readonly config: SledConfig;
  readonly #maxStreams: number;
  readonly #cacheType: CacheType;
  readonly #framesAhead: number;
  readonly #open = new Set<SledStream>();
  readonly #waiting: Request[] = [];
  #cache: KvCache;
  #graphs: GraphCache;
  readonly #prefixes = new PrefixStore();
  #running: Promise<void> | undefined;
  #freed = false;
  /** Steps computed so far. */
  steps = 0;
  /** Prefill graphs computed so far. */
  prefills = 0;
  /** Positions that they put into the cache. */
  prefilledPositions = 0;

  private constructor(
    private readonly parts: GraphParts,
    { cacheType = cacheTypeOf(parts), maxStreams = 16, framesAhead }: SessionOptions,
  ) {
    this.config = parts.config;
    this.#maxStreams = maxStreams;
    this.#cacheType = cacheType;
    this.#framesAhead = framesAhead ?? framesAheadOf(parts);
    const positions = Math.min(FIRST_POSITIONS, this.config.maxPositions);
    this.#cache = this.#createCache(FIRST_SLOTS, positions);
    this.#graphs = new GraphCache(parts, this.#cache);
  }

  /** A session of a loaded network, which it owns from then on; its first cache is taken beside other work. */
  static async create(parts: GraphParts, options: SessionOptions = {}): Promise<Session> {
    const session = new Session(parts, options);
    await session.#cache.allocate();
    return session;
  }

  /** Streams that are open now. */
  get streams(): number {
    return this.#open.size;
  }

  /** Bytes of the key and value cache. */
  get cacheBytes(): number {
    return this.#cache.bytes;
  }

  /** @throws {RangeError} when maxStreams are open already. */
  open(options: StreamOptions): SledStream {
    if (this.#freed) throw new Error('open: this voice was freed');
    if (this.#open.size >= this.#maxStreams)
      throw new RangeError(`open: ${this.#maxStreams} streams are open already; close one, or raise maxStreams`);
    const stream = new SledStream(this, options, this.#freeSlots(options.guidanceScale === 1 ? 1 : 2));
    this.#open.add(stream);
    return stream;
  }

  /** For SledStream.step. */
  step(stream: SledStream): Promise<Frame> {
    return new Promise((resolve, reject) => {
      if (stream.closed) return reject(new Error('step: this stream is closed'));
      this.#waiting.push({ stream, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** For SledStream.close. */
  close(stream: SledStream): void {
    stream.closed = true;
    this.#open.delete(stream);
  }

  /** Closes every stream, waits for what is being computed, and frees the network. */
  async free(): Promise<void> {
    if (this.#freed) return;
    this.#freed = true;
    for (const stream of this.#open) stream.close();
    await this.#running;
    this.#graphs.free();
    await this.#prefixes.free();
    await this.#cache.free();
    await this.parts.weights.free();
    await this.parts.workers.free();
  }

  /** The lowest slots that no open stream holds: the rows of a step stay close together. */
  #freeSlots(count: number): number[] {
    const taken = new Set([...this.#open].flatMap(({ rows }) => rows).map(({ slot }) => slot));
    const free: number[] = [];
    for (let slot = 0; free.length < count; slot++) if (!taken.has(slot)) free.push(slot);
    return free;
  }

  async #run(): Promise<void> {
    await Promise.resolve(); // returns before anything is done, so that #running is set
    while (this.#waiting.length > 0) {
      // Streams that were just given a frame ask for the next one within this turn of the event loop.
      if (this.#waiting.length < this.#open.size) await new Promise(setImmediate);
      const requests = this.#waiting.splice(0).filter(({ stream, reject }) => {
        if (stream.closed) reject(new Error('step: this stream was closed'));
        return !stream.closed;
      });
      if (requests.length === 0) continue;
      try {
        const frames = await this.#compute(requests.map(({ stream }) => stream));
        requests.forEach(({ resolve }, i) => resolve(frames[i]));
      } catch (error) {
        for (const { reject } of requests) reject(error);
      }
      await Promise.resolve(); // lets the streams see their frames
    }
    this.#running = undefined;
  }

  async #compute(streams: SledStream[]): Promise<Frame[]> {
    const rows = streams.flatMap(({ rows }) => rows);
    await this.#grow(
      Math.max(...rows.map(({ slot }) => slot)) + 1,
      Math.max(...rows.map(({ cached, pending }) => cached + pending.length)),
    );
    for (const { options, conditional, unconditional } of streams) {
      await this.#fill(conditional, 'conditional', options.prefix);
      if (unconditional) await this.#fill(unconditional, 'unconditional', options.prefix);
    }
    return this.#draw(streams, rows);
  }

  /** Puts all but the last pending position of a row into the cache, a shared prefix at most once into any. */
  async #fill(row: Row, which: PrefixRow, prefix: SharedPrefix | undefined): Promise<void> {
    if (prefix && row.cached === 0) await this.#fillPrefix(row, which, prefix);
    while (row.pending.length > 1) await this.#prefill(row, row.pending.length - 1);
  }

  async #fillPrefix(row: Row, which: PrefixRow, prefix: SharedPrefix): Promise<void> {
    const { ggml } = this.parts;
    const count = prefix[which];
    if (count >= row.pending.length) throw new Error(`prefix: ${count} of ${row.pending.length} positions are shared`);
    const kept = this.#prefixes.get(prefix, which);
    if (kept) {
      await this.#cache.restore(kept, row.slot, ggml);
      row.pending.splice(0, count);
      row.cached = count;
    } else if (count > 0) {
      while (row.cached < count) await this.#prefill(row, count - row.cached);
      await this.#prefixes.set(prefix, which, await this.#cache.save(row.slot, count, ggml));
    }
  }

  /** Computes the next pending positions of a row, at most `count` or LONGEST_PREFILL of them. */
  async #prefill(row: Row, count: number): Promise<void> {
    const { slot, cached } = row;
    const contents = row.pending.splice(0, Math.min(LONGEST_PREFILL, count));
    row.cached += contents.length;
    const entries = contents.map((content, i) => ({ content, position: cached + i, slot }));
    this.prefills++;
    this.prefilledPositions += contents.length;
    const graph = await this.#graphs.prefill({ slot, count: entries.length, length: row.cached });
    await graph.compute(entries);
  }

  /** One graph: the last pending position of each row, and a frame for each stream. */
  async #draw(streams: SledStream[], rows: Row[]): Promise<Frame[]> {
    const first = Math.min(...rows.map(({ slot }) => slot));
    const count = Math.max(...rows.map(({ slot }) => slot)) - first + 1;
    const inputs = new Array<PositionInput | undefined>(count).fill(undefined);
    for (const row of rows) {
      const content = row.pending.shift();
      if (content === undefined) throw new Error('step: nothing was fed to this stream');
      inputs[row.slot - first] = { content, position: row.cached++, slot: row.slot };
    }
    const length = Math.max(...rows.map(({ cached }) => cached));
    const watched = streams.some(({ options }) => options.watched) && this.config.alignmentHeads.length > 0;
    this.steps++;
    const step = await this.#graphs.step({ slot: first, rows: count, streams: streams.length, length, watched });
    const frames = streams.map((stream) => this.#frameInput(stream, first));
    const drawn = await step.compute(inputs, frames);
    drawn.forEach(({ ahead = [] }, i) => streams[i].modulations.push(...ahead));
    return drawn;
  }

  /** `first` is the slot of the step's first row. */
  #frameInput(stream: SledStream, first: number): FrameInput {
    const { conditional, unconditional = conditional, options, modulations } = stream;
    const { noiseDim: N } = this.config;
    const noise = options.noise.randn(N);
    const known = modulations.shift();
    return {
      conditional: conditional.slot - first,
      unconditional: unconditional.slot - first,
      guidanceScale: options.guidanceScale,
      noise,
      modulations: known,
      ahead: this.#framesAhead > 0 && modulations.length === 0 ? options.noise.peek(N, this.#framesAhead) : [],
    };
  }

  /** A larger cache when these slots and positions do not fit; graphs look into the old one and go with it. */
  async #grow(slots: number, positions: number): Promise<void> {
    const old = this.#cache;
    if (slots <= old.slots && positions <= old.positions) return;
    const doubled = (size: number, needed: number) => (needed <= size ? size : Math.max(needed, 2 * size));
    const limit = Math.max(positions, this.config.maxPositions);
    const wanted = this.#createCache(doubled(old.slots, slots), Math.min(doubled(old.positions, positions), limit));
    const grown = await wanted.allocate();
    await grown.copyFrom(old, this.parts.ggml);
    this.#graphs.free();
    this.#cache = grown;
    this.#graphs = new GraphCache(this.parts, grown);
    await old.free();
  }

  #createCache(slots: number, positions: number): KvCache {
    const { ggml, workers, config } = this.parts;
    return new KvCache(ggml, workers.main, config, this.#cacheType, slots, positions);
  }
}
