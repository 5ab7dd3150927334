//! Members who cheat: what they send is named as theirs, and nobody is stopped by it.

use indus_api::Error;
use indus_api::messaging::{Entry, PostArgs, Receipt};
use indus_client::{ClientError, SuiteCanister};
use indus_messenger::{MessengerError, Node as _, Violation, What};

use crate::net::{Device, Net, all_texts, violations};

/// A post as a member makes it who does not use a messenger.
async fn post(
    net: &Net,
    device: &Device,
    id: u64,
    message: Vec<u8>,
) -> Result<Receipt, ClientError> {
    let connection = net.connection().signing_as(&device.key);
    let messaging = SuiteCanister::new(connection, "messaging").unwrap();
    let args = PostArgs {
        conversation: id,
        message: message.into(),
    };
    messaging.update("post_message", &args).await
}

/// An entry as it is in the log.
async fn entry(device: &mut Device, id: u64, index: u64) -> Entry {
    let args = indus_api::messaging::EntriesArgs {
        conversation: id,
        from: index,
        limit: 1,
    };
    device
        .messenger
        .node()
        .entries(&args)
        .await
        .unwrap()
        .entries
        .remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_of_a_member_is_named_as_theirs_and_the_conversation_goes_on() {
    let net = Net::start().await;
    let (id, mut devices) = net.conversation(3).await;
    let mut cheat = devices.pop().unwrap();
    let person = cheat.messenger.person();
    let sent = devices[0].messenger.send(id, "genuine").await.unwrap();
    let genuine = entry(&mut cheat, id, sent[0].receipt.index)
        .await
        .payload
        .into_vec();

    // Somebody else's message once more: it has that message's id.
    let refused = post(&net, &cheat, id, genuine.clone()).await;
    assert!(
        matches!(
            refused.unwrap_err().refusal(),
            Some(Error::AlreadyExists { .. })
        ),
        "a message of another"
    );
    // With another id: the id is authenticated, so nobody can read it any more.
    let authenticated = genuine
        .windows(3)
        .position(|window| window == [57, 1, genuine[genuine.len() - 1]])
        .unwrap_or_else(|| {
            genuine
                .windows(2)
                .position(|window| window == [57, 1])
                .unwrap()
        });
    let mut changed = genuine.clone();
    changed[authenticated + 5] ^= 1;
    let receipt = post(&net, &cheat, id, changed).await.unwrap();
    devices[0].messenger.send(id, "and on").await.unwrap();
    devices[1].messenger.follow(id).await.unwrap();
    let found = violations(&devices[1].messenger);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        matches!(
            &found[0],
            Violation::Unreadable { index, sender, .. }
                if *index == receipt.index && *sender == person
        ),
        "{found:?}"
    );
    assert_eq!(all_texts(&devices[1].messenger, id).len(), 2);
    let all = devices[1].messenger.history(id, 0, 100).unwrap();
    assert_eq!(
        all.iter()
            .filter(|one| one.what == What::Unreadable)
            .count(),
        1
    );
    // Who sent it is asked to stop by who owns the conversation.
    devices[0].messenger.remove(id, person, None).await.unwrap();
    let refused = post(&net, &cheat, id, genuine).await;
    assert!(
        matches!(
            refused.unwrap_err().refusal(),
            Some(Error::Unauthorized { .. })
        ),
        "who was removed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_floods_a_conversation_is_told_to_wait_and_nothing_of_theirs_is_lost() {
    let net = Net::start().await;
    let (id, mut devices) = net.conversation(2).await;
    let flood = &mut devices[1].messenger;
    let mut refused = None;
    for n in 0..200 {
        flood.write(id, &format!("{n}")).unwrap();
        if let Err(error) = flood.flush(id).await {
            refused = Some((n, error));
            break;
        }
    }
    let (written, error) = refused.expect("somebody who is stopped");
    let MessengerError::Client(error) = error else {
        panic!("{error}");
    };
    assert!(matches!(error.refusal(), Some(Error::RateLimited { .. })));
    // They wait on the device, and go out in their order when there is room again.
    let mut left = true;
    while left {
        left = flood.flush(id).await.is_err();
    }
    devices[0].messenger.follow(id).await.unwrap();
    let read: Vec<_> = all_texts(&devices[0].messenger, id)
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    let expected: Vec<_> = (0..=written).map(|n| n.to_string()).collect();
    assert_eq!(read, expected);
}
