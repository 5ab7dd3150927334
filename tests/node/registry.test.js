// What an auditor in Node does with a canister of the suite: the registry on pocket-ic, written to by signed calls, asked by
// real queries, and every answer verified offline against a root key that was pinned before.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';

import { PocketIc, PocketIcServer, SubnetStateType } from '@dfinity/pic';
import { Actor, HttpAgent } from '@icp-sdk/core/agent';
import { IDL } from '@icp-sdk/core/candid';
import { Ed25519KeyIdentity } from '@icp-sdk/core/identity';

import { program, registryModule, verifierModule } from './programs.js';

const { Audit, LogHead, Verifier } = await verifierModule();

const MAX_AGE_MS = 300_000;

const Bytes = IDL.Vec(IDL.Nat8);
const Kind = IDL.Variant({ Agency: IDL.Null });
const Profile = IDL.Record({
  slug: IDL.Text,
  name: IDL.Text,
  kind: Kind,
  parent: IDL.Opt(IDL.Nat64),
  sector: IDL.Text,
  seat: IDL.Text,
});
/** What a method answers; an error is of no interest. */
const answered = (type) => IDL.Variant({ Ok: type, Err: IDL.Reserved });
const Organisation = answered(IDL.Record({ id: IDL.Nat64, application: IDL.Opt(IDL.Nat64) }));
const Proposal = answered(IDL.Record({ id: IDL.Nat64 }));
const ProposalRecord = IDL.Variant({ V1: IDL.Record({ id: IDL.Nat64, payload: Bytes }) });
const Governor = IDL.Record({ principal: IDL.Principal, organisation: IDL.Nat64 });
const Quorum = IDL.Record({ approvals: IDL.Nat32, organisations: IDL.Nat32 });
const Init = IDL.Record({
  founders: IDL.Vec(Profile),
  governors: IDL.Vec(Governor),
  quorums: IDL.Record({ ordinary: Quorum, constitutional: Quorum }),
});
const Proven = answered(IDL.Record({ certificate: Bytes, witness: Bytes }));
const Proof = answered(IDL.Record({ hashes: IDL.Vec(Bytes) }));
const List = IDL.Record({ collection: IDL.Text, after: IDL.Opt(Bytes), limit: IDL.Nat32 });

const registryInterface = () =>
  IDL.Service({
    apply_for_organisation: IDL.Func([Profile], [Organisation], []),
    approve: IDL.Func([IDL.Record({ id: IDL.Nat64, payload_hash: Bytes })], [Proposal], []),
    certified_list: IDL.Func([List], [Proven], ['query']),
    certified_read: IDL.Func([IDL.Vec(IDL.Vec(Bytes))], [Proven], ['query']),
    log_head: IDL.Func([], [Proven], ['query']),
    log_inclusion_proof: IDL.Func(
      [IDL.Record({ index: IDL.Nat64, size: IDL.Nat64 })],
      [Proof],
      ['query'],
    ),
    log_consistency_proof: IDL.Func(
      [IDL.Record({ from: IDL.Nat64, to: IDL.Nat64 })],
      [Proof],
      ['query'],
    ),
  });

/** What a canister answered, or an error if it refused. */
function ok(answer) {
  assert.ok('Ok' in answer, 'the canister refuses');
  return answer.Ok;
}

/** `bytes` with one bit flipped. */
function flipped(bytes, at) {
  const changed = new Uint8Array(bytes);
  changed[at] ^= 1 << at % 8;
  return changed;
}

const key = (id) => new Uint8Array(new BigUint64Array([BigInt(id)]).buffer).reverse();
const sha256 = (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest());
const row = ['data', 'organisations'];
const keysOf = (page) => page.entries.map((entry) => entry.label);

const profile = (slug) => ({
  slug,
  name: slug,
  kind: { Agency: null },
  parent: [],
  sector: 'it',
  seat: 'Quetta',
});

