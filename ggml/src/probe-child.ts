// node probe-child.js DIRECTORY DEVICE: ends with 0 where the device computes.
import { openGgml } from './ggml.js';

const [directory, device] = process.argv.slice(2);
const COLUMNS = 64;
const ggml = openGgml({ directory });
const backend = ggml.backend(device);
const weights = ggml.context();
const matrix = weights.tensor('f16', [COLUMNS, COLUMNS]);
weights.allocate(backend);
matrix.set(new Uint16Array(COLUMNS * COLUMNS).fill(0x3c00)); // ones
const context = ggml.context();
const { mulMat, rmsNorm } = context.ops;
const input = context.input('f32', [COLUMNS, 2]);
const graph = context.graph();
const output = graph.expand(rmsNorm(mulMat(matrix, input), 0).output());
graph.allocate(backend);
input.set(new Float32Array(2 * COLUMNS).fill(3));
graph.computeSync();
const wrong = [...output.get()].find((value) => !(Math.abs(Number(value) - 1) < 1e-2));
if (wrong !== undefined) throw new Error(`error: ${device} computes ${wrong} where 1 is right`);
