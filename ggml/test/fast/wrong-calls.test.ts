import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Backend, type Context, GgmlError, type Ops, ShapeError, type Tensor } from '@sled-tts/ggml';
import { ggml } from '../support.js';

type Kind = typeof TypeError | typeof RangeError | typeof GgmlError | typeof ShapeError;
interface Case {
  readonly title: string;
  readonly call: () => unknown;
  readonly kind: Kind;
}

let backend: Backend;
let context: Context;
let o: Ops;
beforeAll(() => {
  backend = ggml.backend('cpu', { threads: 1 });
  context = ggml.context();
  o = context.ops;
});
afterAll(() => {
  context.free();
  backend.free();
});

const f32 = (...ne: number[]) => context.input('f32', ne);
const of = (type: Parameters<Context['input']>[0], ...ne: number[]) => context.input(type, ne);

const wrong = (title: string, kind: Kind, call: () => unknown): Case => ({ title, kind, call });
const shape = (title: string, call: () => unknown) => wrong(title, ShapeError, call);
const type = (title: string, call: () => unknown) => wrong(title, TypeError, call);
const range = (title: string, call: () => unknown) => wrong(title, RangeError, call);

const creation: Case[] = [
  type('tensor of an unknown type', () => context.tensor('f33' as 'f32', [1])),
  type('tensor of a type that objects inherit', () => context.tensor('toString' as 'f32', [1])),
  shape('tensor without dimensions', () => context.tensor('f32', [])),
  shape('tensor of five dimensions', () => context.tensor('f32', [1, 1, 1, 1, 1])),
  shape('tensor with a zero dimension', () => context.tensor('f32', [0])),
  shape('tensor with a negative dimension', () => context.tensor('f32', [4, -1])),
  shape('tensor with half an element', () => context.tensor('f32', [1.5])),
  shape('tensor with NaN as dimension', () => context.tensor('f32', [NaN])),
  shape('tensor with a string as dimension', () => context.tensor('f32', ['4' as unknown as number])),
  shape('tensor with no list of dimensions', () => context.tensor('f32', 4 as unknown as number[])),
  shape('tensor of too many elements', () => context.tensor('f32', [2 ** 20, 2 ** 20])),
  shape('quantized tensor with half a block', () => context.tensor('q4_0', [33, 2])),
  shape('K-quantized tensor with half a block', () => context.tensor('q4_K', [128])),
  range('tensor with a name that is too long', () => context.tensor('f32', [1], 'x'.repeat(64))),
  range('tensor with a name with a zero byte', () => context.tensor('f32', [1], 'a\0b')),
];

const elementwise: Case[] = [
  shape('add of shapes that do not tile', () => o.add(f32(4, 3), f32(3))),
  shape('add with a larger second operand', () => o.add(f32(4), f32(4, 2))),
  type('add of a quantized first operand', () => o.add(of('q8_0', 32), f32(32))),
  type('add of f32 and f16', () => o.add(f32(4), of('f16', 4))),
  type('add of integers', () => o.add(of('i32', 4), of('i32', 4))),
  type('add of null', () => o.add(f32(4), null as unknown as Tensor)),
  type('add of a number', () => o.add(f32(4), 1 as unknown as Tensor)),
  type('add of something that looks like a tensor', () => o.add(f32(4), { ...f32(4) } as Tensor)),
  shape('mul of a transposed first operand', () => o.mul(o.transpose(f32(4, 3)), f32(3, 4))),
  shape('silu of a transposed tensor', () => o.silu(o.transpose(f32(4, 3)))),
  shape('gelu of a permuted tensor', () => o.gelu(o.permute(f32(4, 3, 2), 0, 2, 1, 3))),
  type('exp of integers', () => o.exp(of('i32', 4))),
  type('sqrt of bf16', () => o.sqrt(of('bf16', 4))),
  shape('swigluSplit of different shapes', () => o.swigluSplit(f32(4, 2), f32(4, 1))),
  type('swigluSplit of different types', () => o.swigluSplit(f32(4), of('f16', 4))),
  range('scale by NaN', () => o.scale(f32(4), NaN)),
  range('scale by a string', () => o.scale(f32(4), '2' as unknown as number)),
  type('scale of f16', () => o.scale(of('f16', 4), 2)),
  shape('scale of a transposed row', () => o.scale(o.transpose(f32(8, 1)), 2)),
  range('clamp with limits in the wrong order', () => o.clamp(f32(4), 1, 0)),
  range('clamp with an infinite limit', () => o.clamp(f32(4), 0, Infinity)),
  shape('repeat to no multiple', () => o.repeat(f32(4), [6])),
  type('repeat of a quantized tensor', () => o.repeat(of('q8_0', 32), [32, 2])),
  type('norm of f16', () => o.norm(of('f16', 4), 1e-5)),
  range('norm with a negative epsilon', () => o.norm(f32(4), -1)),
  shape('rmsNorm of a transposed tensor', () => o.rmsNorm(o.transpose(f32(4, 3)), 0)),
  type('sumRows of integers', () => o.sumRows(of('i32', 4))),
  shape('mean of a transposed tensor', () => o.mean(o.transpose(f32(4, 3)))),
];

