//! Every other encoding of a good proof is refused, though all signatures and hashes in it are good.
//!
//! A small CBOR walker rewrites a proof item by item: the same values, in each form that RFC 8949 allows
//! besides the shortest one.

use crate::network::{Network, cbor};
use indus_verify::{Fault, Malformed, Part, VerifyError};

/// One item of an encoding.
#[derive(Clone, Copy, Debug)]
struct Item {
    start: usize,
    head: usize,
    end: usize,
    major: u8,
    argument: u64,
}

/// All items of the encoding at `start`, that one first; and where it ends.
fn items(bytes: &[u8], start: usize, found: &mut Vec<Item>) -> usize {
    let initial = bytes[start];
    let (major, info) = (initial >> 5, initial & 31);
    let width = if info < 24 { 0 } else { 1 << (info - 24) };
    let head = start + 1 + width;
    let argument = match width {
        0 => u64::from(info),
        _ => bytes[start + 1..head]
            .iter()
            .fold(0, |value, byte| value << 8 | u64::from(*byte)),
    };
    let index = found.len();
    found.push(Item {
        start,
        head,
        end: head,
        major,
        argument,
    });
    let mut end = head;
    match major {
        2 | 3 => end += usize::try_from(argument).unwrap(),
        4 | 6 => {
            (0..if major == 4 { argument } else { 1 }).for_each(|_| end = items(bytes, end, found))
        }
        5 => (0..2 * argument).for_each(|_| end = items(bytes, end, found)),
        _ => {}
    }
    found[index].end = end;
    end
}

fn all_items(bytes: &[u8]) -> Vec<Item> {
    let mut found = Vec::new();
    assert_eq!(items(bytes, 0, &mut found), bytes.len());
    found
}

/// The other encodings of `bytes` that differ in one item.
fn other_forms(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    for item in all_items(bytes) {
        let with = |head: &[u8], content: &[u8], tail: &[u8]| {
            [
                &bytes[..item.start],
                head,
                content,
                tail,
                &bytes[item.end..],
            ]
            .concat()
        };
        let content = &bytes[item.head..item.end];
        for (info, width) in [(24, 1), (25, 2), (26, 4), (27, 8)] {
            if width > item.head - item.start - 1 {
                let longer = [
                    &[item.major << 5 | info],
                    &item.argument.to_be_bytes()[8 - width..],
                ]
                .concat();
                forms.push(with(&longer, content, &[]));
            }
        }
        match item.major {
            // One chunk, and no chunk before it.
            2 | 3 => forms.push(with(
                &[item.major << 5 | 31],
                &bytes[item.start..item.end],
                &[0xff],
            )),
            4 | 5 => forms.push(with(&[item.major << 5 | 31], content, &[0xff])),
            // Without the tag, and with it twice.
            6 => {
                forms.push(with(&[], content, &[]));
                forms.push(with(
                    &bytes[item.start..item.head],
                    &bytes[item.start..item.end],
                    &[],
                ));
            }
            _ => {}
        }
    }
    forms
}

/// The same value to a lenient reader.
fn same_value(bytes: &[u8], other: &[u8]) -> bool {
    let value = |bytes| serde_cbor::from_slice::<serde_cbor::Value>(bytes).ok();
    value(bytes).is_some() && value(bytes) == value(other)
}

#[test]
fn every_other_form_of_a_certificate_is_refused() {
    let network = Network::new();
    let certificate = network.certificate();
    assert!(network.verify_bytes(&certificate).is_ok());
    let forms = other_forms(&certificate);
    assert!(forms.len() > all_items(&certificate).len());
    for form in forms {
        assert!(same_value(&certificate, &form));
        let error = network.verify_bytes(&form).unwrap_err();
        assert!(
            matches!(
                error,
                VerifyError::Malformed {
                    part: Part::Certificate,
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn every_other_form_of_a_delegation_is_refused() {
    let network = Network::new();
    for form in other_forms(&network.delegation().certificate) {
        let mut delegation = network.delegation();
        delegation.certificate = form;
        let certificate = network.subnet.certify(&network.state, Some(delegation));
        let error = network.verify_bytes(&certificate).unwrap_err();
        assert!(
            matches!(
                error,
                VerifyError::Malformed {
                    part: Part::Delegation,
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn every_other_form_of_a_witness_is_refused() {
    let network = Network::new();
    let certificate = network.verify().unwrap();
    for form in other_forms(&network.witness()) {
        let error = certificate.witness(&form).unwrap_err();
        assert!(
            matches!(
                error,
                VerifyError::Malformed {
                    part: Part::Witness,
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn fields_in_another_order_missing_twice_or_unknown_are_refused() {
    let network = Network::new();
    let bytes = network.certificate();
    let items = all_items(&bytes);
    // The items of the outer map: tag, map, then a name and a value for each field.
    let fields: Vec<&[u8]> = items
        .iter()
        .filter(|item| item.major == 3)
        .take(3)
        .map(|name| {
            let value = items.iter().find(|item| item.start == name.end).unwrap();
            &bytes[name.start..value.end]
        })
        .collect();
    let map = |fields: &[&[u8]]| {
        let head = [0xd9, 0xd9, 0xf7, 0xa0 + u8::try_from(fields.len()).unwrap()];
        [&head[..], &fields.concat()].concat()
    };
    let [tree, signature, delegation] = fields[..] else {
        panic!("three fields")
    };
    assert_eq!(map(&[tree, signature, delegation]), bytes);
    let unknown: &[u8] = &[0x61, b'x', 0x40];
    for wrong in [
        &[signature, tree, delegation][..],
        &[tree, delegation, signature],
        &[delegation, tree, signature],
        &[tree],
        &[tree, delegation],
        &[tree, signature, delegation, unknown],
        &[tree, signature, unknown],
        &[tree, signature, signature],
        &[],
    ] {
        let error = network.verify_bytes(&map(wrong)).unwrap_err();
        assert!(
            matches!(
                error,
                VerifyError::Malformed {
                    part: Part::Certificate,
                    malformed: Malformed {
                        fault: Fault::Unexpected,
                        ..
                    }
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn the_walker_finds_every_item() {
    let bytes = cbor(&vec![vec![1_u32, 70_000], vec![]]);
    let majors: Vec<u8> = all_items(&bytes).iter().map(|item| item.major).collect();
    assert_eq!(majors, [6, 4, 4, 0, 0, 4]);
}
