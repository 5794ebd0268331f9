// What the tests import. One thread: the operators here are small, and two threads on a busy machine wait for each other.
import { setNumThreads } from '../src/index.js';

setNumThreads(1);

export * from '../src/index.js';
