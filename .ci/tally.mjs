// Adds up Jest's reports. Fails on a failed or skipped test, and on a test file of the repository that no report has.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';

const reports = process.argv.slice(2).map((file) => JSON.parse(readFileSync(file, 'utf8')));
const suites = reports.flatMap(({ testResults }) => testResults);
const tests = suites.flatMap(({ assertionResults }) => assertionResults);
const count = (...states) => tests.filter(({ status }) => states.includes(status)).length;

const ran = new Set(suites.map(({ name }) => relative(process.cwd(), name)));
const all = execFileSync('git', ['ls-files', 'test/*.test.ts'], { encoding: 'utf8' }).trim().split('\n');
const missing = all.filter((file) => !ran.has(file));
const broken = suites.filter(({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0);

for (const file of missing) console.error(`Did not run: ${file}`);
for (const { name, message } of broken) console.error(`Did not load: ${name}\n${message}`);
const skipped = count('pending', 'skipped', 'todo', 'disabled');
if (skipped > 0) console.error(`Skipped: ${skipped} tests`);

const failed = count('failed') + missing.length + broken.length + skipped;
console.log(`${count('passed')} passed, ${failed} failed`);
process.exitCode = failed > 0 || count('passed') === 0 ? 1 : 0;
