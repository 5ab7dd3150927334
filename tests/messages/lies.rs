//! A node that lies about entries, welcomes and keys: what the messenger notices, after how many messages (none is ever shown wrong),
//! and that it goes on when it is told the truth.

use indus_api::messaging::EntriesPage;
use indus_client::ClientError;
use indus_messenger::{MessengerError, Violation};
use serde_bytes::ByteBuf;

use crate::net::{Net, alarm, all_texts, violations};

/// A lie about a page of four messages behind `from` entries, and what it is called.
struct Told {
    name: &'static str,
    lie: fn(&mut EntriesPage),
    noticed: fn(u64) -> Violation,
}

const LIES: [Told; 9] = [
    Told {
        name: "an entry is left out",
        lie: |page| {
            page.entries.remove(1);
        },
        noticed: |from| Violation::Missing {
            expected: from + 1,
            found: from + 2,
        },
    },
    Told {
        name: "an entry is left out, and the others renumbered",
        lie: |page| {
            page.entries.remove(1);
            renumber(page);
        },
        noticed: |from| Violation::Falsified {
            from,
            until: from + 3,
        },
    },
    Told {
        name: "two entries are exchanged",
        lie: |page| {
            page.entries.swap(1, 2);
            renumber(page);
        },
        noticed: |from| Violation::Falsified {
            from,
            until: from + 4,
        },
    },
    Told {
        name: "an entry is repeated",
        lie: |page| {
            page.entries.insert(1, page.entries[0].clone());
            renumber(page);
        },
        noticed: |from| Violation::Falsified {
            from,
            until: from + 5,
        },
    },
    Told {
        name: "a payload is another one",
        lie: |page| page.entries[2].payload[40] ^= 1,
        noticed: |from| Violation::Falsified {
            from,
            until: from + 4,
        },
    },
    Told {
        name: "a sender is another one",
        lie: |page| page.entries[2].sender = page.entries[1].sender,
        noticed: |from| Violation::Falsified {
            from,
            until: from + 4,
        },
    },
    Told {
        name: "the end is cut off",
        lie: |page| page.entries.truncate(2),
        noticed: |from| Violation::Falsified {
            from,
            until: from + 2,
        },
    },
    Told {
        name: "nothing is new",
        lie: |page| page.entries.clear(),
        noticed: |from| Violation::Withheld {
            from,
            certified: from + 4,
        },
    },
    Told {
        name: "the proof is of something else",
        lie: |page| page.consistency = vec![ByteBuf::from([7; 32])],
        noticed: |from| Violation::Falsified {
            from,
            until: from + 4,
        },
    },
];

