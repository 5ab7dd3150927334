//! Key packages, alone and in an Add.

use indus_mls::{KeyPackage, LeafNodeSource, MlsError};
use openmls::prelude::{Capabilities, Lifetime, MlsGroup};

use crate::{
    support::{Bundle, Party, Service, bytes, now, sign},
    wrong::three::{Three, add, group_info, read_group_info, without_path},
};

#[test]
fn key_packages_that_arent_valid() {
    let party = Party::new("dora");
    let at = |not_before, not_after| {
        let builder = openmls::prelude::KeyPackage::builder()
            .key_package_lifetime(Lifetime::init(not_before, not_after));
        let message = bytes(party.key_package_by(builder).into());
        KeyPackage::from_message(&message, 1_000_000).map(|_| ())
    };
    assert_eq!(at(1_000_000, 1_000_000), Ok(()));
    assert_eq!(at(0, 999_999), Err(MlsError::Expired));
    assert_eq!(at(1_000_001, 1_000_002), Err(MlsError::NotYetValid));
    assert_eq!(at(2_000_000, 1_000_000), Err(MlsError::Lifetime));
    let longest = 84 * 24 * 3600 + 3600;
    assert_eq!(at(0, longest), Ok(()));
    assert_eq!(at(0, longest + 1), Err(MlsError::Lifetime));
    assert_eq!(at(0, u64::MAX), Err(MlsError::Lifetime));

    let message = bytes(party.key_package().into());
    let read = |message: &[u8]| KeyPackage::from_message(message, now()).map(|_| ());
    assert_eq!(read(&message), Ok(()));
    let changed = |at: usize, value: u8| {
        let mut message = message.clone();
        message[at] = value;
        read(&message)
    };
    assert_eq!(changed(1, 2), Err(MlsError::Version(2)));
    assert_eq!(changed(5, 2), Err(MlsError::Version(2)));
    assert_eq!(changed(7, 3), Err(MlsError::CipherSuite(3)));
    assert!(matches!(
        changed(3, 4),
        Err(MlsError::WireFormat { found: 4, .. })
    ));
    let last = message.len() - 1;
    assert_eq!(
        changed(last, message[last] ^ 0x80),
        Err(MlsError::Signature("key package"))
    );
    assert_eq!(
        read(&[&message[..], &[0]].concat()),
        Err(MlsError::TrailingBytes("a key package"))
    );
    assert_eq!(read(&message[..last]), Err(MlsError::Truncated));
    // The init key's length in two bytes.
    let longer = [&message[..8], &[0x40], &message[8..]].concat();
    assert_eq!(read(&longer), Err(MlsError::NotShortest));
}

#[test]
fn key_packages_that_are_signed_and_still_not_valid() {
    let party = Party::new("dora");
    let valid = KeyPackage::from_message(&bytes(party.key_package().into()), now()).unwrap();
    let refused = |change: &dyn Fn(&mut KeyPackage)| {
        let mut key_package = valid.clone();
        change(&mut key_package);
        let leaf = key_package.leaf_node.to_bytes();
        let unsigned = &leaf[..leaf.len() - 66];
        let signature = sign(&party.key, "LeafNodeTBS", unsigned);
        key_package.leaf_node.signature = signature[2..].try_into().unwrap();
        let whole = key_package.to_bytes();
        let signature = sign(&party.key, "KeyPackageTBS", &whole[..whole.len() - 66]);
        key_package.signature = signature[2..].try_into().unwrap();
        KeyPackage::from_bytes(&key_package.to_bytes())
            .unwrap()
            .validate(now())
    };
    assert_eq!(refused(&|_| {}), Ok(()));
    assert_eq!(
        refused(&|key_package| key_package.init_key = key_package.leaf_node.encryption_key),
        Err(MlsError::InitKey)
    );
    assert_eq!(
        refused(&|key_package| key_package.leaf_node.source = LeafNodeSource::Update),
        Err(MlsError::LeafNodeSource("key_package"))
    );
    assert_eq!(
        refused(&|key_package| key_package.leaf_node.capabilities.credentials.clear()),
        Err(MlsError::Capability {
            what: "credential",
            value: 1
        })
    );
    assert_eq!(
        refused(&|key_package| key_package.leaf_node.capabilities.versions.clear()),
        Err(MlsError::Capability {
            what: "version",
            value: 1
        })
    );
}

