import { openGgmlAsync, type Backend, type Ggml } from '@sled-tts/ggml';

/** Where a codec computes. */
export interface CodecBackend {
  readonly ggml: Ggml;
  readonly backend: Backend;
}

export interface CodecBackendOptions {
  /** `cpu` (default), `gpu`, or the name of one of ggml's devices. */
  readonly device?: string;
  /** Threads of a CPU; 1 without it. */
  readonly threads?: number;
}

/** A backend of a codec's own. */
export async function openCodecBackend({ device = 'cpu', threads = 1 }: CodecBackendOptions): Promise<CodecBackend> {
  const ggml = await openGgmlAsync();
  return { ggml, backend: await ggml.backendAsync(device, { threads }) };
}

/** What is loaded beside other work: an error is told to whoever awaits it, and to nobody else. */
export function inBackground<T>(loading: Promise<T>): Promise<T> {
  loading.catch(() => undefined);
  return loading;
}
