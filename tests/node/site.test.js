// What a startup does: the example app Kisan (examples/kisan), deployed by plain icp-cli, and its site seen through an HTTP gateway,
// which verifies each response, and in a browser.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

import { Actor, HttpAgent } from '@icp-sdk/core/agent';
import { IDL } from '@icp-sdk/core/candid';
import { Ed25519KeyIdentity } from '@icp-sdk/core/identity';
import { Principal } from '@icp-sdk/core/principal';

import {
  assemble,
  chromium,
  engine,
  exampleModule,
  folder,
  localnet,
  pathWithIcp,
} from './programs.js';

const KISAN = resolve(import.meta.dirname, '../../examples/kisan');
const SITE = join(KISAN, 'site');

const Bytes = IDL.Vec(IDL.Nat8);
const Mode = IDL.Variant({
  install: IDL.Null,
  upgrade: IDL.Opt(
    IDL.Record({
      wasm_memory_persistence: IDL.Opt(IDL.Variant({ keep: IDL.Null, replace: IDL.Null })),
    }),
  ),
});
const management = () =>
  IDL.Service({
    provisional_create_canister_with_cycles: IDL.Func(
      [IDL.Record({})],
      [IDL.Record({ canister_id: IDL.Principal })],
      [],
    ),
    install_code: IDL.Func(
      [
        IDL.Record({
          mode: Mode,
          canister_id: IDL.Principal,
          wasm_module: Bytes,
          arg: Bytes,
        }),
      ],
      [],
      [],
    ),
  });
const Price = IDL.Record({ crop: IDL.Text, price_pkr: IDL.Nat64 });
const backendInterface = () =>
  IDL.Service({
    health: IDL.Func([], [IDL.Bool], ['query']),
    prices: IDL.Func([], [IDL.Vec(Price)], ['query']),
    set_price: IDL.Func([Price], [IDL.Variant({ Ok: IDL.Null, Err: IDL.Text })], []),
  });

