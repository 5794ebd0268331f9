import type { MAKERS } from './native-functions.js';
import type { Tensor } from './tensor.js';

/** A function of ggml's that makes a tensor. */
export type Maker = keyof typeof MAKERS;

interface ArgumentTypes {
  ptr: Tensor | null;
  int: number;
  int64: number;
  size: number;
  float: number;
  bool: boolean;
}
/** What a maker takes after its context, tensors in place of their addresses. */
export type MakerArguments<M extends Maker> = M extends Maker
  ? (typeof MAKERS)[M] extends readonly [unknown, unknown, ...infer A extends (keyof ArgumentTypes)[]]
    ? { -readonly [I in keyof A]: ArgumentTypes[A[I]] }
    : never
  : never;

/** How ggml makes a tensor: its function, and what that takes after its context. */
export interface Recipe {
  readonly maker: Maker;
  readonly args: readonly (Tensor | number | boolean | null)[];
}
