// The programs under test, as cargo has built them, and the canister that they run.

import { spawn, spawnSync, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { Principal } from '@icp-sdk/core/principal';

const RELEASE = resolve(import.meta.dirname, '../../target/release');

/** How long a server may take until it listens. */
const PATIENCE_MS = 60_000;

/** Path of a program; what must be built if it isn't there. */
export function program(name) {
  const path = join(RELEASE, name);
  if (!existsSync(path)) {
    throw new Error(`there is no ${path}: cargo build --release --workspace --bins --examples`);
  }
  return path;
}

/** The registry's module; what must be built if it isn't there. */
export function registryModule() {
  const path = resolve(import.meta.dirname, '../../target/canisters/registry.wasm.gz');
  if (!existsSync(path)) {
    throw new Error(`there is no ${path}: scripts/build`);
  }
  return new Uint8Array(readFileSync(path));
}

/** The offline verifier; what must be built if it isn't there. */
export async function verifierModule() {
  const path = resolve(import.meta.dirname, '../../target/verifier/indus_verify.js');
  if (!existsSync(path)) {
    throw new Error(`there is no ${path}: scripts/build-verifier`);
  }
  return (await import(path)).default;
}

/** An example's module; what must be built if it isn't there. */
export function exampleModule(name) {
  const path = resolve(import.meta.dirname, '../../target/examples', `${name}.wasm`);
  if (!existsSync(path)) {
    throw new Error(`there is no ${path}: scripts/build-examples`);
  }
  return new Uint8Array(readFileSync(path));
}

/** A folder that is gone when the test has ended. */
export function folder(test) {
  const path = mkdtempSync(join(tmpdir(), 'node-clients-'));
  test.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A module from its text, in a file. */
export function assemble(test, text) {
  const module = join(folder(test), 'module.wasm');
  execFileSync(program('examples/assemble'), [text, module]);
  return new Uint8Array(readFileSync(module));
}

/** The counter as a module. */
export const counterModule = (test) =>
  assemble(test, resolve(import.meta.dirname, 'counter.wat'));

/** Starts a fresh localnet, and says what a client must know of it. */
export async function localnet(test) {
  const status = join(folder(test), 'status.json');
  const arguments_ = ['serve', '--port', '0', '--exit-with-stdin', '--status-file', status];
  const server = spawn(program('localnet'), arguments_, { stdio: ['pipe', 'ignore', 'inherit'] });
  const ended = new Promise((resolve) => server.on('exit', resolve));
  test.after(async () => {
    server.stdin.end();
    await ended;
  });
  for (let waited = 0; !existsSync(status); waited += 20) {
    if (waited >= PATIENCE_MS || server.exitCode !== null) {
      throw new Error('localnet does not start');
    }
    await sleep(20);
  }
  const { gateway_port, root_key, default_effective_canister_id } = JSON.parse(
    readFileSync(status, 'utf8'),
  );
  return {
    host: `http://127.0.0.1:${gateway_port}`,
    port: gateway_port,
    rootKey: new Uint8Array(Buffer.from(root_key, 'hex')),
    anyCanister: default_effective_canister_id,
  };
}

/** Starts a subnet of type `cloud_engine`, on which `admin` creates canisters, and says what a client must know of it. */
export async function engine(test, admin) {
  const port = join(folder(test), 'port');
  const server = spawn(program('pocket-ic'), ['--port-file', port], { stdio: 'ignore' });
  const ended = new Promise((resolve) => server.on('exit', resolve));
  test.after(async () => {
    server.kill();
    await ended;
  });
  const written = () => existsSync(port) && readFileSync(port, 'utf8').endsWith('\n');
  for (let waited = 0; !written(); waited += 20) {
    if (waited >= PATIENCE_MS || server.exitCode !== null) {
      throw new Error('pocket-ic does not start');
    }
    await sleep(20);
  }
  const post = async (path, body) => {
    const url = `http://127.0.0.1:${readFileSync(port, 'utf8').trim()}${path}`;
    const headers = { 'Content-Type': 'application/json' };
    const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
    if (!response.ok) {
      throw new Error(`${path}: ${await response.text()}`);
    }
    return response.json();
  };
  const base64 = (principal) => Buffer.from(principal.toUint8Array()).toString('base64');
  const subnets = { system: [], application: [], verified_application: [] };
  const settings = {
    state_config: 'New',
    instruction_config: 'Production',
    subnet_admins: [{ principal_id: base64(admin) }],
    cost_schedule: 'Free',
  };
  const { Created } = await post('/instances', {
    subnet_config_set: { ...subnets, cloud_engine: [settings] },
    http_gateway_config: {},
    initial_time: { AutoProgress: {} },
  });
  const [[subnet, { canister_ranges }]] = Object.entries(Created.topology.subnet_configs);
  const subnet_id = base64(Principal.fromText(subnet));
  const gateway = Created.http_gateway_info.port;
  return {
    host: `http://127.0.0.1:${gateway}`,
    port: gateway,
    rootKey: new Uint8Array(
      await post(`/instances/${Created.instance_id}/read/pub_key`, { subnet_id }),
    ),
    subnet,
    // No canister has this id for a long time.
    nobody: Principal.fromUint8Array(Buffer.from(canister_ranges[0].end.canister_id, 'base64')),
  };
}

/** The PATH, with the icp that npm has installed in front. */
export function pathWithIcp() {
  const installed = resolve(
    import.meta.dirname,
    'node_modules/@icp-sdk/icp-cli-linux-x64/bin/icp',
  );
  const path = process.env.PATH;
  return existsSync(installed) ? `${dirname(installed)}${delimiter}${path}` : path;
}

/** A browser that can be told what to do by its arguments, or nothing. */
export function chromium() {
  const names = process.env.CHROMIUM
    ? [process.env.CHROMIUM]
    : ['chromium', 'chromium-browser', 'google-chrome'];
  return names.find((name) => spawnSync(name, ['--version']).status === 0);
}

/** Candid interface of the counter, for either version of the library. */
export const counterInterface = ({ IDL }) =>
  IDL.Service({
    inc: IDL.Func([], [IDL.Nat32], []),
    get: IDL.Func([], [IDL.Nat32], ['query']),
    whoami: IDL.Func([], [IDL.Principal], []),
  });
