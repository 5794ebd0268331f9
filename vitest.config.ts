import { defineConfig } from 'vitest/config';

const shared = { resolve: { conditions: ['source'] }, ssr: { resolve: { conditions: ['source'] } } };
const files = (tier: string) => [`test/${tier}/**/*.test.ts`, `{ggml,torch}/test/${tier}/**/*.test.ts`];

export default defineConfig({
  test: {
    projects: [
      { ...shared, test: { name: 'fast', include: files('fast'), testTimeout: 30_000, pool: 'forks' } },
      {
        ...shared,
        test: {
          name: 'slow',
          include: files('slow'),
          testTimeout: 900_000,
          hookTimeout: 900_000,
          pool: 'forks',
          fileParallelism: false,
        },
      },
    ],
  },
});
