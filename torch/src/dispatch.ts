import { dtypeCode } from './dtype.js';
import { Handle } from './memory.js';
import { buffer, native } from './native.js';
import { Generator } from './random.js';
import type { Tensor } from './tensor.js';

/** What operators take: the schema in libtorch's documentation says which. */
export type Argument =
  Tensor | Generator | number | boolean | string | null | undefined | readonly (Tensor | number | boolean | null)[];

/** Results as libtorch returns them: one, or an array of several. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- only the schema, at run time, knows the result's type
export type Operator = (...args: (Argument | Readonly<Record<string, Argument>>)[]) => any;

interface Parameter {
  readonly name: string;
  readonly kind: string;
  readonly hasDefault: boolean;
}

interface Schema {
  readonly number: number;
  readonly label: string;
  readonly returnsTensor: boolean;
  /** Positions of the arguments that the operator writes to and returns. */
  readonly written: readonly number[] | null;
  readonly resultCount: number;
  readonly parameters: readonly Parameter[];
}

const LAYOUTS = new Map([['strided', 0]]);
const MEMORY_FORMATS = new Map([
  ['contiguous_format', 0],
  ['preserve_format', 1],
  ['channels_last', 2],
]);

const strings = new Map<string, number>();
let position = 0;
let wrapHandle: (handle: number) => Tensor;

/** Tells the dispatcher how to make tensors; the Tensor class calls it once. */
export function setTensorClass(wrap: (handle: number) => Tensor): void {
  wrapHandle = wrap;
}

/** The tensor for a handle that the addon returned. */
export function wrap(handle: number): Tensor {
  return wrapHandle(handle);
}

function find(name: string, overload: string): Schema {
  const [number, returnsTensor, returnsArgument, written, resultCount, ...parameters] = native
    .find(name, overload)
    .split('|');
  return {
    number: Number(number),
    label: overload ? `${name}.${overload}` : name,
    returnsTensor: returnsTensor === '1',
    written: returnsArgument === '1' ? (written ? written.split(',').map(Number) : []) : null,
    resultCount: Number(resultCount),
    parameters: parameters.map((text) => {
      const [parameter, kind, hasDefault] = text.split(':');
      return { name: parameter, kind, hasDefault: hasDefault === '1' };
    }),
  };
}

function describe(value: unknown): string {
  if (value === null || typeof value !== 'object') return typeof value === 'string' ? `'${value}'` : String(value);
  return Array.isArray(value) ? `[${value.slice(0, 4).map(describe).join(', ')}]` : value.constructor.name;
}

function refuse(schema: Schema, parameter: Parameter, value: unknown): never {
  if (value instanceof Handle && value.handle === 0)
    throw new TypeError(`${schema.label}: the tensor given as ${parameter.name} was freed`);
  const expected = parameter.kind.replace('?', '').replaceAll('[', 'array of ').replaceAll('?', 'optional ');
  throw new TypeError(`${schema.label}: expected ${expected} for ${parameter.name}, got ${describe(value)}`);
}

function put(value: number): void {
  if (position >= buffer.length) throw new RangeError(`one call takes at most ${buffer.length} numbers`);
  buffer[position++] = value;
}

function intern(text: string): number {
  let number = strings.get(text);
  if (number === undefined) strings.set(text, (number = native.intern(text)));
  return number;
}

/** The number that stands for a value of a kind that is neither optional nor a list, or undefined where it is none. */
function encode(kind: string, value: unknown): number | undefined {
  switch (kind) {
    case 'tensor':
      return value instanceof Handle && value.handle !== 0 ? value.handle : undefined;
    case 'scalar':
    case 'float':
      return typeof value === 'number' || typeof value === 'boolean' ? Number(value) : undefined;
    case 'int':
      return Number.isSafeInteger(value) ? (value as number) : undefined;
    case 'bool':
      return typeof value === 'boolean' ? Number(value) : undefined;
    case 'string':
    case 'device':
      return typeof value === 'string' ? intern(value) : undefined;
    case 'dtype':
      return typeof value === 'string' ? dtypeCode(value) : undefined;
    case 'layout':
      return LAYOUTS.get(value as string);
    case 'memoryFormat':
      return MEMORY_FORMATS.get(value as string);
    case 'generator':
      return value instanceof Generator ? value.number : undefined;
    default:
      return undefined;
  }
}