/** An Ed25519 key as tools keep it (RFC 8410, section 7). */
function pem(identity) {
  const seed = Buffer.from(identity.getKeyPair().secretKey).subarray(0, 32);
  const prefix = Buffer.from('302e020100300506032b657004220420', 'hex');
  const key = Buffer.concat([prefix, seed]).toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`;
}

/** `module` with a section behind it that means nothing. */
const another = (module) => Buffer.concat([module, Buffer.from([0, 2, 1, 0x78])]);

/** A founder with a key, a project and a network to deploy it to. */
class Founder {
  identity = Ed25519KeyIdentity.generate();

  constructor(project) {
    this.project = project;
  }

  /** `network` makes one for the founder's identity. */
  static async start(t, network) {
    const root = folder(t);
    // The manifest finds the modules where they are in the repository.
    const project = join(root, 'examples/kisan');
    for (const name of ['kisan', 'kisan_motoko', 'assets']) {
      const module = exampleModule(name);
      mkdirSync(join(root, 'target/examples'), { recursive: true });
      writeFileSync(join(root, 'target/examples', `${name}.wasm`), module);
    }
    for (const name of ['icp.yaml', 'upload.mjs', 'assets.did', 'site']) {
      cpSync(join(KISAN, name), join(project, name), { recursive: true });
    }
    const founder = new Founder(project);
    founder.network = await network(founder.identity.getPrincipal());
    const key = Buffer.from(founder.network.rootKey).toString('hex');
    appendFileSync(
      join(project, 'icp.yaml'),
      `  - name: motoko
    build:
      steps:
        - type: pre-built
          path: ../../target/examples/kisan_motoko.wasm
networks:
  - name: pk
    mode: connected
    url: ${founder.network.host}
    root-key: ${key}
environments:
  - name: pk
    network: pk
`,
    );
    writeFileSync(join(root, 'key.pem'), pem(founder.identity));
    founder.icp('identity', 'import', 'founder', '--from-pem', '../../key.pem', '--storage', 'plaintext');
    founder.icp('identity', 'default', 'founder');
    founder.agent = await founder.agentOf(founder.identity);
    return founder;
  }

  /** Runs icp; what it printed. */
  icp(...args) {
    const home = resolve(this.project, '../../home');
    const env = {
      PATH: pathWithIcp(),
      HOME: home,
      XDG_CONFIG_HOME: join(home, 'config'),
      XDG_DATA_HOME: join(home, 'data'),
      DO_NOT_TRACK: '1',
    };
    if (this.network?.nobody) {
      // As if no operator were registered for the subnet: icp then asks the subnet itself.
      env.ENGINE_CANISTER_ID = this.network.nobody.toText();
    }
    return execFileSync('icp', args, { cwd: this.project, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  module(name) {
    return resolve(this.project, '../../target/examples', `${name}.wasm`);
  }

  agentOf(identity) {
    const { host, rootKey } = this.network;
    return HttpAgent.create({ host, rootKey, identity, verifyQuerySignatures: true });
  }

  management(canister) {
    return Actor.createActor(management, {
      agent: this.agent,
      canisterId: Principal.managementCanister(),
      effectiveCanisterId: Principal.from(canister),
    });
  }

  async create() {
    const created = await this.management(this.network.anyCanister).provisional_create_canister_with_cycles({});
    return created.canister_id;
  }

  /** Which canisters icp has created. */
  get canisters() {
    return JSON.parse(readFileSync(join(this.project, '.icp/data/mappings/pk.ids.json')));
  }

  deploy(...args) {
    return this.icp('deploy', ...args, '-e', 'pk', '--yes');
  }

  backend(canister, agent = this.agent) {
    return Actor.createActor(backendInterface, { agent, canisterId: canister });
  }
}

/** What a browser's request for a canister's page is answered with. */
function get(port, host, path) {
  return new Promise((done, failed) => {
    const headers = { host: `${host}.localhost:${port}` };
    request({ host: '127.0.0.1', port, path, headers }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', failed);
      response.on('end', () =>
        done({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) }),
      );
    })
      .on('error', failed)
      .end();
  });
}

/** Sets prices, reads them, and upgrades: the same for both back ends. */
async function trade(founder, name, canister) {
  const backend = founder.backend(canister);
  assert.equal(await backend.health(), true);
  assert.deepEqual(await backend.prices(), []);
  const set = [
    { crop: 'Rice', price_pkr: 8_240n },
    { crop: 'Wheat', price_pkr: 3_950n },
  ];
  for (const price of [{ crop: 'Wheat', price_pkr: 1n }, ...set]) {
    assert.deepEqual(await backend.set_price(price), { Ok: null });
  }
  const refused = async (crop, price_pkr) =>
    assert.ok('Err' in (await backend.set_price({ crop, price_pkr })), crop);
  await refused(' ', 1n);
  await refused('x'.repeat(61), 1n);
  await refused('Rice', 0n);
  await refused('Rice', 10_000_001n);
  const stranger = founder.backend(canister, await founder.agentOf(Ed25519KeyIdentity.generate()));
  assert.ok('Err' in (await stranger.set_price({ crop: 'Rice', price_pkr: 1n })));
  assert.deepEqual(await stranger.prices(), set);

  const module = founder.module(name === 'motoko' ? 'kisan_motoko' : 'kisan');
  writeFileSync(module, another(readFileSync(module)));
  founder.deploy(name);
  assert.deepEqual(await backend.prices(), set);
  assert.match(founder.icp('canister', 'call', name, 'prices', '()', '-e', 'pk'), /Wheat/);
}

test('Kisan is deployed by plain icp, and its site is served with proof', async (t) => {
  const founder = await Founder.start(t, () => localnet(t));
  const { port } = founder.network;
  // icp asks the network for its subnets and its cycles ledger, as it does on the Internet Computer.
  founder.deploy();
  const { backend, site, motoko } = founder.canisters;

  await t.test('a back end in Rust keeps its prices through an upgrade', () =>
    trade(founder, 'backend', backend),
  );
  await t.test('a back end in Motoko keeps its memory through an upgrade', async () => {
    await trade(founder, 'motoko', motoko);
    // The module says that it can't do without.
    const dropped = founder.management(motoko).install_code({
      mode: { upgrade: [] },
      canister_id: Principal.from(motoko),
      wasm_module: readFileSync(founder.module('kisan_motoko')),
      arg: IDL.encode([], []),
    });
    await assert.rejects(dropped, /persistence/);
  });

  await t.test('every file is answered as it is in the folder, and verified', async () => {
    const files = readdirSync(SITE);
    assert.ok(files.length >= 5);
    for (const file of files) {
      const { status, headers, body } = await get(port, site, `/${file}`);
      assert.equal(status, 200, file);
      assert.deepEqual(body, readFileSync(join(SITE, file)), file);
      assert.match(headers['content-security-policy'], /default-src 'self'/);
    }
    const start = await get(port, site, '/');
    assert.deepEqual(start.body, readFileSync(join(SITE, 'index.html')));
    assert.match(start.headers['content-type'], /^text\/html/);
  });

  await t.test('a page that no certificate proves is refused', async () => {
    const module = assemble(t, uncertified(t));
    const canister = await founder.create();
    await founder.management(canister).install_code({
      mode: { install: null },
      canister_id: canister,
      wasm_module: module,
      arg: new Uint8Array(),
    });
    const raw = await get(port, `${canister}.raw`, '/');
    assert.equal(raw.body.toString(), 'believe me');
    const verified = await get(port, canister.toText(), '/');
    assert.ok(verified.status >= 500, `${verified.status}`);
    assert.doesNotMatch(verified.body.toString(), /believe me/);
  });

  const page = `http://${site}.localhost:${port}/`;
  await t.test('a browser shows what the page computes', { skip: withoutBrowser() }, () => {
    const browser = chromium();
    assert.ok(browser, 'INDUS_BROWSER=1, and there is no Chromium in the PATH: apt-get install chromium');
    const shown = open(t, browser, '--dump-dom', page);
    // From prices.json: 2,000 kg of wheat at 3,950 rupees for 40 kg, 3,870 a week ago.
    assert.match(shown, /<output id="worth"[^>]*>197,500<\/output>/);
    assert.match(shown, /Rs 4,000 more than a week ago/);
    assert.match(shown, /▲ 2\.1 %/);
    assert.match(shown, /25 November 2026/);

    const picture = join(process.env.INDUS_SCREENSHOTS ?? folder(t), 'kisan.png');
    open(t, browser, `--screenshot=${picture}`, '--window-size=1200,800', page);
    const png = readFileSync(picture);
    assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)], [1200, 800]);
    // One colour would be a kilobyte or three.
    assert.ok(statSync(picture).size > 20_000);
  });

  await t.test('a new release replaces the old one, and takes away what is no longer there', async () => {
    rmSync(join(founder.project, 'site/prices.json'));
    writeFileSync(join(founder.project, 'site/new.txt'), 'new');
    // More than fits into a message.
    writeFileSync(join(founder.project, 'site/large.bin'), Buffer.alloc(4_000_000, 'kisan'));
    founder.icp('sync', 'site', '-e', 'pk');
    assert.equal((await get(port, site, '/new.txt')).body.toString(), 'new');
    // The crate proves of a file that was taken away that it isn't there from the next upgrade on; until then the gateway refuses its answer.
    assert.notEqual((await get(port, site, '/prices.json')).status, 200);
    const large = await get(port, site, '/large.bin');
    assert.deepEqual(large.body, readFileSync(join(founder.project, 'site/large.bin')));
    // The site is there after an upgrade of its canister, too.
    writeFileSync(founder.module('assets'), another(exampleModule('assets')));
    founder.deploy('site');
    assert.equal((await get(port, site, '/new.txt')).body.toString(), 'new');
    const start = readFileSync(join(SITE, 'index.html'));
    for (const path of ['/prices.json', '/never/was']) {
      assert.deepEqual((await get(port, site, path)).body, start, path);
    }
  });
});

