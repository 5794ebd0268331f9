import { op } from './dispatch.js';
import { native, TorchError } from './native.js';
import type { Tensor } from './tensor.js';

/** A device by its full name. */
export type Device = 'cpu' | `cuda:${number}`;

const pinMemory = op('pin_memory');
const toDevice = op('to', 'device');

/** Whether this libtorch has a GPU to compute on. */
export function hasCuda(): boolean {
  return native.cudaDevices() > 0;
}

/**
 * A device's full name: `cpu`, or `cuda:N` with 0 for `cuda`.
 * @throws {RangeError} for other names
 * @throws {TorchError} when libtorch was built without CUDA, finds no GPU, or finds fewer
 */
export function resolveDevice(name: string): Device {
  if (name === 'cpu') return name;
  const [, index = '0'] = /^cuda(?::(\d+))?$/.exec(name) ?? [null, ''];
  if (index === '') throw new RangeError(`device: expected cpu, cuda or cuda:N, got '${name}'`);
  if (!native.builtWithCuda())
    throw new TorchError(
      `device ${name}: this libtorch was built without CUDA; install PyTorch for CUDA in Python, or name a libtorch ` +
        'in LIBTORCH, and run `npm run setup:torch`',
    );
  const count = native.cudaDevices();
  if (count === 0) throw new TorchError(`device ${name}: libtorch found no GPU, or no driver for one`);
  if (Number(index) >= count)
    throw new TorchError(`device ${name}: there are ${count} GPUs, cuda:0 … cuda:${count - 1}`);
  return `cuda:${Number(index)}`;
}

/**
 * A tensor of the CPU on a device, itself on `cpu`. A GPU gets it without the CPU's waiting for what that GPU still
 * computes: through a pinned copy.
 */
export function moveTo(x: Tensor, device: string): Tensor {
  if (device === 'cpu') return x;
  const pinned = pinMemory(x) as Tensor;
  const moved = toDevice(pinned, device, x.dtype, true) as Tensor;
  pinned.free(); // libtorch keeps the memory until it is copied
  return moved;
}

/** Bytes of this process's tensors on `cuda:N` at the most; 0 where libtorch is older than 2.9. */
export function peakDeviceMemory(device: string): number {
  return native.peakDeviceMemory(Number(device.split(':')[1] ?? 0));
}
