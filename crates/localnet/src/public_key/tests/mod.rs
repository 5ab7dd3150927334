//! Every scheme signs here with other code than checks it: the curves' own crates, and certificates built by hand.

pub(crate) mod certificate;
pub(crate) mod signer;

use std::sync::LazyLock;

use proptest::prelude::*;

use self::{
    certificate::{CANISTER, Network, Shape},
    signer::Signer,
};
use super::{der::write, *};

const MESSAGE: &[u8] = b"\x0Aic-request and thirty-two bytes of a hash";

static ROOT: LazyLock<RootKey> = LazyLock::new(|| Network::new(1).root_key());

fn check(key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
    PublicKey::from_der(key)?.verify(message, signature, &ROOT)
}

#[test]
fn what_a_key_of_each_scheme_signs_verifies() {
    for signer in Signer::one_of_each() {
        let signature = signer.sign(MESSAGE);
        assert_eq!(
            check(&signer.der(), MESSAGE, &signature),
            Ok(()),
            "{signer:?}"
        );
    }
}

#[test]
fn another_message_does_not_verify() {
    for signer in Signer::one_of_each() {
        let signature = signer.sign(MESSAGE);
        assert!(
            check(&signer.der(), b"another", &signature).is_err(),
            "{signer:?}"
        );
        assert!(check(&signer.der(), b"", &signature).is_err(), "{signer:?}");
    }
}

#[test]
fn a_signature_by_another_key_does_not_verify() {
    for (signer, other) in Signer::one_of_each().into_iter().zip(Signer::others()) {
        assert!(
            check(&other.der(), MESSAGE, &signer.sign(MESSAGE)).is_err(),
            "{signer:?}"
        );
    }
}

#[test]
fn no_signature_is_one_of_another_scheme() {
    let signers = Signer::one_of_each();
    for (at, signer) in signers.iter().enumerate() {
        let signature = signer.sign(MESSAGE);
        for (other, key) in signers.iter().enumerate() {
            let verified = check(&key.der(), MESSAGE, &signature).is_ok();
            assert_eq!(verified, at == other, "{signer:?} {key:?}");
        }
    }
}

#[test]
fn no_byte_of_a_signature_can_be_changed() {
    for signer in Signer::one_of_each() {
        let (key, signature) = (signer.der(), signer.sign(MESSAGE));
        for at in 0..signature.len() {
            for flip in [0x01, 0x80] {
                let mut changed = signature.clone();
                changed[at] ^= flip;
                assert!(
                    check(&key, MESSAGE, &changed).is_err(),
                    "{signer:?} {at} {flip}"
                );
            }
        }
    }
}

#[test]
fn no_byte_of_a_key_can_be_changed() {
    for signer in Signer::one_of_each() {
        let (key, signature) = (signer.der(), signer.sign(MESSAGE));
        for at in 0..key.len() {
            for flip in [0x01, 0x80] {
                let mut changed = key.clone();
                changed[at] ^= flip;
                assert!(
                    check(&changed, MESSAGE, &signature).is_err(),
                    "{signer:?} {at} {flip}"
                );
            }
        }
    }
}

#[test]
fn keys_and_signatures_that_are_cut_or_longer_are_refused() {
    for signer in Signer::one_of_each() {
        let (key, signature) = (signer.der(), signer.sign(MESSAGE));
        for len in 0..key.len() {
            assert!(
                check(&key[..len], MESSAGE, &signature).is_err(),
                "{signer:?} {len}"
            );
        }
        for len in 0..signature.len() {
            assert!(
                check(&key, MESSAGE, &signature[..len]).is_err(),
                "{signer:?} {len}"
            );
        }
        assert!(check(&[key.clone(), vec![0]].concat(), MESSAGE, &signature).is_err());
        assert!(check(&key, MESSAGE, &[signature, vec![0]].concat()).is_err());
    }
}

#[test]
fn lengths_are_checked_before_anything_is_computed() {
    let key = write(der::CANISTER, &vec![0; MAX_KEY]);
    assert_eq!(PublicKey::from_der(&key).unwrap_err(), KeyError::TooLong);
    for signer in Signer::one_of_each() {
        assert!(matches!(
            check(&signer.der(), MESSAGE, &vec![0xd9; MAX_SIGNATURE + 1]),
            Err(KeyError::MalformedSignature { .. })
        ));
    }
}

