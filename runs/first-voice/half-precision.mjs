#!/usr/bin/env node
// Copies a voice with its weights in half precision, as the package ships it:  node runs/first-voice/half-precision.mjs VOICE OUT
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fromFloat32, readSafetensors, toFloat32, writeSafetensors } from '../../dist/model/safetensors.js';

const [voice, out] = process.argv.slice(2);
if (!out) throw new Error('half-precision: expected the folders VOICE and OUT');
for (const part of ['', 'codec']) {
  mkdirSync(join(out, part), { recursive: true });
  copyFileSync(join(voice, part, 'config.json'), join(out, part, 'config.json'));
  const { tensors, metadata } = readSafetensors(join(voice, part, 'model.safetensors'));
  const halves = [...tensors].map(([name, array]) => [name, fromFloat32(toFloat32(array), array.shape, 'F16')]);
  writeSafetensors(join(out, part, 'model.safetensors'), new Map(halves), metadata);
}
