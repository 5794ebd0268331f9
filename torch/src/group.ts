import { lookup } from 'node:dns/promises';
import { createSocket } from 'node:dgram';
import { isIP } from 'node:net';
import { buffer, native, TorchError } from './native.js';
import type { Tensor } from './tensor.js';

/** Where processes that train together meet, and which of them this is. */
export interface GroupOptions {
  /** Host of rank 0, as every rank reaches it. */
  address: string;
  port: number;
  /** 0 … size - 1. */
  rank: number;
  size: number;
  /** How long to wait for the others, when joining and in every operation. */
  timeoutMs: number;
  /** How often these ranks were started before, where a starter does so after a failure; 0 when absent. */
  attempt?: number;
}

/** Megabytes that are summed at once: small enough to overlap with the backward pass, large enough for the network. */
const BUCKET_MEGABYTES = 8;

/** Processes that train together, by c10d over Gloo. A process is in one group at a time. */
export class ProcessGroup {
  private constructor(
    readonly rank: number,
    readonly size: number,
  ) {}

  /**
   * Waits until all ranks are there.
   * @throws {TorchError} when they are not within the time, or do not agree on how many there are
   */
  static async join({ address, port, rank, size, timeoutMs, attempt = 0 }: GroupOptions): Promise<ProcessGroup> {
    const group = new ProcessGroup(rank, size);
    const own = await addressTowards(address, port);
    group.guarded('joining', () => native.joinGroup(address, port, rank, size, timeoutMs, own, attempt));
    return group;
  }

  /** Sums a tensor over all ranks, in place. */
  allReduce(tensor: Tensor): Tensor {
    this.guarded('summing', () => native.allReduce(tensor.handle));
    return tensor;
  }

  /** Copies a tensor of one rank to all others, in place. */
  broadcast(tensor: Tensor, root = 0): Tensor {
    this.guarded('broadcasting', () => native.broadcast(tensor.handle, root));
    return tensor;
  }

  /** Returns when every rank has come here. */
  barrier(): void {
    this.guarded('waiting', () => native.barrier());
  }

  /** Watches the gradients of these parameters, the same list on every rank. */
  gradients(params: readonly Tensor[]): GradientSum {
    buffer.set(params.map(({ handle }) => handle));
    native.createBuckets(params.length, BUCKET_MEGABYTES * 2 ** 20);
    return {
      arm: () => native.armBuckets(),
      finish: () => this.guarded('summing gradients', () => native.finishBuckets()),
    };
  }

  /** Closes the connections. */
  leave(): void {
    native.leaveGroup();
  }

  private guarded(doing: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      const reason = (error as Error).message.replace(/^\[[^\]]*\] /, '');
      throw new TorchError(`rank ${this.rank} of ${this.size}: ${doing} failed: ${reason}`, { cause: error });
    }
  }
}

/** Sums gradients over all ranks while the backward pass runs. */
export interface GradientSum {
  /** Before a step's last backward pass: from now on a complete bucket is sent. */
  arm(): void;
  /** After it: waits until every gradient is the sum over all ranks. */
  finish(): void;
}

/** This machine's address on the way to `host`: where the others can reach it. No packet is sent. */
async function addressTowards(host: string, port: number): Promise<string> {
  const address = isIP(host) ? host : (await lookup(host)).address;
  const socket = createSocket(isIP(address) === 6 ? 'udp6' : 'udp4');
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.connect(port, address, resolve);
    });
    return socket.address().address;
  } catch (error) {
    throw new TorchError(`no way to rank 0 at ${host}:${port}: ${(error as Error).message}`, { cause: error });
  } finally {
    socket.close();
  }
}