const matrix: Case[] = [
  shape('mulMat of different row lengths', () => o.mulMat(f32(4, 3), f32(5, 2))),
  shape('mulMat with more weights than inputs', () => o.mulMat(f32(4, 3, 2), f32(4, 2, 1))),
  shape('mulMat of a transposed weight', () => o.mulMat(o.transpose(f32(3, 4)), f32(3, 2))),
  shape('mulMat of a transposed input', () => o.mulMat(f32(3, 4), o.transpose(f32(2, 3)))),
  type('mulMat of an f32 weight and an f16 input', () => o.mulMat(f32(4, 3), of('f16', 4, 2))),
  type('mulMat of a quantized input', () => o.mulMat(of('q8_0', 32, 2), of('q8_0', 32, 2))),
  type('mulMat of an integer weight', () => o.mulMat(of('i32', 4, 3), f32(4))),
  shape('mulMat of too large a result', () => o.mulMat(f32(1, 2 ** 16), f32(1, 2 ** 16))),
  type('getRows by floats', () => o.getRows(f32(4, 3), f32(2))),
  type('getRows by i64', () => o.getRows(f32(4, 3), of('i64', 2))),
  shape('getRows with a batch of numbers for one table', () => o.getRows(f32(4, 3), of('i32', 2, 2))),
  wrong('getRows by computed numbers', GgmlError, () => o.getRows(f32(4, 3), o.repeat(of('i32', 1), [2]))),
  shape('setRows of other columns', () => o.setRows(f32(4, 3), f32(5, 2), of('i32', 2))),
  shape('setRows with too few numbers', () => o.setRows(f32(4, 3), f32(4, 2), of('i32', 1))),
  type('setRows of f16 values', () => o.setRows(f32(4, 3), of('f16', 4, 2), of('i32', 2))),
  type('setRows into integers', () => o.setRows(of('i32', 4, 3), f32(4, 2), of('i32', 2))),
  type('setRows by floats', () => o.setRows(f32(4, 3), f32(4, 2), f32(2))),
  shape('softMax with a narrower mask', () => o.softMax(f32(4, 3), { mask: f32(3, 3) })),
  shape('softMax with too few mask rows', () => o.softMax(f32(4, 3), { mask: f32(4, 2) })),
  shape('softMax of a permuted tensor', () => o.softMax(o.permute(f32(4, 3, 2), 0, 2, 1, 3))),
  type('softMax of f16', () => o.softMax(of('f16', 4))),
  type('softMax with a bf16 mask', () => o.softMax(f32(4), { mask: of('bf16', 4) })),
  type('softMax with null as options', () => o.softMax(f32(4), null as unknown as object)),
  shape('rope with positions for another length', () => o.rope(f32(4, 2, 3), of('i32', 2))),
  shape('rope with odd heads', () => o.rope(f32(5, 2, 3), of('i32', 3))),
  shape('rope of an odd number of dimensions', () => o.rope(f32(4, 2, 3), of('i32', 3), { dimensions: 3 })),
  range('rope of more dimensions than there are', () => o.rope(f32(4, 2, 3), of('i32', 3), { dimensions: 6 })),
  range('rope of an unknown mode', () => o.rope(f32(4, 2, 3), of('i32', 3), { mode: 'gptj' as 'neox' })),
  range('rope with theta zero', () => o.rope(f32(4, 2, 3), of('i32', 3), { theta: 0 })),
  type('rope with float positions', () => o.rope(f32(4, 2, 3), f32(3))),
  shape('attention with other key widths', () => o.flashAttention(f32(8, 1, 2), f32(4, 5, 2), f32(8, 5, 2), { scale: 1 })),
  shape('attention with fewer values than keys', () => o.flashAttention(f32(8, 1, 2), f32(8, 5, 2), f32(8, 4, 2), { scale: 1 })),
  shape('attention with heads that do not divide', () => o.flashAttention(f32(8, 1, 3), f32(8, 5, 2), f32(8, 5, 2), { scale: 1 })),
  shape('attention with other batches', () => o.flashAttention(f32(8, 1, 2, 2), f32(8, 5, 2), f32(8, 5, 2), { scale: 1 })),
  shape('attention with a short mask', () => o.flashAttention(f32(8, 1, 2), f32(8, 5, 2), f32(8, 5, 2), { scale: 1, mask: of('f16', 4, 1) })),
  type('attention with a float mask', () => o.flashAttention(f32(8, 1, 2), f32(8, 5, 2), f32(8, 5, 2), { scale: 1, mask: f32(5, 1) })),
  range('attention without a scale', () => o.flashAttention(f32(8, 1, 2), f32(8, 5, 2), f32(8, 5, 2), {} as { scale: number })),
  type('attention without options', () => o.flashAttention(f32(8, 1, 2), f32(8, 5, 2), f32(8, 5, 2), undefined as unknown as { scale: number })),
]; // prettier-ignore