/** The registry with a founder and three organisations, the first of them active, and how it is asked and verified. */
async function registry(t) {
  const server = await PocketIcServer.start({ binPath: program('pocket-ic') });
  const pic = await PocketIc.create(server.getUrl(), {
    nns: { state: { type: SubnetStateType.New } },
    application: [{ state: { type: SubnetStateType.New } }],
  });
  t.after(async () => {
    await pic.tearDown();
    await server.stop();
  });
  const rootKey = new Uint8Array(await pic.getPubKey((await pic.getNnsSubnet()).id));
  const [applicant, ...governors] = Array.from({ length: 3 }, () => Ed25519KeyIdentity.generate());
  const one = { approvals: 1, organisations: 1 };
  const canisterId = await pic.createCanister({
    targetSubnetId: (await pic.getApplicationSubnets())[0].id,
  });
  await pic.installCode({
    canisterId,
    wasm: registryModule(),
    arg: IDL.encode(
      [Init],
      [
        {
          founders: [profile('founder')],
          governors: governors.map((key) => ({ principal: key.getPrincipal(), organisation: 1n })),
          quorums: { ordinary: one, constitutional: one },
        },
      ],
    ),
  });
  const host = `http://127.0.0.1:${await pic.makeLive()}`;
  const agentOf = (identity) => HttpAgent.create({ host, identity, rootKey });
  const actorOf = async (identity) =>
    Actor.createActor(registryInterface, { agent: await agentOf(identity), canisterId });

  const verifier = new Verifier(rootKey);
  const verify = ({ certificate, witness }) =>
    verifier
      .certificate(certificate, canisterId.toText(), Date.now(), MAX_AGE_MS)
      .witness(witness);
  const reader = await actorOf();
  const agent = await agentOf();
  /** The Candid bytes of the blocks from `start` on. */
  const blocks = async (start, length) => {
    const range = IDL.Record({ start: IDL.Nat, length: IDL.Nat });
    const { reply } = await agent.query(canisterId, {
      methodName: 'icrc3_get_blocks',
      arg: IDL.encode([IDL.Vec(range)], [[{ start, length }]]),
    });
    return new Uint8Array(reply.arg);
  };
  const list = async (after, limit) =>
    ok(await reader.certified_list({ collection: 'organisations', after, limit }));

  const mine = await actorOf(applicant);
  for (const slug of ['first', 'second', 'third']) {
    ok(await mine.apply_for_organisation(profile(slug)));
  }
  const earlier = verify(ok(await reader.log_head())).logHead();
  const proposal = [...['data', 'proposals'].map((label) => new TextEncoder().encode(label)), key(1)];
  const read = ok(await reader.certified_read([proposal]));
  const [{ V1: certified }] = IDL.decode(
    [ProposalRecord],
    verify(read).leaf(['data', 'proposals', key(1)]),
  );
  const approval = { id: 1n, payload_hash: sha256(new Uint8Array(certified.payload)) };
  ok(await (await actorOf(governors[0])).approve(approval));
  return { reader, verify, list, blocks, earlier };
}

/** Refuses an answer with any byte of its witness changed, or any of some bytes of its certificate. */
function alone(answer, verify, use) {
  use(verify(answer));
  for (let at = 0; at < answer.witness.length; at += 1) {
    const witness = flipped(answer.witness, at);
    assert.throws(() => use(verify({ ...answer, witness })), `byte ${at} of the witness`);
  }
  // Each costs a check of a signature.
  for (let at = 0; at < answer.certificate.length; at += 41) {
    const certificate = flipped(answer.certificate, at);
    assert.throws(() => use(verify({ ...answer, certificate })), `byte ${at} of the certificate`);
  }
}

/** Refuses a proof with any byte of any hash changed, and with one hash less. */
function proves(proof, verify) {
  const hashes = proof.hashes.map((hash) => new Uint8Array(hash));
  verify(hashes);
  hashes.forEach((hash, index) => {
    for (let at = 0; at < hash.length; at += 1) {
      assert.throws(() => verify(hashes.with(index, flipped(hash, at))), /not proved/);
    }
  });
  if (hashes.length > 0) assert.throws(() => verify(hashes.slice(1)), /not proved/);
}