function writeValue(schema: Schema, parameter: Parameter, kind: string, value: unknown): void {
  if (kind[0] === '?') {
    put(value === null ? 0 : 1);
    if (value !== null) writeValue(schema, parameter, kind.slice(1), value);
    return;
  }
  if (kind[0] === '[') {
    // As in Python, one number stands for a list of one.
    const list = Array.isArray(value) ? value : typeof value === 'number' ? [value] : refuse(schema, parameter, value);
    put(list.length);
    for (const element of list) writeValue(schema, parameter, kind.slice(1), element);
    return;
  }
  const number = encode(kind, value);
  if (number === undefined) refuse(schema, parameter, value);
  put(number);
}

function write(schema: Schema, args: readonly unknown[]): void {
  position = 0;
  const { parameters } = schema;
  if (args.length > parameters.length)
    throw new TypeError(`${schema.label}: expected at most ${parameters.length} arguments, got ${args.length}`);
  for (let i = 0; i < parameters.length; i++) {
    const parameter = parameters[i];
    const value = i < args.length ? args[i] : undefined;
    if (value === undefined) {
      if (!parameter.hasDefault && parameter.kind[0] !== '?')
        throw new TypeError(`${schema.label}: ${parameter.name} is missing`);
      if (i >= args.length) continue;
      put(0);
      continue;
    }
    put(1);
    writeValue(schema, parameter, parameter.kind, value);
  }
}

function readList(): number[] {
  const length = buffer[position++];
  return Array.from({ length }, () => buffer[position++]);
}

function readResult(): unknown {
  switch (buffer[position++]) {
    case 1:
      return wrapHandle(buffer[position++]);
    case 2: {
      // Handles first: wrapping may use the buffer.
      const handles = readList();
      return handles.map((handle) => (handle === 0 ? null : wrapHandle(handle)));
    }
    case 3:
      return buffer[position++];
    case 4:
      return buffer[position++] !== 0;
    case 5:
      return readList();
    default:
      return null;
  }
}

function invoke(schema: Schema, args: readonly unknown[]): unknown {
  write(schema, args);
  const handle = native.run(schema.number, args.length);
  if (schema.returnsTensor) return handle === 0 ? null : wrapHandle(handle);
  if (schema.written) {
    const { written } = schema;
    for (const i of written) (args[i] as Tensor).forgetShape?.();
    return written.length === 1 ? args[written[0]] : written.length === 0 ? undefined : written.map((i) => args[i]);
  }
  position = 0;
  if (schema.resultCount === 1) return readResult();
  return Array.from({ length: schema.resultCount }, readResult);
}

function isKeywords(value: unknown): value is Record<string, Argument> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function withKeywords(schema: Schema, args: readonly unknown[]): unknown[] {
  const all: unknown[] = args.slice(0, -1);
  for (const [name, value] of Object.entries(args.at(-1) as object)) {
    const i = schema.parameters.findIndex((parameter) => parameter.name === name);
    if (i < 0) {
      const names = schema.parameters.map((parameter) => parameter.name).join(', ');
      throw new TypeError(`${schema.label}: no argument ${name}; it takes ${names}`);
    }
    while (all.length <= i) all.push(undefined);
    all[i] = value;
  }
  return all;
}

/**
 * Any operator of libtorch by its name and overload, as in `op('aten::std', 'correction')(x, { correction: 0 })`.
 * Arguments follow the operator's schema, by position or, in a last plain object, by name; `undefined` is the default.
 * A whole number is an integer scalar. It is looked up at its first call.
 * Throws a TypeError for arguments of the wrong kind and a TorchError for what libtorch refuses.
 */
export function op(name: string, overload = ''): Operator {
  const fullName = name.includes('::') ? name : `aten::${name}`;
  let schema: Schema | undefined;
  return (...args) => {
    schema ??= find(fullName, overload);
    return invoke(schema, isKeywords(args.at(-1)) ? withKeywords(schema, args) : args);
  };
}

/** Names of all operators that start with `prefix`, overloads after a dot. */
export function operatorNames(prefix = 'aten::'): string[] {
  return native.operatorNames(prefix).split('\n').filter(Boolean);
}
