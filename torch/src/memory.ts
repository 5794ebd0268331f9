import { buffer, native } from './native.js';

// Every tensor belongs to the innermost scope, which frees it, or to V8's collector, which is told of its size.
const scopes: Handle[][] = [];
const collected = new FinalizationRegistry<number>((handle) => release([handle]));

function release(handles: readonly number[]): void {
  for (let start = 0; start < handles.length; start += buffer.length) {
    const part = handles.slice(start, start + buffer.length);
    buffer.set(part);
    native.free(part.length);
  }
}

function adopt(owner: Handle): void {
  const scope = scopes.at(-1);
  if (scope) {
    scope.push(owner);
    return;
  }
  native.report(owner.handle);
  collected.register(owner, owner.handle, owner);
}

/** Holds one tensor of libtorch by its number; 0 once freed. */
export abstract class Handle {
  /** For this package only. */
  handle: number;

  constructor(handle: number) {
    this.handle = handle;
    adopt(this);
  }

  /** Gives the memory back now; using the tensor afterwards throws. Freeing twice is allowed. */
  free(): void {
    if (this.handle === 0) return;
    collected.unregister(this);
    release([this.handle]);
    this.handle = 0;
  }

  /** Whether `free` or a scope has given the memory back. */
  get isFreed(): boolean {
    return this.handle === 0;
  }
}

function handlesIn(value: unknown, found: Set<Handle>, depth = 0): Set<Handle> {
  if (value instanceof Handle) found.add(value);
  else if (depth < 4 && typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)) {
    const parts = value instanceof Map || value instanceof Set ? value.values() : Object.values(value);
    for (const part of parts) handlesIn(part, found, depth + 1);
  }
  return found;
}

function close(kept: ReadonlySet<Handle>): void {
  const handles: number[] = [];
  const escaping: Handle[] = [];
  for (const owner of scopes.pop() ?? []) {
    if (owner.handle === 0) continue;
    if (kept.has(owner)) escaping.push(owner);
    else {
      handles.push(owner.handle);
      owner.handle = 0;
    }
  }
  release(handles);
  for (const owner of escaping) adopt(owner);
}

/**
 * Runs `fn` and frees every tensor made inside that its result does not hold. The result may be a tensor or arrays,
 * maps and plain objects of them, up to four levels deep; what it holds passes to the enclosing scope. A gradient that
 * belongs to a parameter lives on with the parameter.
 * Throws a TypeError for an async `fn`: tensors that it makes after its first await would not be in the scope.
 */
export function scope<T>(fn: () => T): T {
  scopes.push([]);
  let kept: ReadonlySet<Handle> = new Set();
  try {
    const result = fn();
    if (result instanceof Promise) throw new TypeError('scope: expected a synchronous function, got a promise');
    kept = handlesIn(result, new Set());
    return result;
  } finally {
    close(kept);
  }
}

/** Takes a tensor out of every scope, for state that outlives the step that made it; free it by hand or leave it to the collector. */
export function keep<T extends Handle>(owner: T): T {
  for (const scope of scopes) {
    const position = scope.indexOf(owner);
    if (position < 0) continue;
    scope.splice(position, 1);
    native.report(owner.handle);
    collected.register(owner, owner.handle, owner);
  }
  return owner;
}

/** Tensors that are alive now, whoever holds them. */
export function liveTensors(): number {
  return native.liveTensors();
}
