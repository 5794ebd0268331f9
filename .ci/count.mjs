// Prints "PASSED FAILED" from a JSON report of vitest. What ended without a report, or badly without a failed test
// (a lint error, a test file that cannot be loaded), is one failure.
import { existsSync, readFileSync } from 'node:fs';

const [, , path, exitCode] = process.argv;
const report = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {};
const { numPassedTests: passed = 0, numFailedTests: failed = 0 } = report;
console.log(`${passed} ${failed === 0 && exitCode !== '0' ? 1 : failed}`);
