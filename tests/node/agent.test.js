// What a web application does: the agent of @icp-sdk/core, with verification on, against localnet.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Actor, CanisterStatus, HttpAgent } from '@icp-sdk/core/agent';
import { DelegationChain, DelegationIdentity, Ed25519KeyIdentity, ECDSAKeyIdentity } from '@icp-sdk/core/identity';
import { Secp256k1KeyIdentity } from '@icp-sdk/core/identity/secp256k1';
import { Principal } from '@icp-sdk/core/principal';

import { counterInterface, counterModule, localnet } from './programs.js';

const management = ({ IDL }) => {
  const mode = IDL.Variant({
    install: IDL.Null,
    upgrade: IDL.Opt(IDL.Record({ skip_pre_upgrade: IDL.Opt(IDL.Bool) })),
  });
  return IDL.Service({
    provisional_create_canister_with_cycles: IDL.Func(
      [IDL.Record({ amount: IDL.Opt(IDL.Nat) })],
      [IDL.Record({ canister_id: IDL.Principal })],
      [],
    ),
    install_code: IDL.Func(
      [
        IDL.Record({
          mode,
          canister_id: IDL.Principal,
          wasm_module: IDL.Vec(IDL.Nat8),
          arg: IDL.Vec(IDL.Nat8),
        }),
      ],
      [],
      [],
    ),
  });
};

/** An agent that trusts the pinned key alone and verifies the answers to queries. */
function agentOf(network, identity) {
  return HttpAgent.create({
    host: network.host,
    rootKey: network.rootKey,
    identity,
    verifyQuerySignatures: true,
  });
}

/** The management canister, for what concerns one canister. */
function managementOf(agent, canister) {
  return Actor.createActor(management, {
    agent,
    canisterId: Principal.managementCanister(),
    effectiveCanisterId: Principal.from(canister),
  });
}

async function create(network, agent) {
  const { canister_id } = await managementOf(
    agent,
    network.anyCanister,
  ).provisional_create_canister_with_cycles({ amount: [] });
  return canister_id;
}

/** Every scheme that the library signs with, and a session that another key delegates to. */
async function identities() {
  const owner = Ed25519KeyIdentity.generate();
  const session = await ECDSAKeyIdentity.generate();
  const chain = await DelegationChain.create(
    owner,
    session.getPublicKey(),
    new Date(Date.now() + 600_000),
  );
  return {
    'an Ed25519 key': owner,
    'a secp256k1 key': Secp256k1KeyIdentity.generate(),
    'a P-256 key': await ECDSAKeyIdentity.generate(),
    'a delegated session': DelegationIdentity.fromDelegation(session, chain),
  };
}

test('a canister is created, installed, called, queried, read and upgraded', async (t) => {
  const network = await localnet(t);
  const module = counterModule(t);
  for (const [name, identity] of Object.entries(await identities())) {
    await t.test(`with ${name}`, async () => {
      const agent = await agentOf(network, identity);
      const canister = await create(network, agent);
      const code = { canister_id: canister, wasm_module: module, arg: new Uint8Array() };
      await managementOf(agent, canister).install_code({ mode: { install: null }, ...code });

      const counter = Actor.createActor(counterInterface, { agent, canisterId: canister });
      assert.equal(await counter.inc(), 1);
      assert.equal(await counter.inc(), 2);
      assert.equal(await counter.get(), 2);
      assert.equal((await counter.whoami()).toText(), identity.getPrincipal().toText());

      const read = await CanisterStatus.request({
        agent,
        canisterId: canister,
        paths: ['time', 'controllers', 'module_hash'],
      });
      assert.deepEqual(
        read.get('controllers').map((controller) => controller.toText()),
        [identity.getPrincipal().toText()],
      );
      const digest = await crypto.subtle.digest('SHA-256', module);
      assert.equal(read.get('module_hash'), Buffer.from(digest).toString('hex'));
      assert.ok(Math.abs(read.get('time').getTime() - Date.now()) < 60_000);

      await managementOf(agent, canister).install_code({ mode: { upgrade: [] }, ...code });
      assert.equal(await counter.get(), 2);
      assert.equal(await counter.inc(), 3);
    });
  }
});

test('the time is read at a canister that does not exist', async (t) => {
  const network = await localnet(t);
  const agent = await agentOf(network, Ed25519KeyIdentity.generate());
  await agent.syncTime();
  await agent.syncTime(Principal.from(network.anyCanister));
});

test('an agent with another root key believes nothing', async (t) => {
  const network = await localnet(t);
  const other = await localnet(t);
  const agent = await agentOf({ ...network, rootKey: other.rootKey }, Ed25519KeyIdentity.generate());
  await assert.rejects(create(network, agent));
});
