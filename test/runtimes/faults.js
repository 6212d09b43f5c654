// WebAssembly in Node checks bounds by SIGSEGV: reads beyond the end of its memory, in compiled code.
const code = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 127, 1, 127, 3, 2, 1, 0, 5, 3, 1, 0, 1, 7, 8, 1, 4, 108, 111, 97, 100,
  0, 0, 10, 9, 1, 7, 0, 32, 0, 40, 2, 0, 11]);
const load = new WebAssembly.Instance(new WebAssembly.Module(code)).exports.load;
let sum = 0, refused = 0;
for (let i = 0; i < 100000; i++) sum += load(8);
for (let i = 0; i < 100; i++) {
  try {
    load(0x7ffffff0);
  } catch (error) {
    if (error instanceof WebAssembly.RuntimeError) refused++;
  }
}
console.log(`sum ${sum}, refused ${refused}`);
