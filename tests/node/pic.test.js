// What a test of a canister does: @dfinity/pic, against pocket-ic.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { PocketIc, PocketIcServer, createIdentity } from '@dfinity/pic';

import { counterInterface, counterModule, program } from './programs.js';

/** An instance on a server of its own. Both are gone when the test has ended. */
async function instance(t) {
  const server = await PocketIcServer.start({ binPath: program('pocket-ic') });
  const pic = await PocketIc.create(server.getUrl());
  t.after(async () => {
    await pic.tearDown();
    await server.stop();
  });
  return pic;
}

test('a canister is created, installed, called, queried, read and upgraded', async (t) => {
  const pic = await instance(t);
  const owner = createIdentity('owner');
  const wasm = counterModule(t);
  const { actor, canisterId } = await pic.setupCanister({
    idlFactory: counterInterface,
    wasm,
    sender: owner.getPrincipal(),
  });
  actor.setIdentity(owner);
  assert.equal(await actor.inc(), 1);
  assert.equal(await actor.inc(), 2);
  assert.equal(await actor.get(), 2);
  assert.equal((await actor.whoami()).toText(), owner.getPrincipal().toText());

  const controllers = await pic.getControllers(canisterId);
  assert.deepEqual(
    controllers.map((controller) => controller.toText()),
    [owner.getPrincipal().toText()],
  );
  assert.ok((await pic.getCyclesBalance(canisterId)) > 0);
  assert.equal((await pic.getStableMemory(canisterId)).byteLength, 0);

  await pic.upgradeCanister({ canisterId, wasm, sender: owner.getPrincipal() });
  assert.equal(await actor.get(), 2);
  assert.equal(await actor.inc(), 3);
  await pic.reinstallCode({ canisterId, wasm, sender: owner.getPrincipal() });
  assert.equal(await actor.get(), 0);
});

test('time stands still until it is moved', async (t) => {
  const pic = await instance(t);
  const before = await pic.getTime();
  await pic.advanceTime(60_000);
  await pic.tick();
  const after = await pic.getTime();
  assert.ok(after >= before + 60_000 && after < before + 61_000, `${before} → ${after}`);
});