const shapes: Case[] = [
  shape('reshape to another size', () => o.reshape(f32(4, 3), 4, 4)),
  shape('reshape of a transposed tensor', () => o.reshape(o.transpose(f32(4, 3)), 12)),
  shape('reshape to nothing', () => o.reshape(f32(4))),
  shape('view past the end', () => o.view(f32(4, 3), [4, 3], { offset: 1 })),
  shape('view past the end by its strides', () => o.view(f32(4, 3), [2, 3], { strides: [6] })),
  shape('view of more elements than there are', () => o.view(f32(8), [4, 6], { strides: [1] })),
  shape('view of a view past the end of its memory', () => o.view(o.view(f32(8), [4], { offset: 4 }), [8])),
  range('view with a negative offset', () => o.view(f32(8), [4], { offset: -1 })),
  range('view with half an element as offset', () => o.view(f32(8), [4], { offset: 0.5 })),
  range('view with a zero stride', () => o.view(f32(8), [4, 2], { strides: [0] })),
  shape('view into the middle of a block', () => o.view(of('q8_0', 64), [32], { offset: 16 })),
  range('permute with an axis twice', () => o.permute(f32(2, 3), 0, 0, 1, 2)),
  range('permute with an unknown axis', () => o.permute(f32(2, 3), 0, 1, 2, 4)),
  shape('permute that breaks blocks', () => o.permute(of('q8_0', 32, 2), 1, 0, 2, 3)),
  shape('transpose of a quantized tensor', () => o.transpose(of('q8_0', 32, 2))),
  type('cont of a quantized tensor', () => o.cont(of('q8_0', 32, 2))),
  type('cast to an unknown type', () => o.cast(f32(4), 'int' as 'f32')),
  shape('cast to a type whose blocks do not fit', () => o.cast(f32(33), 'q8_0')),
  type('cast of a quantized tensor to f16', () => o.cast(of('q8_0', 32), 'f16')),
  type('cast of f16 to integers', () => o.cast(of('f16', 4), 'i32')),
  shape('cpy of another size', () => o.cpy(f32(4), f32(5))),
  type('cpy into integers', () => o.cpy(of('i32', 4), of('i32', 4))),
  shape('cpy into quantized memory of another shape', () => o.cpy(f32(64), of('q8_0', 32, 2))),
  shape('concat of other dimensions', () => o.concat(f32(4, 3), f32(4, 2), 0)),
  range('concat along axis 4', () => o.concat(f32(4), f32(4), 4)),
  type('concat of other types', () => o.concat(f32(4), of('f16', 4), 0)),
  range('pad by a negative amount', () => o.pad(f32(4), [-1], [])),
  shape('pad of five dimensions', () => o.pad(f32(4), [0, 0, 0, 0, 1], [])),
  type('pad of f16', () => o.pad(of('f16', 4), [1], [1])),
  range('padReflect1d as long as the tensor', () => o.padReflect1d(f32(4), 4, 0)),
];

