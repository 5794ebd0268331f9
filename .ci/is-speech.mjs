// Exits with 1 unless a 16-bit mono WAV holds between one and twenty seconds that are neither silent nor clipped.
import { readFileSync } from 'node:fs';

const bytes = readFileSync(process.argv[2]);
const rate = bytes.readUInt32LE(24);
const samples = Array.from({ length: (bytes.length - 44) / 2 }, (_, i) => bytes.readInt16LE(44 + 2 * i) / 32768);
const seconds = samples.length / rate;
const level = Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);
console.log(`${process.argv[2]}: ${seconds.toFixed(2)} s at ${rate} Hz, level ${level.toFixed(3)}`);
if (!(seconds > 1 && seconds < 20 && level > 0.01 && level < 0.5)) process.exit(1);
