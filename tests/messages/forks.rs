//! What the canister's controllers can do: put an earlier state back, and let the log go on in another way. The subnet certifies it all.

use candid::Principal;
use indus_client::Deployment;
use indus_messenger::Violation;

use crate::net::{Net, alarm, all_texts, violations};

/// An earlier state of messaging.
struct Earlier<'a> {
    deployer: &'a Deployment,
    canister: Principal,
    snapshot: Vec<u8>,
}

impl<'a> Earlier<'a> {
    async fn of(net: &'a Net) -> Self {
        let (deployer, canister) = (&net.deployer, net.messaging);
        deployer.stop(canister).await.unwrap();
        let snapshot = deployer.take_snapshot(canister).await.unwrap();
        deployer.start(canister).await.unwrap();
        Self {
            deployer,
            canister,
            snapshot,
        }
    }

    async fn put_back(&self) {
        self.deployer.stop(self.canister).await.unwrap();
        self.deployer
            .restore(self.canister, &self.snapshot)
            .await
            .unwrap();
        self.deployer.start(self.canister).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_rolled_back_is_noticed_by_everybody_who_had_read_further() {
    let net = Net::start().await;
    let (id, mut devices) = net.conversation(3).await;
    let earlier = Earlier::of(&net).await;
    devices[0].messenger.send(id, "one").await.unwrap();
    devices[0].messenger.send(id, "two").await.unwrap();
    devices[1].messenger.follow(id).await.unwrap();
    let (verified, _) = devices[1].messenger.head(id).unwrap();
    earlier.put_back().await;
    let certified = verified - 2;
    assert_eq!(
        alarm(devices[1].messenger.follow(id).await),
        Violation::RolledBack {
            verified,
            certified
        }
    );
    // Who had not read so far can't know it; what they read from then on is verified all the same.
    devices[2].messenger.send(id, "three").await.unwrap();
    devices[2].messenger.follow(id).await.unwrap();
    assert_eq!(violations(&devices[2].messenger), []);
    // The sender holds a receipt, and finds another entry in its place.
    assert_eq!(
        alarm(devices[0].messenger.follow(id).await),
        Violation::BrokenReceipt { index: certified }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_recipients_who_are_shown_different_logs_notice_it_at_the_next_message_between_them() {
    let net = Net::start().await;
    let (id, mut devices) = net.conversation(3).await;
    for device in &mut devices {
        device.messenger.follow(id).await.unwrap();
    }
    let earlier = Earlier::of(&net).await;
    devices[0].messenger.send(id, "shown to one").await.unwrap();
    devices[1].messenger.follow(id).await.unwrap();
    let (size, _) = devices[1].messenger.head(id).unwrap();
    earlier.put_back().await;
    devices[0]
        .messenger
        .send(id, "shown to the other")
        .await
        .unwrap();
    devices[2].messenger.follow(id).await.unwrap();
    assert_eq!(violations(&devices[2].messenger), []);

    // One writes, with the head that was shown to it; the other one reads that message.
    let sender = devices[1].messenger.person();
    devices[1]
        .messenger
        .write(id, "do you see what I see?")
        .unwrap();
    devices[1].messenger.flush(id).await.unwrap();
    devices[2].messenger.follow(id).await.unwrap();
    assert_eq!(
        violations(&devices[2].messenger),
        [Violation::SplitView {
            index: size,
            sender,
            size
        }]
    );
    // The message is genuine, and shown.
    assert_eq!(all_texts(&devices[2].messenger, id).len(), 2);
    let noticed = alarm(devices[1].messenger.follow(id).await);
    assert_eq!(noticed, Violation::Rewritten { verified: size });
}

#[tokio::test(flavor = "multi_thread")]
async fn two_commits_for_one_epoch_are_noticed_by_both_sides() {
    let net = Net::start().await;
    let (id, mut devices) = net.conversation(3).await;
    for device in &mut devices {
        device.messenger.follow(id).await.unwrap();
    }
    let (before, _) = devices[0].messenger.head(id).unwrap();
    let earlier = Earlier::of(&net).await;
    devices[0].messenger.renew(id).await.unwrap();
    earlier.put_back().await;
    devices[1].messenger.renew(id).await.unwrap();
    devices[2].messenger.follow(id).await.unwrap();
    let verified = before + 1;
    assert_eq!(
        alarm(devices[0].messenger.follow(id).await),
        Violation::Rewritten { verified }
    );
    // The group is two now. What one half writes, the other can't read, and learns that it was shown another log.
    let sender = devices[0].messenger.person();
    devices[0].messenger.write(id, "to my half").unwrap();
    devices[0].messenger.flush(id).await.unwrap();
    devices[2].messenger.follow(id).await.unwrap();
    let found = violations(&devices[2].messenger);
    assert!(
        matches!(
            found[0],
            Violation::Unreadable { index, sender: of, .. } if index == verified && of == sender
        ),
        "{found:?}"
    );
    assert_eq!(
        found[1],
        Violation::SplitView {
            index: verified,
            sender,
            size: verified
        }
    );
    assert_eq!(found.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_acknowledged_and_dropped_is_noticed_by_its_sender() {
    let net = Net::start().await;
    let (id, mut devices) = net.conversation(2).await;
    devices[1].messenger.follow(id).await.unwrap();
    let earlier = Earlier::of(&net).await;
    let sent = devices[0].messenger.send(id, "dropped").await.unwrap();
    let index = sent[0].receipt.index;
    earlier.put_back().await;
    devices[1].messenger.send(id, "in its place").await.unwrap();
    assert_eq!(
        alarm(devices[0].messenger.follow(id).await),
        Violation::BrokenReceipt { index }
    );
}
