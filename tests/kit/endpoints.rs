//! The standard endpoints: what they answer, and that nothing that is no argument of theirs harms them.

use candid::{Encode, Nat, Principal};
use indus_api::{
    CertifiedRead, Error,
    audit::{ConsistencyArgs, InclusionArgs, LogProof},
    certified::CertifiedListArgs,
    icrc3::{Archive, BlockType, GetArchivesArgs, GetBlocksArgs, Standard, TipCertificate},
    icrc21::{
        ConsentInfo, ConsentMessage, ConsentMessageMetadata, ConsentMessageRequest,
        ConsentMessageSpec, DeviceSpec, Icrc21Error,
    },
};
use indus_verify::{LogHead, log};
use pocket_ic::RejectCode;
use sample::interface::Wait;
use serde_bytes::ByteBuf;

use crate::desks::{Desks, note, person};

const ANYBODY: Principal = Principal::anonymous();

fn desks_with_notes(count: u8) -> Desks {
    let desks = Desks::new();
    for number in 1..=count {
        let args = note(&format!("note {number}"), Wait::Suite);
        desks
            .write(person(number), "post_note", &args)
            .unwrap()
            .unwrap();
    }
    desks
}

#[test]
fn the_log_is_proved_block_by_block_and_from_size_to_size() {
    let desks = desks_with_notes(3);
    let head = |desks: &Desks| -> LogHead {
        let head: Result<CertifiedRead, Error> = desks
            .query(desks.desk, ANYBODY, "log_head", Encode!().unwrap())
            .unwrap();
        desks
            .verified(desks.desk, &head.unwrap())
            .log_head()
            .unwrap()
    };
    let hashes = |proof: Result<LogProof, Error>| -> Vec<[u8; 32]> {
        let hashes = proof.unwrap().hashes;
        hashes
            .into_iter()
            .map(|hash| hash.into_vec().try_into().unwrap())
            .collect()
    };
    let before = head(&desks);
    let args = note("one more", Wait::Suite);
    desks.write(person(9), "post_note", &args).unwrap().unwrap();
    let after = head(&desks);
    assert!(before.size < after.size);
    let consistency = Encode!(&ConsistencyArgs {
        from: before.size,
        to: after.size
    })
    .unwrap();
    let proof = desks.query(desks.desk, ANYBODY, "log_consistency_proof", consistency);
    log::verify_consistency(&before, &after, &hashes(proof.unwrap())).unwrap();

    let range = Encode!(&vec![GetBlocksArgs {
        start: 0_u64.into(),
        length: 100_u64.into()
    }])
    .unwrap();
    let blocks: indus_api::icrc3::GetBlocksResult = desks
        .query(desks.desk, ANYBODY, "icrc3_get_blocks", range)
        .unwrap();
    assert_eq!(blocks.log_length, Nat::from(after.size));
    assert_eq!(blocks.blocks.len() as u64, after.size);
    for (index, block) in (0..).zip(&blocks.blocks) {
        let inclusion = Encode!(&InclusionArgs {
            index,
            size: after.size
        })
        .unwrap();
        let proof = desks.query(desks.desk, ANYBODY, "log_inclusion_proof", inclusion);
        let hash = indus_verify::icrc3::hash(&block.block);
        log::verify_inclusion(&hash, index, &hashes(proof.unwrap()), &after).unwrap();
    }

    let tip: Option<TipCertificate> = desks
        .query(
            desks.desk,
            ANYBODY,
            "icrc3_get_tip_certificate",
            Encode!().unwrap(),
        )
        .unwrap();
    let tip = tip.unwrap();
    let tip = desks.verified(
        desks.desk,
        &CertifiedRead {
            certificate: tip.certificate,
            witness: tip.hash_tree,
        },
    );
    let last = indus_verify::icrc3::hash(&blocks.blocks.last().unwrap().block);
    assert_eq!(tip.leaf(&["last_block_hash"]).unwrap(), last);
}

#[test]
fn wallets_learn_what_the_canister_keeps_to() {
    let desks = Desks::new();
    let standards: Vec<Standard> = desks
        .query(
            desks.desk,
            ANYBODY,
            "icrc10_supported_standards",
            Encode!().unwrap(),
        )
        .unwrap();
    let names: Vec<_> = standards
        .iter()
        .map(|standard| &standard.name[..])
        .collect();
    assert_eq!(names, ["ICRC-3", "ICRC-10", "ICRC-21"]);
    let types: Vec<BlockType> = desks
        .query(
            desks.desk,
            ANYBODY,
            "icrc3_supported_block_types",
            Encode!().unwrap(),
        )
        .unwrap();
    let types: Vec<_> = types.iter().map(|found| &found.block_type[..]).collect();
    for made in desks.block_types(desks.desk) {
        assert!(types.contains(&&made[..]), "{made}");
    }
    let archives: Vec<Archive> = desks
        .query(
            desks.desk,
            ANYBODY,
            "icrc3_get_archives",
            Encode!(&GetArchivesArgs { from: None }).unwrap(),
        )
        .unwrap();
    assert_eq!(archives, []);
}

