// Loaded before `sled-tts train` (node --import): notes in the file PLACE how many updates the process made and how many
// parts of the next are accumulated, and ends the process, or tells it to stop, at the place that AT names:
//   part:N    before the N-th backward pass that finds another part's gradients already there
//   write:N   at the N-th file operation inside a checkpoint's folder; a write is cut in half first
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { isMainThread } from 'node:worker_threads';
import { AdamW, Tensor } from '@sled-tts/torch';

const { PLACE, AT = '', SIGNAL = 'SIGKILL' } = process.env;
if (isMainThread && PLACE) watch(fs.openSync(PLACE, 'w'));

function watch(file) {
  const [kind, number] = AT.split(':');
  const counts = { part: 0, write: 0 };
  let [updates, parts] = [0, -1]; // before the first step the largest batch is only tried
  const note = () =>
    fs.writeSync(file, Buffer.from(JSON.stringify({ updates, parts, ...counts }).padEnd(80)), 0, 80, 0);
  const reached = (here) => ++counts[here] === Number(number) && here === kind;
  const end = () => {
    note();
    process.kill(process.pid, SIGNAL);
  };

  const { backward } = Tensor.prototype;
  Tensor.prototype.backward = function (...args) {
    if (parts > 0 && reached('part')) end();
    backward.apply(this, args);
    if (parts >= 0) parts++;
    note();
  };
  const { step, zeroGrad } = AdamW.prototype;
  AdamW.prototype.step = function () {
    step.call(this);
    updates++;
  };
  AdamW.prototype.zeroGrad = function () {
    zeroGrad.call(this);
    parts = 0;
    note();
  };

  const { writeSync, closeSync } = fs;
  const isPart = (path) => typeof path === 'string' && /step-\d+\.part/.test(path);
  const files = new Set();
  fs.openSync = wrap(fs.openSync, (path) => isPart(path), (opened) => files.add(opened)); // prettier-ignore
  fs.writeSync = wrap(
    writeSync,
    (opened) => files.has(opened),
    undefined,
    (opened, bytes, from = 0) => writeSync(opened, bytes, from, (bytes.length - from) >> 1),
  );
  fs.closeSync = (opened) => {
    files.delete(opened);
    closeSync(opened);
  };
  for (const name of ['mkdirSync', 'writeFileSync', 'renameSync', 'fsyncSync', 'rmSync'])
    fs[name] = wrap(fs[name], (what) => isPart(what) || files.has(what));
  syncBuiltinESMExports();

  /** The function, with the end before it where it is its turn. */
  function wrap(original, concerns, after = () => {}, half = () => {}) {
    return (...args) => {
      if (concerns(args[0]) && reached('write')) {
        half(...args);
        end();
      }
      const result = original(...args);
      if (concerns(args[0])) after(result);
      return result;
    };
  }
}
