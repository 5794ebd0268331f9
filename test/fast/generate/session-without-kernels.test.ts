import { expect, test, vi } from 'vitest';

vi.hoisted(() => (process.env.SLED_GGML_KERNELS = 'off'));
const { openGgml } = await import('@sled-tts/ggml');
// All that is asked of sessions: their rows are shared out to workers here, as on processors that our kernels are not for.
await import('./session.test.js');

test('no kernel of ours serves here', () => {
  expect(openGgml().native.kernels).toBeUndefined();
});
