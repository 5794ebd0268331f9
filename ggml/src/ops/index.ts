import type { Context } from '../context.js';
import * as convolution from './convolution.js';
import * as elementwise from './elementwise.js';
import * as matrix from './matrix.js';
import * as shape from './shape.js';

const { makeCont: _internal, ...shapes } = shape;
const OPERATIONS = { ...elementwise, ...shapes, ...matrix, ...convolution };
type Operations = typeof OPERATIONS;

/** Every operation, bound to a context: `const { mulMat, add } = context.ops`. */
export type Ops = {
  readonly [K in keyof Operations]: Operations[K] extends (context: Context, ...args: infer A) => infer R
    ? (...args: A) => R
    : never;
};

/** The operations with their first argument filled in. */
export function bindOps(context: Context): Ops {
  const bound: Record<string, unknown> = {};
  for (const [name, operation] of Object.entries(OPERATIONS)) {
    bound[name] = (operation as (...args: unknown[]) => unknown).bind(undefined, context);
  }
  return bound as Ops;
}