/** All that is said of a block, as a value that can be compared. */
const said = ({ index, hash, blockType, time, actor, details }) => ({
  index,
  hash: [...hash],
  blockType,
  time,
  actor,
  details: [...details],
});

test('whatever the registry answers is verified offline, and refused with any byte changed', async (t) => {
  const { reader, verify, list, blocks, earlier } = await registry(t);

  await t.test('pages, complete, and what is beyond them absent', async () => {
    const first = await list([key(1)], 2);
    alone(first, verify, (witness) => {
      const page = witness.entries(row, key(1));
      assert.deepEqual([keysOf(page), page.end], [[key(2), key(3)], false]);
      assert.equal(witness.logHead().size, 5n);
    });
    const rest = await list([key(3)], 2);
    alone(rest, verify, (witness) => {
      const page = witness.entries(row, key(3));
      assert.deepEqual([keysOf(page), page.end], [[key(4)], true]);
      assert.throws(() => witness.entries(row), /may be hidden/);
    });
    const path = ['data', 'organisations'].map((label) => new TextEncoder().encode(label));
    const none = ok(await reader.certified_read([[...path, key(5)]]));
    alone(none, verify, (witness) => witness.absent([...row, key(5)]));
  });

  const answer = ok(await reader.log_head());
  const witness = verify(answer);
  const head = witness.logHead();
  const entries = [];

  await t.test('the whole log, replayed page by page to the certified head', async () => {
    const audit = new Audit();
    while (audit.size < head.size) {
      entries.push(...audit.page(await blocks(audit.size, 2n), head.size));
    }
    alone(answer, verify, (witness) => assert.deepEqual(audit.check(witness).root, head.root));
    assert.deepEqual(
      entries.map((block) => block.blockType).slice(1),
      [...Array(3).fill('organisation.applied'), 'proposal.executed'],
    );
    for (const name of ['organisations', 'governors', 'proposals']) {
      assert.deepEqual(audit.collectionRoot(name), witness.subtreeHash(['data', name]));
    }
  });

  await t.test('blocks: with a byte changed they are refused, or it says nothing', async () => {
    const reply = await blocks(0n, 100n);
    const original = entries.map(said);
    let refused = 0;
    for (let at = 0; at < reply.length; at += 1) {
      const audit = new Audit();
      try {
        const read = audit.page(flipped(reply, at), head.size);
        audit.check(witness);
        // The length of the log, or a type, which nothing is taken from.
        assert.deepEqual(read.map(said), original, `byte ${at}`);
      } catch (error) {
        assert.notEqual(error.code, 'ERR_ASSERTION', error);
        refused += 1;
      }
    }
    // Each byte of each hash, type, time and event is in some hash that is certified.
    assert.ok(refused > reply.length * 0.9, `${refused} of ${reply.length}`);
  });

  await t.test('each block is proved to be in the log, and each prefix to be its beginning', async () => {
    for (const [index, { hash }] of entries.map((block, index) => [BigInt(index), block])) {
      const proof = ok(await reader.log_inclusion_proof({ index, size: head.size }));
      proves(proof, (hashes) => head.verifyInclusion(hash, index, hashes));
      assert.throws(() => head.verifyInclusion(flipped(hash, 0), index, proof.hashes), /not proved/);
    }
    const proof = ok(await reader.log_consistency_proof({ from: earlier.size, to: head.size }));
    assert.equal(earlier.size, 4n);
    proves(proof, (hashes) => head.verifyConsistency(earlier, hashes));
    const forked = new LogHead(flipped(earlier.root, 0), earlier.size);
    const hashes = proof.hashes.map((hash) => new Uint8Array(hash));
    assert.throws(() => head.verifyConsistency(forked, hashes), /not proved/);
  });
});