#[test]
fn keys_of_other_schemes_are_refused() {
    // X25519, RSA without a COSE wrapping, BLS.
    for algorithm in [
        "06032b656e",
        "06092a864886f70d0101010500",
        "060d2b0601040182dc7c0503010201060c2b0601040182dc7c05030201",
    ] {
        let key = write(&hex::decode(algorithm).unwrap(), &[1; 32]);
        assert_eq!(
            PublicKey::from_der(&key).unwrap_err(),
            KeyError::UnknownScheme
        );
    }
}

#[test]
fn a_point_in_compressed_form_is_refused() {
    let secp256k1 = ic_secp256k1::PrivateKey::generate_from_seed(b"1").public_key();
    let p256 = signer::p256(1).public_key();
    for (algorithm, point) in [
        (der::SECP256K1, secp256k1.serialize_sec1(true)),
        (der::P256, p256.serialize_sec1(true)),
    ] {
        assert!(PublicKey::from_der(&write(algorithm, &point)).is_err());
    }
}

#[test]
fn both_signs_of_s_verify_on_both_curves() {
    let orders = [
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
        "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
    ];
    let signers = [Signer::secp256k1(1), Signer::P256(signer::p256(1))];
    for (signer, order) in signers.into_iter().zip(orders) {
        let signature = signer.sign(MESSAGE);
        let mut other = signature.clone();
        let mut borrow = 0_i16;
        for (at, digit) in hex::decode(order).unwrap().into_iter().enumerate().rev() {
            let difference = i16::from(digit) - i16::from(signature[32 + at]) - borrow;
            borrow = i16::from(difference < 0);
            other[32 + at] = u8::try_from(difference.rem_euclid(256)).unwrap();
        }
        assert_ne!(signature, other);
        assert_eq!(check(&signer.der(), MESSAGE, &other), Ok(()), "{signer:?}");
    }
}

#[test]
fn the_webauthn_key_of_the_specification_is_read() {
    let key = "305e300c060a2b0601040183b8430101034e00a50102032620012158207ffd83632072fd1bfeaf3fbaa43146e0\
               ef95c3f55e3994a41bbf2b5174d771da22582032497eed0a7f6f000928765b8318162cfd80a94e525a6a368c2363\
               063d04e6ed";
    assert!(PublicKey::from_der(&hex::decode(key).unwrap()).is_ok());
}

