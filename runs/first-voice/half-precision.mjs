#!/usr/bin/env node
// Copies a voice with its weights in half precision, as the package ships it:  node runs/first-voice/half-precision.mjs VOICE OUT
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fromFloat32, readSafetensors, toFloat32, writeSafetensors } from '../../dist/model/safetensors.js';

/** The codec's analysis stays as the training data was made with it. */
const isExact = (name) => /^(analysis|statistics)\./.test(name);
const half = (array) => fromFloat32(toFloat32(array), array.shape, 'F16');

const [voice, out] = process.argv.slice(2);
if (!out) throw new Error('half-precision: expected the folders VOICE and OUT');
for (const part of ['', 'codec']) {
  mkdirSync(join(out, part), { recursive: true });
  copyFileSync(join(voice, part, 'config.json'), join(out, part, 'config.json'));
  const { tensors, metadata } = readSafetensors(join(voice, part, 'model.safetensors'));
  const halves = [...tensors].map(([name, array]) => [name, isExact(name) ? array : half(array)]);
  writeSafetensors(join(out, part, 'model.safetensors'), new Map(halves), metadata);
}
