import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EventWriter, maskedCrc32c } from '../../../src/train/tensorboard.js';

/** What `tensorboard` 2.21.0 writes for the calls below at this time: RecordWriter and Event.SerializeToString. */
const TIME = 1_700_000_000_500;
const GOLDEN = Buffer.from(
  `GAAAAAAAAACjf0siCQAAIED8VNlBGg1icmFpbi5FdmVudDoyKzUxEA8AAAAAAAAAbVMrCQkAACBA/FTZQRAHOgIIAZvrBqcbAAAAAAAAABoNnh
    MJAAAgQPxU2UEQrAIqDQoLCgRsb3NzFQAAIECUoyS/XQAAAAAAAABhW7u5CQAAIED8VNlBEKwCKk8KTQoDc2F5MkYNAIC7RhABGAIiMFJJRkYo
    AAAAV0FWRWZtdCAQAAAAAQABAMBdAACAuwAAAgAQAGRhdGEEAAAAAEAAwCoJYXVkaW8vd2F2fm5WKjIAAAAAAAAAJBlW7AkAACBA/FTZQRCsAi
    okCiIKBG5vdGVCEAgHEgQSAggBQgYqKmhpKipKCAoGCgR0ZXh02D+Vcw==`,
  'base64',
);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sled-events-'));
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(folder, { recursive: true });
});

describe('TensorBoard events', () => {
  it("are, byte for byte, what TensorBoard's own writer writes", () => {
    vi.useFakeTimers({ now: TIME, toFake: ['Date'] });
    const writer = new EventWriter(folder, { startStep: 7 });
    writer.scalar('loss', 2.5, 300);
    writer.audio('say', Float32Array.of(0.5, -0.5), 24_000, 300);
    writer.text('note', '**hi**', 300);
    writer.close();
    expect(readFileSync(writer.path).toString('hex')).toBe(GOLDEN.toString('hex'));
  });

  it('carry the masked checksum of the CRC-32C catalogue', () => {
    const crc = 0xe3069283; // of '123456789'
    expect(maskedCrc32c(Buffer.from('123456789'))).toBe((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0);
  });

  it('go to a file of their own when a run is resumed', () => {
    for (let i = 0; i < 3; i++) new EventWriter(folder, { startStep: i }).close();
    expect(readdirSync(folder).length).toBe(3);
  });

  it('are on the disk after a flush, before the writer is closed', () => {
    const writer = new EventWriter(folder);
    const before = readFileSync(writer.path).length;
    writer.scalar('loss', 1, 1);
    writer.flush();
    expect(readFileSync(writer.path).length).toBeGreaterThan(before);
    writer.close();
    expect(() => writer.scalar('loss', 1, 2)).toThrow();
  });
});
