// What Node programs ask of malloc: buffers, typed arrays, compression, strings to and from native memory.
// V8 keeps its own objects in pages of its own; it is the rest that an allocator sees.
'use strict';
const zlib = require('zlib');
const crypto = require('crypto');

const rounds = Math.max(1, Math.round(Number(process.argv[2]) * 12));
let state = 12345;
function below(limit) {
  state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
  return (state >>> 8) % limit;
}

function buffers() {
  const kept = [];
  let sum = 0;
  for (let i = 0; i < 20000; i++) {
    const buffer = Buffer.alloc(64 + below(9000), i & 255);
    sum += buffer[buffer.length >> 1];
    kept[below(400)] = buffer;
  }
  return sum + kept.length;
}

function compression() {
  const text = Buffer.from(Array.from({length: 8000}, () => 'item ' + below(500)).join('\n'));
  let size = 0;
  for (let i = 0; i < 10; i++) {
    const packed = zlib.deflateSync(text, {level: 1 + i % 6});
    size += zlib.inflateSync(packed).length;
  }
  return size;
}

function documents() {
  const row = (_, i) => ({id: i, name: 'row ' + i, tags: [below(50), below(50)]});
  const rows = Array.from({length: 3000}, row);
  const back = JSON.parse(Buffer.from(JSON.stringify(rows)).toString('utf8'));
  const groups = new Map();
  for (const row of back) for (const tag of row.tags) groups.set(tag, (groups.get(tag) || 0) + row.id);
  return [...groups.values()].reduce((a, b) => a + b, 0);
}

function digests() {
  let sum = 0;
  for (let i = 0; i < 3000; i++) {
    sum += crypto.createHash('sha256').update('value ' + below(1000)).digest()[0];
  }
  return sum;
}

let checksum = 0;
for (let i = 0; i < rounds; i++) {
  for (const part of [buffers, compression, documents, digests]) {
    checksum = (Math.imul(checksum, 31) + part()) >>> 0;
  }
}
console.log('checksum ' + checksum.toString(16));
