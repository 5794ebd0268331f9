import { arrayFor, dtypeCode, dtypeOf, type DType } from './dtype.js';
import { op, wrap } from './dispatch.js';
import { Handle } from './memory.js';
import { buffer, native, type NumericArray } from './native.js';
import type { Tensor } from './tensor.js';

const toDtype = op('aten::to', 'dtype');
const toDevice = op('aten::to', 'device');
const detach = op('aten::detach');

/** What a tensor is and holds: shape, elements, gradient. */
export abstract class TensorBase extends Handle {
  private sizes: readonly number[] | undefined;
  private type: DType = 'float32';
  private place = '';

  private describe(): readonly number[] {
    this.place = native.describe(this.alive());
    this.type = dtypeOf(buffer[0]);
    this.sizes = Array.from(buffer.subarray(2, 2 + buffer[1]));
    return this.sizes;
  }

  /** The handle; throws a TypeError once the tensor is freed. */
  protected alive(): number {
    if (this.handle === 0) throw new TypeError('this tensor was freed, by free() or by the scope that made it');
    return this.handle;
  }

  /** For this package only: operators that write to a tensor may change its shape. */
  forgetShape(): void {
    this.sizes = undefined;
  }

  get shape(): readonly number[] {
    return this.sizes ?? this.describe();
  }

  get dtype(): DType {
    if (!this.sizes) this.describe();
    return this.type;
  }

  /** `cpu`, or `cuda:0` and so on. */
  get device(): string {
    if (!this.sizes) this.describe();
    return this.place;
  }

  get ndim(): number {
    return this.shape.length;
  }

  get numel(): number {
    return this.shape.reduce((product, size) => product * size, 1);
  }

  get requiresGrad(): boolean {
    return native.requiresGrad(this.alive());
  }

  /** Makes this a leaf whose gradient `backward` gathers in `grad`. */
  requiresGrad_(value = true): this {
    native.setRequiresGrad(this.alive(), Number(value));
    return this;
  }

  /** The gathered gradient: the same memory each time, a new Tensor each time. */
  get grad(): Tensor | null {
    const handle = native.grad(this.alive());
    return handle === 0 ? null : wrap(handle);
  }

  set grad(value: Tensor | null) {
    native.setGrad(this.alive(), value ? value.alive() : 0);
  }

  /** Adds the gradients of this tensor to every leaf below it. A tensor of more than one element needs `gradient`, its own shape. */
  backward(gradient?: Tensor, options: { retainGraph?: boolean } = {}): void {
    native.backward(this.alive(), gradient ? gradient.alive() : 0, Number(options.retainGraph ?? false));
  }

  /** The same memory without its history. */
  detach(): Tensor {
    return detach(this as unknown as Tensor);
  }

  /** The value of a tensor of one element. */
  item(): number {
    return native.item(this.alive());
  }

  /** A copy of the elements in row-major order, converted to float32 where they are not. */
  toFloat32Array(): Float32Array<ArrayBuffer> {
    const array = new Float32Array(this.numel);
    native.read(this.alive(), array, dtypeCode('float32'));
    return array;
  }

  /** A copy of the elements in row-major order; float32 for bfloat16 and float16, pairs of float32 for complex64. */
  toTypedArray(): NumericArray {
    const { array, as } = arrayFor(this.dtype, this.numel);
    native.read(this.alive(), array, dtypeCode(as));
    return array;
  }

  /** This tensor as another dtype or on another device (`cpu`, `cuda`); itself where it is so already. */
  to(target: DType | 'cpu' | `cuda${string}`): Tensor {
    const self = this as unknown as Tensor;
    if (target === 'cpu' || target.startsWith('cuda')) return toDevice(self, target, this.dtype);
    return toDtype(self, target);
  }

  override toString(): string {
    return this.handle === 0 ? 'Tensor(freed)' : `Tensor([${this.shape.join(', ')}], ${this.dtype}, ${this.device})`;
  }
}
