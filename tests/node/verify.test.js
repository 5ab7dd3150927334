// What an auditor does: the offline verifier, as scripts/build-verifier has built it, over what canisters exported. Every
// kind of proof is verified, and refused with one thing changed.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';

import { IDL } from '@icp-sdk/core/candid';

import { verifierModule } from './programs.js';

const { Audit, LogHead, Verifier } = await verifierModule();

const MAX_AGE_MS = 300_000;

/** A recorded export: from the registry on a localnet, or from the canister of the verifier's own tests. */
function recorded(folder) {
  const file = (name) =>
    new Uint8Array(
      readFileSync(resolve(import.meta.dirname, '../../crates/verify/tests', folder, name)),
    );
  const meta = JSON.parse(Buffer.from(file('meta.json')));
  const rootKey = file('root_key.der');
  const certificate = file('certificate.cbor');
  const now = Number(BigInt(meta.time_ns) / 1_000_000n);
  return {
    file,
    meta,
    rootKey,
    certificate,
    witness: file('witness.cbor'),
    now,
    verify: (bytes = certificate, key = rootKey, at = now) =>
      new Verifier(key).certificate(bytes, meta.canister, at, MAX_AGE_MS),
  };
}

const registry = recorded('fixtures/registry');
const exported = recorded('export');

const utf8 = (text) => new TextEncoder().encode(text);
const seat = (number) => ['data', 'seats', new Uint8Array([0, number])];

/** `bytes` with one bit flipped. */
function flipped(bytes, at) {
  const changed = new Uint8Array(bytes);
  changed[at] ^= 1 << at % 8;
  return changed;
}

/** An error with one line that says why. */
function refused(action, reason) {
  assert.throws(action, (error) => {
    assert.ok(error instanceof Error);
    assert.match(error.message, /^[^\n]+$/);
    assert.match(error.message, reason);
    return true;
  });
}

const sha256 = (...parts) =>
  new Uint8Array(parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest());

/** RFC 9162, 2.1.1: the root of a tree over entries. */
function root(entries) {
  if (entries.length === 0) return sha256();
  if (entries.length === 1) return sha256(new Uint8Array([0]), entries[0]);
  const split = half(entries.length);
  return sha256(new Uint8Array([1]), root(entries.slice(0, split)), root(entries.slice(split)));
}

/** The greatest power of two below a size. */
const half = (size) => 2 ** Math.ceil(Math.log2(size) - 1);

/** RFC 9162, 2.1.3.1. */
function inclusion(index, entries) {
  if (entries.length === 1) return [];
  const split = half(entries.length);
  const [left, right] = [entries.slice(0, split), entries.slice(split)];
  return index < split
    ? [...inclusion(index, left), root(right)]
    : [...inclusion(index - split, right), root(left)];
}

/** RFC 9162, 2.1.4.1. */
function consistency(size, entries, whole = true) {
  if (size === entries.length) return whole ? [] : [root(entries)];
  const split = half(entries.length);
  const [left, right] = [entries.slice(0, split), entries.slice(split)];
  return size <= split
    ? [...consistency(size, left, whole), root(right)]
    : [...consistency(size - split, right, false), root(left)];
}

test('a record that a registry exported is verified, and refused with any byte changed', () => {
  const certificate = registry.verify();
  assert.equal(certificate.canister, registry.meta.canister);
  // It was recorded shortly after.
  const age = BigInt(registry.meta.time_ns) - certificate.time;
  assert.ok(age >= 0n && age < 1_000_000_000n);
  const path = registry.meta.path.map((label) => new Uint8Array(Buffer.from(label, 'hex')));
  const leaf = certificate.witness(registry.witness).leaf(path);
  assert.equal(Buffer.from(leaf.slice(0, 4)).toString(), 'DIDL');
  for (let at = 0; at < registry.witness.length; at += 1) {
    refused(() => certificate.witness(flipped(registry.witness, at)), /witness/);
  }
  // Each costs a check of a signature.
  for (let at = 0; at < registry.certificate.length; at += 41) {
    refused(() => registry.verify(flipped(registry.certificate, at)), /./);
  }
});

