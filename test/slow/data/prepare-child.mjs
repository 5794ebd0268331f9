// Prepares manifest.jsonl of the folder argv[2] into argv[3] with the shipped voice's codec; prints totals and peak memory, MB.
import { join } from 'node:path';
import { MelCodec } from '../../../dist/codec/mel/mel-codec.js';
import { prepare } from '../../../dist/data/prepare.js';

const [folder, out, shardSize] = process.argv.slice(2);
const codec = MelCodec.open(join(import.meta.dirname, '../../../voices/wren/codec'));
const frontEnd = { vocabSize: 3, encode: () => [0, 2] };
const totals = await prepare({ manifests: [join(folder, 'manifest.jsonl')], out, codec, frontEnd, frontEndName: 'none', shardSize: Number(shardSize) }); // prettier-ignore
console.log(JSON.stringify({ ...totals, peakMegabytes: process.resourceUsage().maxRSS / 1024 }));
