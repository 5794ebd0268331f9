// A process that computes with the helper and then simply ends; see fast/helper.test.ts.
import { openGgml } from '@sled-tts/ggml';

const ggml = openGgml();
const backend = ggml.backend('cpu', { threads: 1, helped: true });
const context = ggml.context();
const w = context.tensor('q4_K', [1024, 4096]);
context.allocate(backend, { interleave: true });
const x = context.input('f32', [1024, 2]);
const graph = context.graph();
graph.expand(context.ops.mulMat(w, x).output());
graph.allocate(backend);
for (let i = 0; i < 30; i++) await graph.compute();
for (const owner of [graph, context, backend]) owner.free();
