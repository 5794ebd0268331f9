import { expect, test, vi } from 'vitest';

vi.hoisted(() => (process.env.SLED_GGML_KERNELS = 'avx512'));
const { ggml } = await import('../support.js');
// All that is asked of the others: a file is a process of its own, and kernels are chosen once in a process.
await import('./kernels.test.js');

const backend = ggml.backend('cpu', { threads: 1 });
test.runIf(backend.kernels)('the kernels tested here are those for AVX-512 without bf16', () => {
  expect(backend.kernels!.instructions).toBe('avx512');
});
backend.free();