const convolutions: Case[] = [
  shape('conv1d of other channels', () => o.conv1d(f32(3, 2, 4), f32(10, 3))),
  shape('conv1d of an input shorter than the kernel', () => o.conv1d(f32(7, 2, 4), f32(6, 2))),
  range('conv1d with stride 0', () => o.conv1d(f32(3, 2, 4), f32(10, 2), { stride: 0 })),
  range('conv1d with negative padding', () => o.conv1d(f32(3, 2, 4), f32(10, 2), { padding: -1 })),
  range('conv1d with dilation 0', () => o.conv1d(f32(3, 2, 4), f32(10, 2), { dilation: 0 })),
  type('conv1d of a quantized kernel', () => o.conv1d(of('q8_0', 32, 2, 4), f32(40, 2))),
  type('im2col to an unknown type', () => o.im2col(f32(3, 2), f32(10, 2), { type: 'q8_0' as 'f32' })),
  type('im2col of f16 to f32', () => o.im2col(f32(3, 2), of('f16', 10, 2))),
  shape('windows wider than the input', () => o.windows(f32(4, 3), { width: 4 })),
  range('windows of no width', () => o.windows(f32(4, 3), { width: 0 })),
  shape('convDepthwise of other channels', () => o.convDepthwise(f32(4, 3), f32(5, 10))),
  shape('convDepthwise of a short input', () => o.convDepthwise(f32(4, 3), f32(4, 2))),
  shape('convDepthwise of one channel', () => o.convDepthwise(f32(1, 3), f32(1, 10))),
  shape('ssmConv of other channels', () => o.ssmConv(f32(4, 3), f32(10, 2))),
  shape('ssmConv of a short input', () => o.ssmConv(f32(4, 3), f32(3, 3))),
  shape('convTranspose1d of other channels', () => o.convTranspose1d(f32(4, 3, 2), f32(10, 3), 2)),
  range('convTranspose1d with stride 0', () => o.convTranspose1d(f32(4, 3, 2), f32(10, 2), 0)),
  shape('col2im1d of no whole kernels', () => o.col2im1d(f32(7, 3), { stride: 2, channels: 2 })),
  range('col2im1d with stride 0', () => o.col2im1d(f32(8, 3), { stride: 0, channels: 2 })),
];

const data: Case[] = [
  wrong('set before there is memory', GgmlError, () => f32(4).set(new Float32Array(4))),
  wrong('get before there is memory', GgmlError, () => f32(4).get()),
  wrong('allocate of an empty graph', GgmlError, () => context.graph().allocate(backend)),
  wrong('compute before allocate', GgmlError, () => {
    const graph = context.graph();
    graph.expand(o.add(f32(4), f32(4)));
    graph.computeSync();
  }),
  type('expand of something else', () => context.graph().expand({} as Tensor)),
  type('allocate on something else', () => {
    const graph = context.graph();
    graph.expand(o.add(f32(4), f32(4)));
    graph.allocate({} as Backend);
  }),
  wrong('a weight without memory in a graph', GgmlError, () => {
    const graph = context.graph();
    graph.expand(o.add(context.tensor('f32', [4]), f32(4)));
    graph.allocate(backend);
  }),
  range('no threads', () => backend.setThreads(0)),
  range('half a thread', () => backend.setThreads(1.5)),
  wrong('a device that is not there', GgmlError, () => ggml.backend('CUDA7')),
];

const table = { creation, elementwise, matrix, shapes, convolutions, data };
for (const [group, cases] of Object.entries(table)) {
  describe(group, () => {
    test.each(cases.map(({ title, ...item }) => [title, item] as const))('%s is refused', (_, { call, kind }) => {
      let error: unknown;
      try {
        call();
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toBeInstanceOf(kind);
      // Where, and what was expected or is to be done; never the engine's own complaint about undefined.
      expect((error as Error).message).toMatch(/^[\w :"/.]+: .{15,}/);
      expect((error as Error).message).not.toMatch(/Cannot read|undefined is not|is not a function/);
    });
  });
}
