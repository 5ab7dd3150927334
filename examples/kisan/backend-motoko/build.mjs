// Compiles kisan.mo: node build.mjs [FILE]. The compiler and the library `core` are in the npm package `motoko`; nothing is downloaded.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';

const require = createRequire(import.meta.url);
const compiler = require('motoko').default;
const core = require('motoko/packages/latest/core.json');

const NAME = 'kisan.mo';
const output = resolve(process.argv[2] ?? 'kisan.wasm');

/** Those who wait for the interface find it in the module. */
compiler.setPublicMetadata(['candid:service']);
compiler.loadPackage(core);
compiler.write(NAME, readFileSync(join(import.meta.dirname, NAME), 'utf8'));

let wasm;
try {
  ({ wasm } = compiler.wasm(NAME, 'ic'));
} catch (error) {
  // Its stack would quote the compiler, all on one line.
  console.error(`${NAME}: ${error.message}`);
  process.exit(1);
}
mkdirSync(dirname(output), { recursive: true });
writeFileSync(output, wasm);
