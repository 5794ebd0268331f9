import { native } from './native.js';

/** What one operator cost in `profile`: seconds without the operators that it called itself. */
export interface OperatorCost {
  readonly name: string;
  readonly calls: number;
  readonly seconds: number;
}

/** Runs `fn` and measures every operator, those of backward passes included, the dearest first. */
export function profile(fn: () => void): OperatorCost[] {
  native.startProfile();
  let lines: string;
  try {
    fn();
  } finally {
    lines = native.stopProfile();
  }
  const costs = lines
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [name, calls, seconds] = line.split('\t');
      return { name, calls: Number(calls), seconds: Number(seconds) };
    });
  return costs.sort((a, b) => b.seconds - a.seconds);
}
