//! GroupInfos, of new groups and of the next epoch, and Welcomes.

use indus_mls::{Message, MlsError, group, group_info::GroupContext};

use crate::{
    support::{Bundle, Party, bytes, now},
    wrong::three::{Three, group_info, read_group_info, replaced},
};

#[test]
fn a_group_info_that_says_something_else() {
    let mut three = Three::new();
    let bundle = three.update(1);
    let read = read_group_info(&bundle.group_info);
    let key = &three.parties[1].key;
    let refused = |group_info| {
        three.refused(&Bundle {
            group_info,
            ..bundle.clone()
        })
    };
    type Change = fn(&mut GroupContext);
    let changes: [(&str, Change); 4] = [
        ("group id", |context| context.group_id.push(0)),
        ("epoch", |context| context.epoch += 1),
        ("tree hash", |context| context.tree_hash[0] ^= 1),
        ("confirmed transcript hash", |context| {
            context.confirmed_transcript_hash = None;
        }),
    ];
    for (what, change) in changes {
        let mut context = read.group_context.clone();
        change(&mut context);
        let forged = group_info(&context, &read.confirmation_tag, 1, key);
        assert_eq!(refused(forged), MlsError::GroupInfo(what));
    }
    let context = &read.group_context;
    assert_eq!(
        refused(group_info(context, &[0; 32], 1, key)),
        MlsError::GroupInfo("confirmation tag")
    );
    assert_eq!(
        refused(group_info(
            context,
            &read.confirmation_tag,
            2,
            &three.parties[2].key
        )),
        MlsError::GroupInfoSigner(2)
    );
    assert_eq!(
        refused(group_info(
            context,
            &read.confirmation_tag,
            1,
            &three.parties[2].key
        )),
        MlsError::Signature("GroupInfo")
    );
    // Of the epoch before.
    let old = three.parties[1].group_info(&three.groups[1]);
    assert_eq!(refused(old), MlsError::GroupInfo("epoch"));
    // With another tag in the commit itself, which its signature doesn't cover.
    let forged = three.forged(&bundle, key, |parts| parts.tag[0] ^= 1);
    assert_eq!(
        three.refused(&forged),
        MlsError::GroupInfo("confirmation tag")
    );
}

#[test]
fn groups_that_arent_new() {
    let mut three = Three::new();
    let created = |group_info: &[u8]| group::create(group_info, now()).map(|_| ());
    assert_eq!(
        created(&three.parties[0].group_info(&three.groups[0])),
        Err(MlsError::NotNew)
    );
    assert_eq!(created(&three.update(0).group_info), Err(MlsError::NotNew));
    let party = Party::new("dora");
    let without = party
        .create()
        .export_group_info(
            openmls::prelude::OpenMlsProvider::crypto(&party.provider),
            &party.signer,
            false,
        )
        .map(bytes)
        .unwrap();
    assert_eq!(created(&without), Err(MlsError::NoRatchetTree));
    let party = Party::new("dora");
    let group_info = party.group_info(&party.create());
    assert_eq!(created(&group_info), Ok(()));
    let read = read_group_info(&group_info);
    let changed = replaced(&group_info, &read.group_context.tree_hash, &[1; 32]);
    assert_eq!(created(&changed), Err(MlsError::GroupInfo("tree hash")));
    let changed = replaced(&group_info, &read.confirmation_tag, &[1; 32]);
    assert_eq!(created(&changed), Err(MlsError::Signature("GroupInfo")));
    assert_eq!(
        group::create(&group_info, now() + 365 * 24 * 3600).map(|_| ()),
        Err(MlsError::Expired)
    );
}

#[test]
fn bytes_after_the_end_and_longer_lengths() {
    let mut three = Three::new();
    let dora = Party::new("dora");
    let adding = vec![dora.key_package()];
    let bundle = three.parties[1].commit(&mut three.groups[1], adding, &[], true);
    for message in [
        &bundle.commit,
        &bundle.group_info,
        bundle.welcome.as_ref().unwrap(),
    ] {
        assert!(Message::read(message).is_ok());
        let longer = [&message[..], &[0]].concat();
        assert!(matches!(
            Message::read(&longer),
            Err(MlsError::TrailingBytes(_))
        ));
    }
    // The group id's length in two bytes.
    let commit = [&bundle.commit[..4], &[0x40], &bundle.commit[4..]].concat();
    assert_eq!(Message::read(&commit), Err(MlsError::NotShortest));
}

#[test]
fn a_welcome_has_no_secret_for_others() {
    let mut three = Three::new();
    let dora = Party::new("dora");
    let adding = vec![dora.key_package()];
    let bundle = three.parties[1].commit(&mut three.groups[1], adding, &[], true);
    let welcome = bundle.welcome.unwrap();
    let welcome = indus_mls::Welcome::from_message(&welcome).unwrap();
    assert_eq!(welcome.slice(&[0; 32]), Err(MlsError::NoSecret));
}