#[test]
fn wallets_learn_what_a_call_would_do() {
    let desks = Desks::new();
    let ask = |method: &str, arg: Vec<u8>| -> Result<ConsentInfo, Icrc21Error> {
        let request = ConsentMessageRequest {
            method: method.into(),
            arg: ByteBuf::from(arg),
            user_preferences: ConsentMessageSpec {
                metadata: ConsentMessageMetadata {
                    language: "ur".into(),
                    utc_offset_minutes: Some(300),
                },
                device_spec: Some(DeviceSpec::GenericDisplay),
            },
        };
        desks
            .update(
                desks.desk,
                ANYBODY,
                "icrc21_canister_call_consent_message",
                Encode!(&request).unwrap(),
            )
            .unwrap()
    };
    let argument = Encode!(&note("mine", Wait::Suite)).unwrap();
    let told = ask("file_note", argument.clone()).unwrap();
    assert_eq!(told.metadata.language, "en");
    let ConsentMessage::GenericDisplayMessage(text) = told.consent_message else {
        panic!("{told:?}")
    };
    assert!(
        text.starts_with("# File a note") && text.contains("` mine `"),
        "{text}"
    );
    for (method, arg) in [
        ("file_note", b"DIDL\0\0".to_vec()),
        ("confirm_upgrade", argument),
        ("", vec![]),
    ] {
        let refused = ask(method, arg);
        assert!(
            matches!(refused, Err(Icrc21Error::UnsupportedCanisterCall(_))),
            "{refused:?}"
        );
    }
}

#[test]
fn what_is_out_of_bounds_gets_a_typed_error() {
    let desks = desks_with_notes(1);
    let list = |collection: &str, after: Option<usize>, limit| -> Error {
        let args = CertifiedListArgs {
            collection: collection.into(),
            after: after.map(|bytes| ByteBuf::from(vec![0; bytes])),
            limit,
        };
        let refused: Result<CertifiedRead, Error> = desks
            .query(
                desks.desk,
                ANYBODY,
                "certified_list",
                Encode!(&args).unwrap(),
            )
            .unwrap();
        refused.unwrap_err()
    };
    assert!(matches!(list("nothing", None, 1), Error::NotFound { .. }));
    for refused in [
        list("notes", None, 0),
        list("notes", None, 101),
        list("notes", Some(7), 1),
        list("notes", Some(0), 1),
    ] {
        assert!(matches!(refused, Error::Invalid { .. }), "{refused:?}");
    }

    let label = |bytes: &[u8]| ByteBuf::from(bytes.to_vec());
    let read = |paths: Vec<Vec<ByteBuf>>| -> Error {
        let refused: Result<CertifiedRead, Error> = desks
            .query(
                desks.desk,
                ANYBODY,
                "certified_read",
                Encode!(&paths).unwrap(),
            )
            .unwrap();
        refused.unwrap_err()
    };
    for refused in [
        read(vec![]),
        read(vec![vec![]]),
        read(vec![vec![label(b"data")]]),
        read(vec![vec![label(b"data"), label(b"notes")]]),
        read(vec![vec![label(b"http_expr"), label(b"<*>")]]),
        read(vec![vec![label(b"x"); 9]]),
        read(vec![vec![label(&[0; 65])]]),
    ] {
        assert!(matches!(refused, Error::Invalid { .. }), "{refused:?}");
    }
    let refused = read(vec![vec![label(b"log")]; 101]);
    assert!(matches!(refused, Error::LimitReached { .. }), "{refused:?}");

    let proof = |method: &str, argument: Vec<u8>| {
        let refused: Result<LogProof, Error> =
            desks.query(desks.desk, ANYBODY, method, argument).unwrap();
        let refused = refused.unwrap_err();
        assert!(matches!(refused, Error::Invalid { .. }), "{refused:?}");
    };
    for (index, size) in [(0, 0), (1, 1), (u64::MAX, 1), (0, u64::MAX)] {
        proof(
            "log_inclusion_proof",
            Encode!(&InclusionArgs { index, size }).unwrap(),
        );
    }
    for (from, to) in [(0, 1), (2, 1), (1, u64::MAX), (u64::MAX, u64::MAX)] {
        proof(
            "log_consistency_proof",
            Encode!(&ConsistencyArgs { from, to }).unwrap(),
        );
    }
    // Numbers beyond 64 bits are beyond the log.
    let far = GetBlocksArgs {
        start: Nat::from(u64::MAX) * 10_u64,
        length: Nat::from(u64::MAX) * 10_u64,
    };
    let blocks: indus_api::icrc3::GetBlocksResult = desks
        .query(
            desks.desk,
            ANYBODY,
            "icrc3_get_blocks",
            Encode!(&vec![far]).unwrap(),
        )
        .unwrap();
    assert!(blocks.blocks.is_empty());
}

#[test]
fn bytes_that_are_no_arguments_are_rejected_in_words_and_change_nothing() {
    let desks = desks_with_notes(1);
    let blocks = desks.service_info(desks.desk).blocks;
    // vec null with 100,000,000 elements
    let bomb = b"DIDL\x01\x6d\x7f\x01\x00\x80\xc2\xd7\x2f".to_vec();
    let bad = [vec![], b"DIDL".to_vec(), vec![0xff; 1_000], bomb];
    let queries = [
        "certified_read",
        "certified_list",
        "log_inclusion_proof",
        "log_consistency_proof",
        "icrc3_get_blocks",
        "icrc3_get_archives",
        "http_request",
    ];
    let updates = ["icrc21_canister_call_consent_message", "file_note", "stamp"];
    for argument in bad {
        for method in queries {
            let refused = desks
                .pic
                .query_call(desks.desk, ANYBODY, method, argument.clone())
                .expect_err(method);
            assert_eq!(refused.reject_code, RejectCode::CanisterError, "{method}");
            let words = &refused.reject_message;
            assert!(
                words.contains("see its Candid interface"),
                "{method}: {words}"
            );
        }
        for method in updates {
            let refused = desks
                .pic
                .update_call(desks.desk, person(1), method, argument.clone())
                .expect_err(method);
            let words = &refused.reject_message;
            assert!(
                words.contains("see its Candid interface"),
                "{method}: {words}"
            );
        }
    }
    desks.tick();
    assert_eq!(desks.service_info(desks.desk).blocks, blocks);
}