fn renumber(page: &mut EntriesPage) {
    let first = page.entries[0].index;
    for (index, entry) in (first..).zip(&mut page.entries) {
        entry.index = index;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_lie_about_entries_is_named_at_once_and_nothing_of_it_is_shown() {
    let net = Net::start().await;
    let (id, mut devices) = net.conversation(3).await;
    let mut reader = devices.pop().unwrap();
    let mut expected = Vec::new();
    for (number, told) in LIES.iter().enumerate() {
        reader.messenger.follow(id).await.unwrap();
        let (from, _) = reader.messenger.head(id).unwrap();
        for n in 0..4_usize {
            // Of two senders in turn.
            let device = &mut devices[n % 2];
            let text = format!("{number}.{n}");
            device.messenger.send(id, &text).await.unwrap();
            device.messenger.follow(id).await.unwrap();
            expected.push(text);
        }
        reader.messenger.node().lie(told.lie);
        let noticed = alarm(reader.messenger.follow(id).await);
        assert_eq!(noticed, (told.noticed)(from), "{}", told.name);
        // Not one entry of the page was taken, and the lie is noticed again after the process has ended.
        assert_eq!(reader.messenger.head(id).unwrap().0, from, "{}", told.name);
        reader = reader.reopened(&net).await;
        reader.messenger.node().lie(told.lie);
        assert_eq!(alarm(reader.messenger.follow(id).await), noticed);
        reader.messenger.node().be_honest();
        reader.messenger.follow(id).await.unwrap();
        assert_eq!(violations(&reader.messenger).len(), number + 1);
        let evidence = reader
            .messenger
            .evidence(number as u64 + 1)
            .unwrap()
            .unwrap();
        assert_eq!(evidence.verified_size, from);
        assert_eq!(evidence.violation, noticed.to_string());
    }
    let read: Vec<_> = all_texts(&reader.messenger, id)
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    assert_eq!(read, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_with_the_certificate_of_something_else_is_no_page() {
    let net = Net::start().await;
    let (id, mut devices) = net.conversation(2).await;
    let mut reader = devices.pop().unwrap();
    let writer = &mut devices[0].messenger;
    writer.send(id, "one").await.unwrap();
    for lie in [
        |page: &mut EntriesPage| page.certified.witness[30] ^= 1,
        |page: &mut EntriesPage| page.certified.certificate[60] ^= 1,
        |page: &mut EntriesPage| page.certified.witness.truncate(10),
    ] {
        reader.messenger.node().lie(lie);
        let noticed = alarm(reader.messenger.follow(id).await);
        assert!(matches!(noticed, Violation::Unverified(_)), "{noticed}");
    }
    reader.messenger.node().be_honest();
    assert_eq!(reader.messenger.follow(id).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_state_is_not_taken_for_the_present_one_and_is_no_alarm() {
    let net = Net::start().await;
    let (id, mut devices) = net.conversation(2).await;
    let mut reader = devices.pop().unwrap();
    let writer = &mut devices[0].messenger;
    reader.messenger.follow(id).await.unwrap();
    let earlier = {
        use indus_messenger::Node as _;
        let args = indus_api::messaging::EntriesArgs {
            conversation: id,
            from: reader.messenger.head(id).unwrap().0,
            limit: 10,
        };
        reader.messenger.node().entries(&args).await.unwrap()
    };
    writer.send(id, "one").await.unwrap();
    reader.messenger.follow(id).await.unwrap();
    reader
        .messenger
        .node()
        .lie(move |page| *page = earlier.clone());
    let answer = reader.messenger.follow(id).await;
    let older = matches!(
        answer,
        Err(MessengerError::Client(ClientError::Older { .. }))
    );
    assert!(older, "{answer:?}");
    assert_eq!(violations(&reader.messenger), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_welcome_that_is_withheld_or_changed_is_noticed() {
    let net = Net::start().await;
    let (id, mut devices) = net.conversation(1).await;
    let mut reader = net.device().await;
    let person = reader.messenger.person();
    devices[0].messenger.invite(id, &[person]).await.unwrap();
    reader
        .messenger
        .node()
        .lie_about_welcomes(|page| page.welcomes.clear());
    assert_eq!(
        alarm(reader.messenger.receive_welcomes().await),
        Violation::Withheld {
            from: 0,
            certified: 1
        }
    );
    reader
        .messenger
        .node()
        .lie_about_welcomes(|page| page.welcomes[0].head[5] ^= 1);
    assert_eq!(
        alarm(reader.messenger.receive_welcomes().await),
        Violation::Falsified { from: 0, until: 1 }
    );
    reader.messenger.node().be_honest();
    assert_eq!(reader.messenger.receive_welcomes().await.unwrap(), [id]);
    devices[0].messenger.send(id, "welcome").await.unwrap();
    reader.messenger.follow(id).await.unwrap();
    assert_eq!(all_texts(&reader.messenger, id).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_key_identity_does_not_certify_is_noticed() {
    let net = Net::start().await;
    let (id, mut devices) = net.conversation(2).await;
    let mut third = net.device().await;
    let person = third.messenger.person();
    let mut reader = devices.pop().unwrap();
    devices[0].messenger.invite(id, &[person]).await.unwrap();
    devices[0]
        .messenger
        .send(id, "with the third")
        .await
        .unwrap();
    // Something that identity certifies as well, but that is not about the key that was added.
    let own = {
        use indus_messenger::Node as _;
        let key = indus_api::identity::messaging_key_key(reader.messenger.signature_key());
        let path = indus_api::identity::path(indus_api::identity::MESSAGING_KEYS, &key);
        let identity = net.subnet.trust.canister("identity").unwrap();
        reader
            .messenger
            .node()
            .certified(identity, &[path])
            .await
            .unwrap()
    };
    reader
        .messenger
        .node()
        .lie_about_keys(move |read| *read = own.clone());
    let noticed = alarm(reader.messenger.follow(id).await);
    assert_eq!(
        noticed,
        Violation::ForeignKey {
            person,
            key: hex::encode(third.messenger.signature_key())
        }
    );
    reader.messenger.node().be_honest();
    reader.messenger.follow(id).await.unwrap();
    assert_eq!(all_texts(&reader.messenger, id).len(), 1);
    assert_eq!(third.messenger.receive_welcomes().await.unwrap(), [id]);
}
