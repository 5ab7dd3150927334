// Uploads a folder to an asset canister: node upload.mjs FOLDER, as a `sync` step of icp-cli, which says which canister it is.
//
// It speaks to the canister through `icp canister call`, so the identity stays with icp-cli: the default one, or that of UPLOAD_IDENTITY.
// All files go into one batch. It replaces what was there in one message: visitors see the whole old site or the whole new one.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';

/** What a message of 2 MiB has room for. */
const CHUNK = 1_900_000;

const TYPES = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.ico': 'image/x-icon',
  '.jpg': 'image/jpeg',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.mjs': 'text/javascript',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain',
  '.wasm': 'application/wasm',
  '.webp': 'image/webp',
  '.woff2': 'font/woff2',
};

/** A page takes nothing from elsewhere, and is shown in no frame. */
const HEADERS = [
  ['Content-Security-Policy', "default-src 'self'; frame-ancestors 'none'; base-uri 'none'"],
  ['X-Content-Type-Options', 'nosniff'],
  ['Referrer-Policy', 'same-origin'],
];

const [folder] = process.argv.slice(2);
const { ICP_CLI_CID: canister, ICP_CLI_ENVIRONMENT: environment, UPLOAD_IDENTITY: identity } = process.env;
if (!folder || !canister || !environment) {
  console.error('upload.mjs FOLDER is a step of `icp sync` (or set ICP_CLI_CID and ICP_CLI_ENVIRONMENT)');
  process.exit(2);
}

const scratch = mkdtempSync(join(tmpdir(), 'upload-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

/** Calls a method; answers what it said, in Candid's text. */
function call(method, argument, query = false) {
  const file = join(scratch, 'argument');
  writeFileSync(file, `(${argument})`);
  const interfaces = join(import.meta.dirname, 'assets.did');
  return execFileSync(
    'icp',
    ['canister', 'call', canister, method, '--args-file', file, '--candid', interfaces]
      .concat(['--output', 'candid', '--environment', environment])
      .concat(query ? ['--query'] : [])
      .concat(identity ? ['--identity', identity] : []),
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 28 },
  );
}

const text = (value) => JSON.stringify(value);
const blob = (bytes) => `blob "${bytes.toString('hex').replace(/../g, '\\$&')}"`;
const numbers = (answer) => [...answer.matchAll(/\b\d[\d_]*(?= : nat)/g)].map(([number]) => number);

const files = readdirSync(folder, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(join(folder, '/').length))
  // Nothing hidden, but what the network asks a site for.
  .filter((path) => path.split('/').every((part) => !part.startsWith('.') || part === '.well-known'))
  .sort()
  .map((path) => ({ key: `/${path}`, bytes: readFileSync(join(folder, path)) }));
if (files.length === 0) {
  console.error(`there is nothing in ${folder}`);
  process.exit(1);
}

const [batch] = numbers(call('create_batch', 'record {}'));

// Small files share a message; a large one is in pieces.
const messages = [];
for (const file of files) {
  file.chunks = [];
  for (let start = 0; start < Math.max(1, file.bytes.length); start += CHUNK) {
    const piece = file.bytes.subarray(start, start + CHUNK);
    let message = messages.at(-1);
    if (!message || message.length + piece.length > CHUNK) {
      message = { length: 0, pieces: [] };
      messages.push(message);
    }
    message.length += piece.length;
    message.pieces.push({ file, piece });
  }
}
for (const { pieces } of messages) {
  const content = pieces.map(({ piece }) => blob(piece)).join('; ');
  const answer = call('create_chunks', `record { batch_id = ${batch}; content = vec { ${content} } }`);
  const ids = numbers(answer);
  pieces.forEach(({ file }, index) => file.chunks.push(ids[index]));
}

const there = call('list', 'record {}', true).matchAll(/\bkey = ("(?:[^"\\]|\\.)*")/g);
const operations = [
  ...[...there].map(([, key]) => `variant { DeleteAsset = record { key = ${key} } }`),
  ...files.flatMap(({ key, bytes, chunks }) => {
    const type = TYPES[extname(key)] ?? 'application/octet-stream';
    const headers = HEADERS.map(([name, value]) => `record { ${text(name)}; ${text(value)} }`);
    const hash = createHash('sha256').update(bytes).digest();
    return [
      `variant { CreateAsset = record { key = ${text(key)}; content_type = ${text(type)};
        headers = opt vec { ${headers.join('; ')} }; enable_aliasing = opt true } }`,
      `variant { SetAssetContent = record { key = ${text(key)}; content_encoding = "identity";
        chunk_ids = vec { ${chunks.join('; ')} }; sha256 = opt ${blob(hash)} } }`,
    ];
  }),
];
call('commit_batch', `record { batch_id = ${batch}; operations = vec { ${operations.join('; ')} } }`);
console.log(`${files.length} files, ${files.reduce((sum, { bytes }) => sum + bytes.length, 0)} bytes`);
