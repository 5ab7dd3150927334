//! A canister whose code was changed: it certifies logs that nobody made. What the subnet vouches for is held against what the device
//! remembers, what it decrypts, and what senders say that they were shown.

use candid::{Encode, Principal};
use end_to_end::cheating_module;
use ic_agent::Agent;
use indus_api::Error;
use indus_api::messaging::{EntriesArgs, Entry, EntryKind};
use indus_messenger::{Node as _, Violation};
use serde_bytes::ByteBuf;

use crate::net::{Device, Net, alarm, all_texts, violations};

/// The controllers' way to the changed canister.
struct Controllers {
    agent: Agent,
    canister: Principal,
    conversation: u64,
}

impl Controllers {
    /// Upgrades messaging to the changed module.
    async fn take_over(net: &Net, conversation: u64) -> Self {
        let (deployer, canister) = (&net.deployer, net.messaging);
        deployer
            .upgrade(canister, cheating_module(), Encode!().unwrap())
            .await
            .unwrap();
        let agent = net
            .connection()
            .signing_as(&net.subnet.deployer)
            .agent()
            .clone();
        let this = Self {
            agent,
            canister,
            conversation,
        };
        this.call("confirm_upgrade", Encode!().unwrap()).await;
        this
    }

    async fn append(&self, like: &Entry, sender: Principal) {
        let argument = Encode!(
            &self.conversation,
            &like.kind,
            &like.epoch,
            &sender,
            &like.payload
        );
        self.call("cheat_append", argument.unwrap()).await;
    }

    async fn rewrite(&self, order: &[u64]) {
        let argument = Encode!(&self.conversation, &order.to_vec()).unwrap();
        self.call("cheat_rewrite", argument).await;
    }

    async fn call(&self, method: &str, argument: Vec<u8>) {
        let reply = self
            .agent
            .update(&self.canister, method)
            .with_arg(argument)
            .call_and_wait()
            .await
            .unwrap();
        if method.starts_with("cheat") {
            let done = candid::decode_one::<Result<(), Error>>(&reply).unwrap();
            assert_eq!(done, Ok(()), "{method}");
        }
    }
}

/// The entries of a conversation from an index on, as its members see them.
async fn entries(device: &mut Device, id: u64, from: u64) -> Vec<Entry> {
    let args = EntriesArgs {
        conversation: id,
        from,
        limit: 100,
    };
    device
        .messenger
        .node()
        .entries(&args)
        .await
        .unwrap()
        .entries
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_certified_twice_is_noticed_and_not_shown_again() {
    let net = Net::start().await;
    let (id, mut devices) = net.conversation(2).await;
    let sent = devices[0].messenger.send(id, "once").await.unwrap();
    let first = sent[0].receipt.index;
    let entry = entries(&mut devices[0], id, first).await.remove(0);
    let controllers = Controllers::take_over(&net, id).await;
    controllers.append(&entry, entry.sender).await;
    devices[0].messenger.follow(id).await.unwrap();
    devices[1].messenger.follow(id).await.unwrap();
    for device in &devices {
        assert_eq!(all_texts(&device.messenger, id).len(), 1);
        let replayed = Violation::Replayed {
            index: first + 1,
            first,
        };
        assert_eq!(violations(&device.messenger)[0], replayed);
    }
    devices[1].messenger.send(id, "and on").await.unwrap();
    devices[0].messenger.follow(id).await.unwrap();
    assert_eq!(all_texts(&devices[0].messenger, id).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_in_somebody_elses_name_is_noticed_and_not_shown() {
    let net = Net::start().await;
    let (id, mut devices) = net.conversation(3).await;
    let said = devices[1].messenger.person();
    let signed = devices[0].messenger.person();
    let (size, _) = devices[0].messenger.head(id).unwrap();
    devices[0].messenger.send(id, "I resign").await.unwrap();
    let entry = entries(&mut devices[0], id, size).await.remove(0);
    let controllers = Controllers::take_over(&net, id).await;
    controllers.rewrite(&(0..size).collect::<Vec<_>>()).await;
    controllers.append(&entry, said).await;
    devices[2].messenger.follow(id).await.unwrap();
    let forged = Violation::ForgedSender {
        index: size,
        said,
        signed,
    };
    assert_eq!(violations(&devices[2].messenger), [forged]);
    assert_eq!(all_texts(&devices[2].messenger, id), []);
    // Nor can anybody write what the canister likes.
    let nonsense = Entry {
        payload: ByteBuf::from(*b"nonsense"),
        ..entry
    };
    controllers.append(&nonsense, signed).await;
    devices[2].messenger.follow(id).await.unwrap();
    assert!(matches!(
        violations(&devices[2].messenger)[1],
        Violation::Unreadable { index, sender, .. } if index == size + 1 && sender == signed
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_commit_for_an_epoch_and_a_missing_one_stop_the_reading() {
    let net = Net::start().await;
    let (id, mut devices) = net.conversation(3).await;
    let (size, _) = devices[0].messenger.head(id).unwrap();
    devices[0].messenger.renew(id).await.unwrap();
    let entry = entries(&mut devices[0], id, size).await.remove(0);
    assert_eq!(entry.kind, EntryKind::Commit);
    devices[0].messenger.renew(id).await.unwrap();
    let controllers = Controllers::take_over(&net, id).await;
    controllers.append(&entry, entry.sender).await;
    let second = Violation::SecondCommit {
        index: size + 2,
        epoch: entry.epoch,
        current: entry.epoch + 2,
    };
    assert_eq!(alarm(devices[1].messenger.follow(id).await), second);
    // Of the two commits, the first one left out.
    let order: Vec<u64> = (0..size).chain([size + 1]).collect();
    controllers.rewrite(&order).await;
    let skipped = Violation::EpochSkipped {
        index: size,
        epoch: entry.epoch + 1,
        current: entry.epoch,
    };
    assert_eq!(alarm(devices[2].messenger.follow(id).await), skipped);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_in_another_order_or_left_out_are_noticed_by_what_their_senders_saw() {
    let net = Net::start().await;
    let (id, mut devices) = net.conversation(3).await;
    let (size, _) = devices[0].messenger.head(id).unwrap();
    for text in ["one", "two", "three"] {
        devices[0].messenger.send(id, text).await.unwrap();
        devices[0].messenger.follow(id).await.unwrap();
    }
    let sender = devices[0].messenger.person();
    let controllers = Controllers::take_over(&net, id).await;
    let before: Vec<u64> = (0..size).collect();
    controllers
        .rewrite(&[&before[..], &[size, size + 2]].concat())
        .await;
    devices[1].messenger.follow(id).await.unwrap();
    let split = |index, seen| Violation::SplitView {
        index,
        sender,
        size: seen,
    };
    // "three" was sent behind "two", which is not there.
    assert_eq!(
        violations(&devices[1].messenger),
        [split(size + 1, size + 2)]
    );
    assert!(matches!(
        alarm(devices[0].messenger.follow(id).await),
        Violation::RolledBack { .. }
    ));
    controllers
        .rewrite(&[&before[..], &[size + 1, size]].concat())
        .await;
    devices[2].messenger.follow(id).await.unwrap();
    let found = violations(&devices[2].messenger);
    assert_eq!(found[0], split(size, size + 2), "{found:?}");
}