test('another root key, another canister and another time are refused', () => {
  refused(() => registry.verify(registry.certificate, exported.rootKey), /not signed by the key/);
  refused(() => new Verifier(flipped(registry.rootKey, 3)), /root key/);
  const verifier = new Verifier(registry.rootKey);
  const verify = (canister, now, age) =>
    verifier.certificate(registry.certificate, canister, now, age);
  refused(() => verify('aaaaa-aa', registry.now, MAX_AGE_MS), /not in the ranges/);
  refused(() => verify('not an id', registry.now, MAX_AGE_MS), /./);
  refused(() => verify(registry.meta.canister, registry.now + MAX_AGE_MS + 1, MAX_AGE_MS), /ago/);
  refused(() => verify(registry.meta.canister, registry.now - 301_000, MAX_AGE_MS), /ahead/);
  for (const number of [NaN, -1, Infinity]) {
    refused(() => verify(registry.meta.canister, number, MAX_AGE_MS), /milliseconds/);
    refused(() => verify(registry.meta.canister, registry.now, number), /milliseconds/);
  }
});

test('presence and absence are proved, and neither of what is hidden', () => {
  const witness = exported.verify().witness(exported.witness);
  assert.deepEqual(witness.leaf(seat(35)), utf8('moved'));
  witness.absent(seat(30));
  witness.absent(['sig']);
  refused(() => witness.absent(seat(35)), /present/);
  refused(() => witness.leaf(seat(30)), /absent/);
  refused(() => witness.absent(seat(70)), /nothing is proved/);
  refused(() => witness.leaf(seat(70)), /nothing is proved/);
  refused(() => witness.leaf(['data', 5]), /neither a string nor a Uint8Array/);
  refused(() => witness.absent([[1]]), /neither a string nor a Uint8Array/);
});

test('a page is proved to be without a gap', () => {
  const witness = exported.verify().witness(exported.witness);
  const row = ['data', 'seats'];
  const [twenty, forty] = [20, 40].map((number) => new Uint8Array([0, number]));
  const page = witness.entries(row, twenty);
  assert.deepEqual(
    page.entries.map((entry) => [...entry.label]),
    [
      [0, 35],
      [0, 40],
    ],
  );
  assert.deepEqual(page.entries[0].leaf, utf8('moved'));
  assert.equal(page.entries[0].hash.length, 32);
  assert.equal(page.end, false);
  assert.equal(witness.entries(row, twenty, forty).entries.length, 2);
  refused(() => witness.entries(row), /may be hidden/);
  refused(() => witness.entries(row, new Uint8Array([0, 10])), /may be hidden/);
  refused(() => witness.entries(row, twenty, new Uint8Array([0, 41])), /may be hidden/);
  const names = witness.entries(['data']);
  assert.equal(names.end, true);
  assert.deepEqual(names.entries[0].hash, witness.subtreeHash(['data', 'grants']));
  assert.equal(names.entries[0].leaf, undefined);
});

