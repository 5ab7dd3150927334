//! `indus msg`: official conversations, encrypted from device to device, and verified before anything is shown.
//!
//! The key is that of a device: one of a person's methods. What the device keeps is in a file beside the trust file, encrypted with
//! that key; one command at a time has it.
//!
//! Nothing is asked before a message is sent: writing the command is saying it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use candid::Principal;
use clap::{Args, Subcommand, ValueEnum};
use indus_api::messaging::Label;
use indus_messenger::{
    Invited, MAX_TEXT_BYTES, MemberOf, Message, Messenger, MessengerError, Sent, Standing, What,
};
use tokio::time::sleep;

use crate::commands::network::Network;
use crate::commands::sheet::{self, Fields};
use crate::console::Console;
use crate::failure::Failure;
use crate::when;

/// Messages that `read` shows unless it is told another number.
const SHOWN: usize = 50;
/// Between two looks of `follow`.
const PAUSE: Duration = Duration::from_millis(500);

/// Messages: set up a device, begin a conversation, invite, send, read, follow, verify.
#[derive(Args)]
pub(crate) struct Command {
    #[command(flatten)]
    network: Network,
    /// Folder of what devices keep.
    #[arg(
        long,
        value_name = "DIR",
        global = true,
        default_value = ".indus/messages"
    )]
    store: PathBuf,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Sets this device up: a messaging key that identity certifies, and key packages in store, so that others can add it. Repeatable.
    Setup,
    /// Begins a conversation, in which this device is alone, and prints its number.
    Create {
        /// Who may be in it.
        #[arg(long, value_enum, default_value = "official")]
        label: LabelName,
    },
    /// Lists the conversations that this device is in, after looking for new ones.
    List,
    /// Adds all devices of persons.
    Invite {
        #[arg(value_name = "CONVERSATION")]
        id: u64,
        /// Ids of persons.
        #[arg(value_name = "PERSON", required = true)]
        persons: Vec<Principal>,
    },
    /// Removes devices of a person.
    Remove {
        #[arg(value_name = "CONVERSATION")]
        id: u64,
        /// The person's id.
        #[arg(value_name = "PERSON")]
        person: Principal,
        /// Only the device with this messaging key.
        #[arg(long, value_name = "HEX", value_parser = key)]
        device: Option<[u8; 32]>,
    },
    /// Gives this device new keys in a conversation: who stole the old ones reads nothing from then on.
    Renew {
        #[arg(value_name = "CONVERSATION")]
        id: u64,
    },
    /// Sends a text, and prints the receipt.
    Send {
        #[arg(value_name = "CONVERSATION")]
        id: u64,
        /// The text; `-` reads it from standard input.
        #[arg(value_name = "TEXT")]
        text: String,
    },
    /// Shows what is new, verified; with `--all` what was shown before too.
    Read {
        #[arg(value_name = "CONVERSATION")]
        id: u64,
        /// From the beginning, as far as this device has it.
        #[arg(long)]
        all: bool,
        /// Most messages to show.
        #[arg(long, value_name = "N", default_value_t = SHOWN)]
        limit: usize,
    },
    /// Shows what is new, and goes on doing so until it is interrupted.
    Follow {
        #[arg(value_name = "CONVERSATION")]
        id: u64,
    },
    /// Lists the devices in a conversation, each with what identity certifies of its key.
    Members {
        #[arg(value_name = "CONVERSATION")]
        id: u64,
    },
    /// Verifies the whole log of a conversation without reading it: anybody, without a key. With a key, that it goes on from what its
    /// device has verified.
    Verify {
        #[arg(value_name = "CONVERSATION")]
        id: u64,
    },
    /// Lists what was found wrong.
    Alarms {
        /// Write what each rests on into this folder.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

/// Who may be in a conversation.
#[derive(Clone, Copy, ValueEnum)]
enum LabelName {
    /// Every person.
    Open,
    /// Who acts for an active organisation.
    Official,
    /// Of those, who has the role cleared-restricted.
    Restricted,
    /// Of those, who has the role cleared-confidential.
    Confidential,
}

impl From<LabelName> for Label {
    fn from(name: LabelName) -> Self {
        match name {
            LabelName::Open => Self::Open,
            LabelName::Official => Self::Official,
            LabelName::Restricted => Self::Restricted,
            LabelName::Confidential => Self::Confidential,
        }
    }
}

/// Does it.
pub(crate) async fn message(command: Command, console: &mut Console) -> Result<(), Failure> {
    let Command {
        network,
        store,
        verb,
    } = command;
    let json = network.json;
    if let Verb::Verify { id } = verb {
        return verify(&network, &store, id, console).await;
    }
    let text = match &verb {
        Verb::Send { text, .. } => Some(given(text)?),
        _ => None,
    };
    let mut device = open(&network, &store).await?;
    let before = device.alarms().map_err(Failure::failed)?.len();
    let done = match verb {
        Verb::Setup => setup(&mut device, json, console).await,
        Verb::Create { label } => match device.create(label.into()).await {
            Ok(id) => {
                sheet::show(vec![("conversation", id.into())], json, console);
                Ok(())
            }
            Err(error) => Err(error),
        },
        Verb::List => list(&mut device, json, console).await,
        Verb::Invite { id, persons } => device.invite(id, &persons).await.map(|invited| {
            sheet::show(invited_fields(&invited), json, console);
        }),
        Verb::Remove {
            id,
            person,
            device: key,
        } => {
            let removed = device
                .remove(id, person, key.as_ref().map(<[u8; 32]>::as_slice))
                .await;
            removed.map(|count| {
                sheet::show(vec![("devices_removed", count.into())], json, console);
            })
        }
        Verb::Renew { id } => device.renew(id).await.map(|()| {
            sheet::show(vec![("renewed", id.into())], json, console);
        }),
        Verb::Send { id, .. } => {
            let text = text.unwrap_or_default();
            match caught_up(&mut device, id).await {
                Ok(()) => device.send(id, &text).await.map(|sent| {
                    for sent in &sent {
                        sheet::show(sent_fields(sent), json, console);
                    }
                }),
                Err(error) => Err(error),
            }
        }
        Verb::Read { id, all, limit } => read(&mut device, id, all, limit, json, console).await,
        Verb::Follow { id } => follow(&mut device, id, json, console).await,
        Verb::Members { id } => members(&mut device, id, json, console).await,
        Verb::Alarms { out } => return alarms(&device, out.as_deref(), json, console),
        Verb::Verify { .. } => Ok(()),
    };
    // What was found wrong in an entry does not stop the rest; it is said all the same.
    let found = device.alarms().map_err(Failure::failed)?;
    let raised = found.get(before..).unwrap_or_default();
    for alarm in raised {
        console.error(alarm);
    }
    match done {
        Ok(()) if raised.is_empty() => Ok(()),
        Ok(()) => Err(Failure::Failed(format!(
            "{} found wrong; see `indus msg alarms`",
            raised.len()
        ))),
        Err(error) => Err(Failure::failed(error)),
    }
}

async fn open(network: &Network, store: &Path) -> Result<Messenger, Failure> {
    let key = network.signing_key()?;
    // What the trust file lacks is said before anything is made.
    for name in ["messaging", "identity"] {
        network.signing_to(name)?;
    }
    let connection = network.connection()?;
    let file = file(store, key.principal());
    let device = Messenger::open(&connection, &key, &file).await;
    device.map_err(Failure::failed)
}

/// Where the device with this key keeps what it keeps.
fn file(store: &Path, caller: Principal) -> PathBuf {
    store.join(format!("{caller}.redb"))
}

/// The text that was given.
fn given(text: &str) -> Result<String, Failure> {
    if text != "-" {
        return Ok(text.to_owned());
    }
    let mut read = String::new();
    // One byte more than there may be, so that too much is told from enough.
    let limit = u64::try_from(MAX_TEXT_BYTES).unwrap_or(u64::MAX) + 1;
    io::stdin()
        .take(limit)
        .read_to_string(&mut read)
        .map_err(|error| Failure::Usage(format!("standard input: {error}")))?;
    Ok(read.trim_end_matches('\n').to_owned())
}

/// Takes in what has arrived.
async fn caught_up(device: &mut Messenger, id: u64) -> Result<(), MessengerError> {
    device.receive_welcomes().await?;
    device.follow(id).await.map(|_| ())
}

async fn setup(
    device: &mut Messenger,
    json: bool,
    console: &mut Console,
) -> Result<(), MessengerError> {
    let packages = device.restock().await?;
    let shown = vec![
        ("person", device.person().to_text().into()),
        ("messaging_key", sheet::bytes(device.signature_key())),
        ("key_packages_in_store", packages.into()),
    ];
    sheet::show(shown, json, console);
    Ok(())
}

async fn list(
    device: &mut Messenger,
    json: bool,
    console: &mut Console,
) -> Result<(), MessengerError> {
    device.receive_welcomes().await?;
    let mut shown = Vec::new();
    for id in device.conversations()? {
        let (is_in, entries) = device.verified(id)?;
        shown.push(vec![
            ("conversation", id.into()),
            ("member", is_in.into()),
            ("verified_entries", entries.into()),
        ]);
    }
    let columns = ["conversation", "member", "verified_entries"];
    sheet::list(&columns, shown, None, json, console);
    Ok(())
}

async fn read(
    device: &mut Messenger,
    id: u64,
    all: bool,
    limit: usize,
    json: bool,
    console: &mut Console,
) -> Result<(), MessengerError> {
    device.receive_welcomes().await?;
    match device.follow(id).await {
        // What was read before can still be shown.
        Ok(_) | Err(MessengerError::Removed(_)) => {}
        Err(error) => return Err(error),
    }
    let messages = if all {
        device.history(id, 0, limit)?
    } else {
        device.unshown(id, limit)?
    };
    let columns = ["index", "at", "sender", "what"];
    let shown = messages.iter().map(message_fields).collect();
    sheet::list(&columns, shown, None, json, console);
    if let Some(last) = messages.last() {
        device.shown(id, last.index)?;
    }
    Ok(())
}

async fn follow(
    device: &mut Messenger,
    id: u64,
    json: bool,
    console: &mut Console,
) -> Result<(), MessengerError> {
    device.receive_welcomes().await?;
    let mut raised = device.alarms()?.len();
    loop {
        device.follow(id).await?;
        for message in device.unshown(id, SHOWN)? {
            if json {
                console.line(sheet::document(message_fields(&message)));
            } else {
                console.line(line(&message));
            }
            device.shown(id, message.index)?;
        }
        let alarms = device.alarms()?;
        for alarm in alarms.get(raised..).unwrap_or_default() {
            console.error(alarm);
        }
        raised = alarms.len();
        sleep(PAUSE).await;
    }
}

async fn members(
    device: &mut Messenger,
    id: u64,
    json: bool,
    console: &mut Console,
) -> Result<(), MessengerError> {
    device.receive_welcomes().await?;
    device.follow(id).await?;
    let members = device.members(id).await?;
    let columns = ["leaf", "person", "key", "this_device"];
    let shown = members.iter().map(member_fields).collect();
    sheet::list(&columns, shown, None, json, console);
    Ok(())
}

async fn verify(
    network: &Network,
    store: &Path,
    id: u64,
    console: &mut Console,
) -> Result<(), Failure> {
    let connection = network.canister("messaging")?.connection().clone();
    let known = if network.has_key() {
        let device = open(network, store).await?;
        let (size, root) = device.head(id).map_err(Failure::failed)?;
        Some(indus_verify::LogHead { root, size })
    } else {
        None
    };
    let audited = indus_messenger::audit(&connection, id, known.as_ref())
        .await
        .map_err(Failure::failed)?;
    let mut shown = vec![
        ("conversation", id.into()),
        ("entries", audited.head.size.into()),
        ("root", sheet::bytes(&audited.head.root)),
        ("epoch", audited.conversation.epoch.into()),
        ("certified_at", when::utc(audited.certified_at).into()),
    ];
    if let Some(known) = known {
        shown.push(("goes_on_from", known.size.into()));
    }
    sheet::show(shown, network.json, console);
    Ok(())
}

fn alarms(
    device: &Messenger,
    out: Option<&Path>,
    json: bool,
    console: &mut Console,
) -> Result<(), Failure> {
    let alarms = device.alarms().map_err(Failure::failed)?;
    let mut shown = Vec::new();
    for alarm in &alarms {
        let mut fields: Fields = vec![
            ("number", alarm.number.into()),
            ("found_at", sheet::time(alarm.found_at_ns)),
            ("conversation", alarm.conversation.into()),
            ("what", alarm.violation.to_string().into()),
        ];
        let evidence = device.evidence(alarm.number).map_err(Failure::failed)?;
        if let (Some(out), Some(evidence)) = (out, evidence) {
            let path = out.join(format!("alarm-{}.candid", alarm.number));
            let bytes = candid::encode_one(&evidence).map_err(Failure::failed)?;
            fs::create_dir_all(out)
                .and_then(|()| fs::write(&path, bytes))
                .map_err(|error| Failure::file(&path, error))?;
            fields.push(("evidence", path.display().to_string().into()));
        }
        shown.push(fields);
    }
    let columns = ["number", "found_at", "conversation", "what", "evidence"];
    let columns = &columns[..if out.is_some() { 5 } else { 4 }];
    sheet::list(columns, shown, None, json, console);
    Ok(())
}

fn invited_fields(invited: &Invited) -> Fields {
    let without: Vec<String> = invited.without.iter().map(hex::encode).collect();
    vec![
        ("added", sheet::principals(&invited.added)),
        ("devices_without_key_packages", without.into()),
    ]
}

fn sent_fields(sent: &Sent) -> Fields {
    let receipt = &sent.receipt;
    vec![
        ("conversation", receipt.conversation.into()),
        ("index", receipt.index.into()),
        ("at", sheet::time(receipt.at_ns)),
        ("entry_hash", sheet::bytes(&receipt.entry_hash)),
    ]
}

fn member_fields(member: &MemberOf) -> Fields {
    let standing = match member.standing {
        Standing::Holds => "holds".to_owned(),
        Standing::Ended { at_ns } => {
            format!("ended {}", when::utc(indus_verify::Time::from_nanos(at_ns)))
        }
    };
    vec![
        ("leaf", member.leaf.into()),
        ("person", member.person.to_text().into()),
        ("key", standing.into()),
        ("this_device", member.is_this_device.into()),
        ("messaging_key", sheet::bytes(&member.signature_key)),
    ]
}

fn message_fields(message: &Message) -> Fields {
    vec![
        ("index", message.index.into()),
        ("at", sheet::time(message.at_ns)),
        ("sender", message.sender.to_text().into()),
        ("what", what(&message.what).into()),
        ("epoch", message.epoch.into()),
    ]
}

fn line(message: &Message) -> String {
    let text = sheet::printable(&what(&message.what));
    let at = when::utc(indus_verify::Time::from_nanos(message.at_ns));
    format!("{}  {at}  {}  {text}", message.index, message.sender)
}

fn what(what: &What) -> String {
    let names = |persons: &[Principal]| {
        let names: Vec<String> = persons.iter().map(Principal::to_text).collect();
        names.join(", ")
    };
    match what {
        What::Created => "(created the conversation)".to_owned(),
        What::Text(text) => text.clone(),
        What::Earlier => "(written before this device came)".to_owned(),
        What::Unreadable => "(unreadable; see the alarms)".to_owned(),
        What::Changed { added, removed } => match (added.is_empty(), removed.is_empty()) {
            (true, true) => "(renewed keys)".to_owned(),
            (false, true) => format!("(added {})", names(added)),
            (true, false) => format!("(removed {})", names(removed)),
            (false, false) => format!("(added {}; removed {})", names(added), names(removed)),
        },
    }
}

fn key(text: &str) -> Result<[u8; 32], String> {
    let mut key = [0; 32];
    hex::decode_to_slice(text, &mut key).map_err(|_| "64 hexadecimal digits".to_owned())?;
    Ok(key)
}
