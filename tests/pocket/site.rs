//! A canister that is a web site of one page, written out byte by byte.
//!
//! Its response is Candid with a hole, where the header with the certificate goes:
//!
//! ```text
//!   prefix │ length of the header │ "certificate=:" │ certificate in base64 │ ":, tree=:…" │ suffix
//! ```

use std::fmt::Write as _;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use candid::{CandidType, Encode, Principal};
use ic_certification::{HashTree, label, leaf};
use pocket_ic::PocketIc;
use serde_bytes::ByteBuf;
use sha2::{Digest as _, Sha256};

/// Says that the response of any request is to be believed.
const EXPRESSION: &str = "default_certification(ValidationArgs{no_certification:Empty{}})";
/// Stands where the header with the certificate goes. Its length takes two bytes, as the header's does.
const HOLE: usize = 1_000;

#[derive(CandidType)]
struct Response {
    status_code: u16,
    headers: Vec<(String, String)>,
    body: ByteBuf,
    upgrade: Option<bool>,
}

/// A new canister whose `http_request` answers `hello`; where it is `certified` with a proof that any response of this
/// canister is to be believed (HTTP gateway protocol specification, "response verification version 2").
pub(crate) fn site(pic: &PocketIc, certified: bool) -> Principal {
    let canister = pic.create_canister();
    pic.install_canister(canister, module(certified), vec![], None);
    canister
}

fn module(certified: bool) -> Vec<u8> {
    let mut headers = vec![(String::from("content-type"), String::from("text/plain"))];
    if certified {
        headers.push((
            String::from("ic-certificateexpression"),
            String::from(EXPRESSION),
        ));
        headers.push((String::from("ic-certificate"), "A".repeat(HOLE)));
    }
    let response = Response {
        status_code: 200,
        headers,
        body: ByteBuf::from("hello"),
        upgrade: None,
    };
    let response = Encode!(&response).unwrap();
    let text = if certified {
        certified_site(&response)
    } else {
        plain_site(&response)
    };
    wat::parse_str(text).unwrap()
}

fn plain_site(response: &[u8]) -> String {
    format!(
        r#"(module
          (import "ic0" "msg_reply" (func $reply))
          (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
          (memory 1)
          (data (i32.const 0) "{}")
          (func (export "canister_query http_request")
            (call $append (i32.const 0) (i32.const {}))
            (call $reply)))"#,
        escaped(response),
        response.len()
    )
}

fn certified_site(response: &[u8]) -> String {
    let hole = "A".repeat(HOLE).into_bytes();
    let at = response
        .windows(HOLE)
        .position(|window| window == hole)
        .unwrap();
    // Without the two bytes of the length of the hole.
    let prefix = &response[..at - 2];
    let suffix = &response[at + HOLE..];

    let hash = Sha256::digest(EXPRESSION);
    let tree: HashTree = label("http_expr", label("<*>", label(&hash[..], leaf(""))));
    let path = serde_cbor::to_vec(&["http_expr", "<*>"]).unwrap();
    let before = "certificate=:";
    let after = format!(
        ":, tree=:{}:, version=2, expr_path=:{}:",
        BASE64_STANDARD.encode(serde_cbor::to_vec(&tree).unwrap()),
        BASE64_STANDARD.encode(path)
    );

    // Each at an address of its own, with room to spare.
    let mut data = String::new();
    let texts: [(usize, &[u8]); 6] = [
        (
            0,
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        ),
        (100, &tree.digest()),
        (200, before.as_bytes()),
        (300, after.as_bytes()),
        (4_000, prefix),
        (8_000, suffix),
    ];
    for (address, bytes) in texts {
        writeln!(data, "(data (i32.const {address}) \"{}\")", escaped(bytes)).unwrap();
    }
    format!(
        r#"(module
          (import "ic0" "msg_reply" (func $reply))
          (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
          (import "ic0" "certified_data_set" (func $certify (param i32 i32)))
          (import "ic0" "data_certificate_size" (func $certificate_size (result i32)))
          (import "ic0" "data_certificate_copy" (func $certificate_copy (param i32 i32 i32)))
          (memory 3)
          {data}
          (func (export "canister_init") (call $certify (i32.const 100) (i32.const 32)))
          ;; One digit of base64: the sixth of $bits that $shift says.
          (func $digit (param $to i32) (param $bits i32) (param $shift i32)
            (i32.store8 (local.get $to)
              (i32.load8_u (i32.and (i32.shr_u (local.get $bits) (local.get $shift)) (i32.const 63)))))
          ;; The $len bytes at 65536 in base64 at 131072; returns the length. What follows the bytes is zero.
          (func $base64 (param $len i32) (result i32)
            (local $from i32) (local $to i32) (local $bits i32)
            (local.set $to (i32.const 131072))
            (block $end
              (loop $next
                (br_if $end (i32.ge_u (local.get $from) (local.get $len)))
                (local.set $bits
                  (i32.or
                    (i32.or
                      (i32.shl (i32.load8_u offset=65536 (local.get $from)) (i32.const 16))
                      (i32.shl (i32.load8_u offset=65537 (local.get $from)) (i32.const 8)))
                    (i32.load8_u offset=65538 (local.get $from))))
                (call $digit (local.get $to) (local.get $bits) (i32.const 18))
                (call $digit (i32.add (local.get $to) (i32.const 1)) (local.get $bits) (i32.const 12))
                (call $digit (i32.add (local.get $to) (i32.const 2)) (local.get $bits) (i32.const 6))
                (call $digit (i32.add (local.get $to) (i32.const 3)) (local.get $bits) (i32.const 0))
                (if (i32.ge_u (i32.add (local.get $from) (i32.const 1)) (local.get $len))
                  (then (i32.store8 offset=2 (local.get $to) (i32.const 61))))
                (if (i32.ge_u (i32.add (local.get $from) (i32.const 2)) (local.get $len))
                  (then (i32.store8 offset=3 (local.get $to) (i32.const 61))))
                (local.set $from (i32.add (local.get $from) (i32.const 3)))
                (local.set $to (i32.add (local.get $to) (i32.const 4)))
                (br $next)))
            (i32.sub (local.get $to) (i32.const 131072)))
          (func (export "canister_query http_request")
            (local $len i32) (local $header i32)
            (call $certificate_copy (i32.const 65536) (i32.const 0) (call $certificate_size))
            (local.set $len (call $base64 (call $certificate_size)))
            (local.set $header (i32.add (local.get $len) (i32.const {fixed})))
            (call $append (i32.const 4000) (i32.const {prefix}))
            ;; The length in LEB128.
            (i32.store8 (i32.const 90) (i32.or (i32.and (local.get $header) (i32.const 127)) (i32.const 128)))
            (i32.store8 (i32.const 91) (i32.shr_u (local.get $header) (i32.const 7)))
            (call $append (i32.const 90) (i32.const 2))
            (call $append (i32.const 200) (i32.const {before}))
            (call $append (i32.const 131072) (local.get $len))
            (call $append (i32.const 300) (i32.const {after}))
            (call $append (i32.const 8000) (i32.const {suffix}))
            (call $reply)))"#,
        fixed = before.len() + after.len(),
        prefix = prefix.len(),
        before = before.len(),
        after = after.len(),
        suffix = suffix.len(),
    )
}

/// Bytes as the text format writes them.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "\\{byte:02x}");
        text
    })
}
