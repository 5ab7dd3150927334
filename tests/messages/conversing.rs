//! What people do: converse on several devices, come and go.

use indus_api::identity::{Method, MethodKind, OfferArgs, Pairing};
use indus_api::messaging::Label;
use indus_client::Key;
use indus_messenger::{KEY_PACKAGES_IN_STORE, MessengerError, Standing, What, audit};

use crate::net::{Net, all_texts, texts, violations};

#[tokio::test(flavor = "multi_thread")]
async fn what_one_writes_all_others_read_once_and_in_one_order() {
    let net = Net::start().await;
    let (id, mut devices) = net.conversation(3).await;
    let mut expected = Vec::new();
    for round in 0..4 {
        for device in &mut devices {
            let text = format!("round {round}: سلام");
            let sent = device.messenger.send(id, &text).await.unwrap();
            assert_eq!(sent.len(), 1);
            expected.push((device.messenger.person(), text));
        }
    }
    for device in &mut devices {
        device.messenger.follow(id).await.unwrap();
        assert_eq!(device.messenger.follow(id).await.unwrap(), []);
        assert_eq!(all_texts(&device.messenger, id), expected);
        assert_eq!(violations(&device.messenger), []);
    }
    let heads: Vec<_> = devices
        .iter()
        .map(|one| one.messenger.head(id).unwrap())
        .collect();
    assert!(heads.windows(2).all(|pair| pair[0] == pair[1]));

    // Somebody who is in no conversation verifies the log, and that it goes on.
    let (size, root) = heads[0];
    let known = indus_verify::LogHead { root, size };
    let audited = audit(&net.connection(), id, None).await.unwrap();
    assert_eq!(audited.head, known);
    devices[1].messenger.send(id, "more").await.unwrap();
    let later = audit(&net.connection(), id, Some(&known)).await.unwrap();
    assert_eq!(later.head.size, size + 1);
    let other = indus_verify::LogHead {
        root: [7; 32],
        size,
    };
    assert!(audit(&net.connection(), id, Some(&other)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_was_away_follows_through_all_that_happened() {
    let net = Net::start().await;
    let (id, mut devices) = net.conversation(2).await;
    let mut late = net.device().await;
    let person = late.messenger.person();
    let (first, second) = devices.split_at_mut(1);
    let (first, second) = (&mut first[0].messenger, &mut second[0].messenger);
    first.send(id, "before").await.unwrap();
    first.invite(id, &[person]).await.unwrap();
    for n in 0..2 {
        // The first time, it has not heard of the new device.
        second.send(id, &format!("message {n}")).await.unwrap();
        second.follow(id).await.unwrap();
        second.renew(id).await.unwrap();
        first.follow(id).await.unwrap();
        first.renew(id).await.unwrap();
    }
    // Its welcome leads into an epoch that has been over for long.
    assert_eq!(late.messenger.receive_welcomes().await.unwrap(), [id]);
    late.messenger.follow(id).await.unwrap();
    let read: Vec<_> = all_texts(&late.messenger, id)
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    // The first one was encrypted before it came, by somebody who did not know yet.
    assert_eq!(read, ["message 1"]);
    let all = late.messenger.history(id, 0, 100).unwrap();
    assert_eq!(all[0].what, What::Earlier);
    late.messenger.send(id, "thank you").await.unwrap();
    assert_eq!(texts(&first.follow(id).await.unwrap()).len(), 1);
    assert_eq!(violations(&late.messenger), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_an_epoch_that_is_over_is_encrypted_again_and_arrives_once() {
    let net = Net::start().await;
    let (id, mut devices) = net.conversation(2).await;
    let mut away = devices.pop().unwrap();
    let first = &mut devices[0].messenger;
    away.messenger.write(id, "written long ago").unwrap();
    for _ in 0..4 {
        first.renew(id).await.unwrap();
    }
    let mut away = away.reopened(&net).await;
    let sent = away.messenger.flush(id).await.unwrap();
    assert_eq!(sent.len(), 1);
    let new = first.follow(id).await.unwrap();
    assert_eq!(texts(&new)[0].1, "written long ago");
    away.messenger.follow(id).await.unwrap();
    assert_eq!(all_texts(&away.messenger, id).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_at_once_are_put_in_order_and_everybody_converges() {
    let net = Net::start().await;
    let (id, mut devices) = net.conversation(4).await;
    for _ in 0..2 {
        let renewing = devices.drain(..).map(|mut device| {
            tokio::spawn(async move {
                device.messenger.renew(id).await.unwrap();
                device.messenger.send(id, "renewed").await.unwrap();
                device
            })
        });
        let renewing: Vec<_> = renewing.collect();
        for task in renewing {
            devices.push(task.await.unwrap());
        }
    }
    for device in &mut devices {
        device.messenger.follow(id).await.unwrap();
        assert_eq!(violations(&device.messenger), []);
        assert_eq!(all_texts(&device.messenger, id).len(), 8);
    }
    let heads: Vec<_> = devices
        .iter()
        .map(|one| one.messenger.head(id).unwrap())
        .collect();
    assert!(heads.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_device_is_added_and_one_that_was_removed_reads_nothing_more() {
    let net = Net::start().await;
    let (id, mut devices) = net.conversation(2).await;
    let second = devices.pop().unwrap();
    let mut first = devices.pop().unwrap();
    let (mut second, person) = (second, first.messenger.person());

    // A device of the same person, paired.
    let key = Key::generate();
    let pairing: Pairing = net
        .identity(&first.key)
        .update("open_pairing", &())
        .await
        .unwrap();
    let offer = OfferArgs {
        person,
        code: pairing.code,
        kind: MethodKind::Ed25519,
        alias_commitment: None,
    };
    net.identity(&key)
        .update::<()>("offer_method", &offer)
        .await
        .unwrap();
    let confirmed: Method = net
        .identity(&first.key)
        .update("confirm_method", &key.principal())
        .await
        .unwrap();
    assert_eq!(confirmed.person, person);
    let mut tablet = net.device_of(key.clone()).await;
    assert_eq!(tablet.messenger.person(), person);
    first.messenger.invite(id, &[person]).await.unwrap();
    assert_eq!(tablet.messenger.receive_welcomes().await.unwrap(), [id]);
    tablet.messenger.send(id, "from the tablet").await.unwrap();
    assert_eq!(
        texts(&second.messenger.follow(id).await.unwrap()),
        [(person, "from the tablet".to_owned())]
    );
    assert_eq!(second.messenger.members(id).await.unwrap().len(), 3);

    // The tablet is lost: identity ends its key, members see it, the person's other device removes it.
    net.identity(&first.key)
        .update::<()>("remove_method", &key.principal())
        .await
        .unwrap();
    let members = second.messenger.members(id).await.unwrap();
    let ended = members
        .iter()
        .filter(|one| matches!(one.standing, Standing::Ended { .. }));
    assert_eq!(ended.count(), 1);
    let removed = first.messenger.remove(id, person, None).await.unwrap();
    assert_eq!(removed, 1);
    second.messenger.follow(id).await.unwrap();
    second
        .messenger
        .send(id, "without the tablet")
        .await
        .unwrap();
    // It may still find its own removal; behind that there is nothing for it.
    let _removal = tablet.messenger.follow(id).await;
    assert!(tablet.messenger.follow(id).await.is_err());
    assert_eq!(all_texts(&tablet.messenger, id).len(), 1);
    assert_eq!(violations(&tablet.messenger), []);
    assert_eq!(second.messenger.members(id).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_removed_and_came_back_reads_what_comes_then() {
    let net = Net::start().await;
    let (id, mut devices) = net.conversation(3).await;
    let mut second = devices.remove(1);
    let (mut first, mut third) = (devices.remove(0), devices.remove(0));
    let person = second.messenger.person();
    first.messenger.send(id, "one").await.unwrap();
    second.messenger.follow(id).await.unwrap();
    first.messenger.remove(id, person, None).await.unwrap();
    first.messenger.send(id, "two").await.unwrap();
    assert!(matches!(
        second.messenger.follow(id).await,
        Err(MessengerError::Client(_))
    ));
    first.messenger.invite(id, &[person]).await.unwrap();
    assert_eq!(second.messenger.receive_welcomes().await.unwrap(), [id]);
    third.messenger.follow(id).await.unwrap();
    third.messenger.send(id, "three").await.unwrap();
    second.messenger.follow(id).await.unwrap();
    let read: Vec<_> = all_texts(&second.messenger, id)
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    assert_eq!(read, ["one", "three"]);
    assert_eq!(violations(&second.messenger), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_has_no_other_package_left_is_added_by_its_last_one() {
    let net = Net::start().await;
    let (_, mut devices) = net.conversation(2).await;
    let mut popular = devices.pop().unwrap();
    let person = popular.messenger.person();
    // One was used already. The claims of a day are as many as packages are in store.
    for _ in 1..KEY_PACKAGES_IN_STORE {
        net.claimed(&devices[0].key, person).await;
    }
    let id = devices[0].messenger.create(Label::Open).await.unwrap();
    let other = net.device().await;
    let mut other = other.messenger;
    let refused = devices[0].messenger.invite(id, &[person]).await;
    assert!(
        matches!(refused, Err(MessengerError::Client(_))),
        "{refused:?}"
    );
    let second = other.create(Label::Open).await.unwrap();
    for again in 0..2 {
        let id = if again == 0 {
            second
        } else {
            other.create(Label::Open).await.unwrap()
        };
        other.invite(id, &[person]).await.unwrap();
        assert_eq!(popular.messenger.receive_welcomes().await.unwrap(), [id]);
        popular.messenger.send(id, "here").await.unwrap();
        other.follow(id).await.unwrap();
        assert_eq!(all_texts(&other, id).len(), 1);
    }
    assert_eq!(
        popular.messenger.restock().await.unwrap() as usize,
        KEY_PACKAGES_IN_STORE
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_gets_nothing_and_a_label_keeps_others_out() {
    let net = Net::start().await;
    let (id, devices) = net.conversation(2).await;
    let mut stranger = net.device().await;
    assert!(
        stranger
            .messenger
            .receive_welcomes()
            .await
            .unwrap()
            .is_empty()
    );
    assert!(matches!(
        stranger.messenger.follow(id).await,
        Err(MessengerError::NotIn(_))
    ));
    // Who acts for no organisation has no official conversation.
    let refused = stranger.messenger.create(Label::Official).await;
    assert!(
        matches!(refused, Err(MessengerError::Client(_))),
        "{refused:?}"
    );
    assert!(stranger.messenger.create(Label::Open).await.is_ok());
    drop(devices);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_device_keeps_is_there_when_it_is_opened_again() {
    let net = Net::start().await;
    let (id, mut devices) = net.conversation(2).await;
    let mut second = devices.pop().unwrap();
    let mut first = devices.pop().unwrap();
    for n in 0..5 {
        first = first.reopened(&net).await;
        second = second.reopened(&net).await;
        first.messenger.send(id, &format!("{n}")).await.unwrap();
        second.messenger.follow(id).await.unwrap();
        second = second.reopened(&net).await;
        second
            .messenger
            .send(id, &format!("answer {n}"))
            .await
            .unwrap();
        if n % 2 == 0 {
            first.messenger.renew(id).await.unwrap();
        }
    }
    first.messenger.follow(id).await.unwrap();
    second.messenger.follow(id).await.unwrap();
    assert_eq!(all_texts(&first.messenger, id).len(), 10);
    assert_eq!(
        all_texts(&first.messenger, id),
        all_texts(&second.messenger, id)
    );
    let unshown = second.messenger.unshown(id, 100).unwrap();
    let last = unshown.last().unwrap().index;
    second.messenger.shown(id, last).unwrap();
    let second = second.reopened(&net).await;
    assert_eq!(second.messenger.unshown(id, 100).unwrap(), []);
    assert!(matches!(
        first.messenger.history(id, 0, 1).unwrap()[0].what,
        What::Created
    ));
}