test('on an engine one command creates the canisters, installs them and uploads the site', async (t) => {
  const founder = await Founder.start(t, (admin) => engine(t, admin));
  const { subnet, port } = founder.network;
  founder.deploy('backend', 'site', '--subnet', subnet);
  const ids = founder.canisters;
  assert.equal(await founder.backend(ids.backend).health(), true);
  const start = readFileSync(join(SITE, 'index.html'));
  assert.deepEqual((await get(port, ids.site, '/')).body, start);

  // The same command upgrades what is there.
  writeFileSync(join(founder.project, 'site/index.html'), 'again');
  founder.deploy('backend', 'site', '--subnet', subnet);
  assert.equal((await get(port, ids.site, '/')).body.toString(), 'again');
});

/** Text of a module that answers each request with a page, and proves nothing. */
function uncertified(t) {
  const Response = IDL.Record({
    status_code: IDL.Nat16,
    headers: IDL.Vec(IDL.Tuple(IDL.Text, IDL.Text)),
    body: Bytes,
  });
  const page = { status_code: 200, headers: [], body: Buffer.from('believe me') };
  const reply = Buffer.from(IDL.encode([Response], [page]));
  const data = reply.toString('hex').replace(/../g, '\\$&');
  const text = join(folder(t), 'uncertified.wat');
  writeFileSync(
    text,
    `(module
      (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
      (import "ic0" "msg_reply" (func $reply))
      (memory 1)
      (data (i32.const 0) "${data}")
      (func (export "canister_query http_request")
        (call $append (i32.const 0) (i32.const ${reply.length}))
        (call $reply)))`,
  );
  return text;
}

/** Why the browser is left out, or false. */
function withoutBrowser() {
  if (process.env.INDUS_BROWSER === '1' || chromium()) {
    return false;
  }
  return 'there is no Chromium in the PATH: apt-get install chromium (INDUS_BROWSER=1 makes this an error)';
}

/** Has a browser with a fresh profile open a page; what it printed. */
function open(t, browser, ...args) {
  const fixed = ['--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run', '--hide-scrollbars']
    .concat(['--virtual-time-budget=10000', `--user-data-dir=${folder(t)}`]);
  return execFileSync(browser, [...fixed, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: 60_000,
  });
}