test('a log is audited against what was certified, and no other log is', () => {
  const witness = exported.verify().witness(exported.witness);
  const head = witness.logHead();
  const blocks = exported.file('blocks.candid');
  const audit = new Audit();
  const said = audit.page(blocks, head.size);
  assert.equal(audit.size, head.size);
  assert.equal(said[3].index, 3n);
  assert.equal(said[3].blockType, 'seat.granted');
  assert.equal(said[3].actor, '2vxsx-fae');
  assert.deepEqual(said[3].details, utf8('details'));
  assert.ok(said[3].time >= said[2].time);
  assert.deepEqual(audit.collectionRoot('seats'), witness.subtreeHash(['data', 'seats']));
  assert.deepEqual(audit.check(witness).root, head.root);

  const shorter = new Audit();
  shorter.page(blocks, head.size - 1n);
  refused(() => shorter.check(witness), /has 11 blocks, and 10 were given/);
  refused(() => shorter.page(blocks, head.size), /block 0: block 10 comes next/);
  refused(() => new Audit().page(blocks.slice(0, -1), head.size), /can't be read/);
  // Every byte of the first block's hash, which the second one names.
  const hash = Buffer.from(said[0].hash);
  const named = Buffer.from(blocks).indexOf(hash);
  assert.ok(named > 0);
  for (let at = named; at < named + hash.length; at += 1) {
    const other = new Audit();
    refused(() => other.page(flipped(blocks, at), head.size), /^block 1: it does not follow/);
    assert.equal(other.size, 1n);
  }
  // The last block's event: no later block names it, but the certified head does.
  const last = Buffer.from(blocks).lastIndexOf(Buffer.from('details'));
  const other = new Audit();
  other.page(flipped(blocks, last), head.size);
  refused(() => other.check(witness), /not those of the certified log/);
});

test('entries and prefixes of a log are proved, and refused with any hash changed', () => {
  const head = exported.verify().witness(exported.witness).logHead();
  const entries = new Audit()
    .page(exported.file('blocks.candid'), head.size)
    .map((block) => block.hash);
  assert.deepEqual(head.root, root(entries));
  /** Refuses `proof` with one bit of one hash changed, one hash less and one more. */
  const alone = (proof, verify) => {
    verify(proof);
    for (let index = 0; index < proof.length; index += 1) {
      for (let at = 0; at < 32; at += 1) {
        refused(() => verify(proof.with(index, flipped(proof[index], at))), /not proved/);
      }
    }
    refused(() => verify([...proof, entries[0]]), /not proved/);
    if (proof.length > 0) refused(() => verify(proof.slice(1)), /not proved/);
    refused(() => verify([...proof, new Uint8Array(31)]), /32 bytes/);
    refused(() => verify([...proof, 'hash']), /32 bytes/);
  };
  entries.forEach((entry, index) => {
    alone(inclusion(index, entries), (proof) => head.verifyInclusion(entry, BigInt(index), proof));
  });
  for (let size = 0; size <= entries.length; size += 1) {
    const earlier = new LogHead(root(entries.slice(0, size)), BigInt(size));
    const proof = size === 0 ? [] : consistency(size, entries);
    alone(proof, (proof) => head.verifyConsistency(earlier, proof));
  }
});

test('a value inside of very many others is refused, and the next page is read', () => {
  const value = IDL.Rec();
  value.fill(IDL.Variant({ Array: IDL.Vec(value), Nat: IDL.Nat }));
  const reply = IDL.Record({
    log_length: IDL.Nat,
    blocks: IDL.Vec(IDL.Record({ id: IDL.Nat, block: value })),
    archived_blocks: IDL.Vec(IDL.Empty),
  });
  // What one array around a value adds to the bytes is added a hundred thousand times.
  const pages = (type, page) => {
    const encoded = (value) => new Uint8Array(IDL.encode([type], [page(value)]));
    const [plain, inArray] = [encoded({ Nat: 42n }), encoded({ Array: [{ Nat: 42n }] })];
    const at = inArray.findIndex((byte, index) => byte !== plain[index]);
    const added = inArray.slice(at, at + inArray.length - plain.length);
    const more = Array.from({ length: 100_000 }, () => added);
    return [plain, inArray, Buffer.concat([inArray.slice(0, at), ...more, inArray.slice(at)])];
  };
  const [plain, inArray, deep] = pages(reply, (block) => ({
    log_length: 1n,
    blocks: [{ id: 0n, block }],
    archived_blocks: [],
  }));
  // The same in a field that nobody asked for.
  const unasked = IDL.Record({ blocks: IDL.Vec(IDL.Empty), unasked: value });
  const [, , skipped] = pages(unasked, (unasked) => ({ blocks: [], unasked }));
  for (const bytes of [plain, inArray, deep, skipped]) {
    refused(() => new Audit().page(bytes, 1n), /can't be read/);
  }
  assert.equal(new Audit().page(exported.file('blocks.candid'), 11n).length, 11);
});