#[test]
fn an_assertion_may_differ_in_what_the_subnet_does_not_look_at() {
    for signer in [Signer::Es256(signer::p256(1)), Signer::Rs256] {
        let challenge = signer::challenge(MESSAGE);
        for client_data in [
            format!(r#"{{"challenge":"{challenge}"}}"#),
            format!(r#"{{"challenge":"{challenge}=","type":"webauthn.create"}}"#),
            format!(
                r#"{{"crossOrigin":true,"challenge":"{challenge}","origin":"https://elsewhere.example"}}"#
            ),
        ] {
            let signature = signer.assert(&client_data);
            assert_eq!(
                check(&signer.der(), MESSAGE, &signature),
                Ok(()),
                "{client_data}"
            );
        }
    }
}

#[test]
fn an_assertion_of_another_challenge_is_refused() {
    let signer = Signer::Es256(signer::p256(1));
    let other = signer::challenge(b"another");
    for client_data in [
        format!(r#"{{"challenge":"{other}"}}"#),
        r#"{"challenge":""}"#.to_owned(),
    ] {
        let signature = signer.assert(&client_data);
        assert_eq!(
            check(&signer.der(), MESSAGE, &signature),
            Err(KeyError::WrongChallenge)
        );
    }
    let right = signer::challenge(MESSAGE);
    for client_data in [
        String::new(),
        "[]".to_owned(),
        r#"{"type":"webauthn.get"}"#.to_owned(),
        format!(r#"{{"challenge":"{right}","challenge":"{right}"}}"#),
        format!(r#"{{"challenge":"{right}"}}x"#),
        format!(r#"{}{{"challenge":"{right}"}}"#, "[".repeat(10_000)),
    ] {
        assert!(matches!(
            check(&signer.der(), MESSAGE, &signer.assert(&client_data)),
            Err(KeyError::MalformedSignature { .. })
        ));
    }
}

#[test]
fn rsa_keys_have_2048_to_8192_bits_and_a_small_odd_exponent() {
    let read = |bytes: usize, top: u8, low: u8, exponent: &[u8]| {
        let mut modulus = vec![0x55; bytes];
        modulus[0] = top;
        *modulus.last_mut().unwrap() = low;
        PublicKey::from_der(&write(der::WEBAUTHN, &signer::cose_rsa(&modulus, exponent)))
    };
    assert!(read(256, 0x80, 1, &[1, 0, 1]).is_ok());
    assert!(read(1_024, 0xff, 1, &[3]).is_ok());
    assert!(read(256, 0x7f, 1, &[3]).is_err(), "2,047 bits");
    assert!(read(1_025, 0x01, 1, &[3]).is_err(), "8,193 bits");
    assert!(read(1_100, 0x01, 1, &[3]).is_err());
    assert!(read(256, 0x80, 2, &[3]).is_err(), "an even modulus");
    assert!(read(256, 0x80, 1, &[1, 0, 0]).is_err(), "an even exponent");
    assert!(read(256, 0x80, 1, &[1]).is_err());
    assert!(read(256, 0x80, 1, &[]).is_err());
    assert!(read(256, 0x80, 1, &[0xff; 8]).is_err());
    assert!(read(256, 0x80, 1, &[0xff; 9]).is_err());
}

#[test]
fn a_canister_signs_with_any_certificate_that_goes_back_to_the_root_key() {
    let network = Network::new(1);
    for seed in [0, 1, 200, 1_900] {
        let seed = vec![9; seed];
        for shape in [Shape::Root, Shape::Delegated, Shape::DelegatedOldRanges] {
            let signature = network.sign(shape, &seed, MESSAGE);
            assert_eq!(
                check(&certificate::key(CANISTER, &seed), MESSAGE, &signature),
                Ok(()),
                "{shape:?}, a seed of {} bytes",
                seed.len()
            );
        }
    }
}

#[test]
fn a_canister_signature_with_any_part_of_it_wrong_is_refused() {
    let network = Network::new(1);
    let key = certificate::key(CANISTER, b"seed");
    for shape in [
        Shape::OutsideOfRanges,
        Shape::NestedDelegation,
        Shape::DelegationByItself,
        Shape::OtherData,
        Shape::ValueInTree,
        Shape::PrunedTree,
        Shape::Untagged,
    ] {
        let signature = network.sign(shape, b"seed", MESSAGE);
        assert!(
            matches!(
                check(&key, MESSAGE, &signature),
                Err(KeyError::WrongCanisterSignature(_))
            ),
            "{shape:?}"
        );
    }
    let signature = network.sign(Shape::Delegated, b"seed", MESSAGE);
    for other in [
        certificate::key(CANISTER, b"another seed"),
        certificate::key(certificate::NEIGHBOUR, b"seed"),
    ] {
        assert!(check(&other, MESSAGE, &signature).is_err());
    }
    let elsewhere = Network::new(2).sign(Shape::Delegated, b"seed", MESSAGE);
    assert!(check(&key, MESSAGE, &elsewhere).is_err());
}

#[test]
fn a_tree_as_deep_as_a_signature_is_long_is_refused() {
    let tree = [[0x83, 0x01].repeat(20_000), vec![0x81, 0x00]].concat();
    let signature = [
        &hex::decode("d9d9f7a26b6365727469666963617465").unwrap()[..],
        &[0x40, 0x64],
        b"tree",
        &tree,
    ];
    let key = certificate::key(CANISTER, b"");
    assert!(check(&key, MESSAGE, &signature.concat()).is_err());
}

proptest! {
    #[test]
    fn arbitrary_keys_and_signatures_never_panic(key: Vec<u8>, signature: Vec<u8>, scheme in 0..5_usize) {
        let algorithm = [der::ED25519, der::SECP256K1, der::P256, der::WEBAUTHN, der::CANISTER][scheme];
        prop_assert!(PublicKey::from_der(&key).is_err());
        let framed = write(algorithm, &key);
        let _ = PublicKey::from_der(&framed).map(|key| key.verify(MESSAGE, &signature, &RootKey::new(&[])));
        let signer = &Signer::one_of_each()[scheme];
        prop_assert!(check(&signer.der(), MESSAGE, &signature).is_err());
    }
}