#[test]
fn an_added_key_package_that_isnt_valid() {
    let mut three = Three::new();
    let bundle = three.update(1);
    let dora = Party::new("dora");
    let expired = dora.key_package_by(
        openmls::prelude::KeyPackage::builder().key_package_lifetime(Lifetime::init(0, 1000)),
    );
    let commit = without_path(&[add(&expired)]);
    let forged = three.forged(&bundle, &three.parties[1].key, |parts| {
        parts.commit = commit
    });
    assert_eq!(three.refused(&forged), MlsError::Expired);
    // Of another suite: its number is in the key package.
    let mut other = add(&dora.key_package());
    other[6] = 3;
    let commit = without_path(&[other]);
    let forged = three.forged(&bundle, &three.parties[1].key, |parts| {
        parts.commit = commit
    });
    assert_eq!(three.refused(&forged), MlsError::CipherSuite(3));
    let bare = dora.key_package_by(
        openmls::prelude::KeyPackage::builder().leaf_node_capabilities(Capabilities::new(
            None,
            Some(&[]),
            None,
            None,
            None,
        )),
    );
    let commit = without_path(&[add(&bare)]);
    let forged = three.forged(&bundle, &three.parties[1].key, |parts| {
        parts.commit = commit
    });
    assert!(matches!(
        three.refused(&forged),
        MlsError::Capability {
            what: "cipher suite",
            ..
        }
    ));
}

#[test]
fn a_member_that_lacks_what_its_group_requires() {
    use openmls::prelude::{
        Extension, ExtensionType, Extensions, MlsGroupCreateConfig, OpenMlsProvider,
        PURE_PLAINTEXT_WIRE_FORMAT_POLICY, RequiredCapabilitiesExtension,
    };
    const REQUIRED: u16 = 0xf042;
    let required = [ExtensionType::Unknown(REQUIRED)];
    let capable = || Capabilities::new(None, None, Some(&required), None, None);
    let config = MlsGroupCreateConfig::builder()
        .ciphersuite(crate::support::SUITE)
        .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .capabilities(capable())
        .with_group_context_extensions(
            Extensions::single(Extension::RequiredCapabilities(
                RequiredCapabilitiesExtension::new(&required, &[], &[]),
            ))
            .unwrap(),
        )
        .build();
    let [anna, ben, cleo] = ["anna", "ben", "cleo"].map(Party::new);
    let mut group = MlsGroup::new(
        &anna.provider,
        &anna.signer,
        &config,
        anna.credential.clone(),
    )
    .unwrap();
    let service = Service::create(
        &group
            .export_group_info(anna.provider.crypto(), &anna.signer, true)
            .map(bytes)
            .unwrap(),
    );
    let builder = openmls::prelude::KeyPackage::builder().leaf_node_capabilities(capable());
    let bundle = anna.commit(&mut group, vec![ben.key_package_by(builder)], &[], false);
    assert!(service.check(&bundle.commit, &bundle.group_info).is_ok());

    let three = Three {
        parties: [anna, ben, cleo],
        groups: Three::new().groups,
        service,
    };
    let commit = without_path(&[add(&three.parties[2].key_package())]);
    let forged = three.forged(&bundle, &three.parties[0].key, |parts| {
        parts.commit = commit;
    });
    assert_eq!(
        three.refused(&forged),
        MlsError::Capability {
            what: "extension",
            value: REQUIRED
        }
    );
    // The context without its extensions.
    let mut context = read_group_info(&bundle.group_info).group_context;
    let tag = read_group_info(&bundle.group_info).confirmation_tag;
    context.extensions = Default::default();
    let forged = Bundle {
        group_info: group_info(&context, &tag, 0, &three.parties[0].key),
        ..bundle
    };
    assert_eq!(
        three.refused(&forged),
        MlsError::GroupInfo("group context extensions")
    );
}
