// Buffers, JSON, compression, cryptography, worker threads and child processes; the same output in every run.
// Usage: node.js short|long.
'use strict';
const { Worker, isMainThread, workerData, parentPort } = require('worker_threads');
const { execFileSync } = require('child_process');
const crypto = require('crypto');
const zlib = require('zlib');

const digest = (data) => crypto.createHash('sha256').update(data).digest('hex').slice(0, 24);

class Numbers {
  constructor(seed) { this.state = seed >>> 0; }
  below(n) {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0;
    return Math.floor(this.state / 256) % n;
  }
}

function makeRows(seed, count) {
  const numbers = new Numbers(seed);
  const rows = [];
  for (let i = 0; i < count; i++) {
    rows.push({ id: i, name: 'n' + numbers.below(1000), tags: Array.from({ length: numbers.below(6) }, () => numbers.below(99)),
                text: 'lorem '.repeat(numbers.below(12)) });
  }
  return rows;
}

function compute(seed, count) {
  const text = JSON.stringify(makeRows(seed, count));
  const packed = zlib.gzipSync(text);
  if (zlib.gunzipSync(packed).toString() !== text) throw new Error('zlib changed its data');
  const groups = new Map();
  for (const row of JSON.parse(text)) groups.set(row.name, (groups.get(row.name) || 0) + row.tags.length);
  return digest(text + [...groups].sort().join(';'));
}

function buffers(rounds) {
  const numbers = new Numbers(9);
  const kept = [];
  const hash = crypto.createHash('sha256');
  for (let i = 0; i < rounds; i++) {
    const block = Buffer.alloc(1 + numbers.below(200000), i % 251);
    kept.push(block);
    if (kept.length > 64) hash.update(kept.splice(numbers.below(64), 1)[0]);
  }
  for (const block of kept) hash.update(block);
  return hash.digest('hex').slice(0, 24);
}

function inWorker(seed, count) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(__filename, { workerData: { seed, count } });
    worker.on('message', resolve);
    worker.on('error', reject);
  });
}

async function main() {
  const scale = { short: 1, long: 8 }[process.argv[2]];
  console.log('json', compute(1, 6000 * scale));
  console.log('buffers', buffers(600 * scale));
  for (let round = 0; round < scale; round++) {
    const answers = await Promise.all([2, 3, 4, 5].map((seed) => inWorker(seed + round, 2000)));
    console.log('workers', answers.join(' '));
  }
  const jobs = [];
  for (let i = 0; i < 8 * scale; i++) {
    jobs.push(new Promise((resolve, reject) =>
      zlib.deflate(Buffer.alloc(300000, 'abc' + i), (error, out) => (error ? reject(error) : resolve(digest(out))))));
    jobs.push(new Promise((resolve, reject) =>
      crypto.scrypt('password' + i, 'salt', 32, { N: 1024 }, (error, key) => (error ? reject(error) : resolve(digest(key))))));
  }
  console.log('pool', digest((await Promise.all(jobs)).join(' ')));
  const children = [];
  for (let i = 0; i < 3; i++) {
    children.push(execFileSync(process.execPath, ['-e', `console.log(JSON.stringify(Array.from({length: 500}, (_, i) => i * ${i})).length)`]).toString().trim());
  }
  console.log('children', children.join(' '));
}

if (isMainThread) {
  main().catch((error) => { console.error(error); process.exit(1); });
} else {
  parentPort.postMessage(compute(workerData.seed, workerData.count));
}
