//! Officials of two ministries and an auditor converse: devices come and go, strangers are kept out, the log is verified by somebody who
//! can't read it, and a node that leaves something out is found out.

use std::future::Future;
use std::path::Path;

use candid::Principal;
use indus_api::CertifiedRead;
use indus_api::messaging::{
    EntriesArgs, EntriesPage, Label, ProofArgs, WelcomesArgs, WelcomesPage,
};
use indus_client::{ClientError, Connection, SuiteCanister};
use indus_messenger::{Messenger, MessengerError, Node, Standing, Subnet, Violation, What, audit};
use serde_bytes::ByteBuf;

use super::officials::{Device, appointed, paired};
use super::{Council, Stage, TourError, at, unexpected};
use crate::console::Console;

const ACT: &str = "conversing";
/// The founding organisations whose officials converse, the auditor's last.
const ORGANISATIONS: [u64; 3] = [3, 4, 5];
/// What they may do there does not matter.
const ROLE: &str = "correspondent";

/// The nodes of the subnet, and one of them that leaves an entry out.
struct Omitting {
    nodes: Subnet,
    entry: Option<u64>,
}

impl Node for Omitting {
    async fn entries(&self, args: &EntriesArgs) -> Result<EntriesPage, ClientError> {
        let mut page = self.nodes.entries(args).await?;
        page.entries.retain(|entry| Some(entry.index) != self.entry);
        Ok(page)
    }

    fn welcomes(
        &self,
        args: &WelcomesArgs,
    ) -> impl Future<Output = Result<WelcomesPage, ClientError>> + Send {
        self.nodes.welcomes(args)
    }

    fn consistency(
        &self,
        args: &ProofArgs,
    ) -> impl Future<Output = Result<Vec<ByteBuf>, ClientError>> + Send {
        self.nodes.consistency(args)
    }

    fn certified(
        &self,
        canister: Principal,
        paths: &[Vec<ByteBuf>],
    ) -> impl Future<Output = Result<CertifiedRead, ClientError>> + Send {
        self.nodes.certified(canister, paths)
    }
}

/// Somebody with a device that writes and reads.
struct Correspondent {
    device: Device,
    messenger: Messenger<Omitting>,
}

impl Correspondent {
    async fn with(
        connection: &Connection,
        device: Device,
        folder: &Path,
    ) -> Result<Self, TourError> {
        let nodes = Subnet::new(&connection.signing_as(&device.key)).map_err(at(ACT))?;
        let node = Omitting { nodes, entry: None };
        let path = folder.join(device.key.principal().to_text());
        let messenger = Messenger::with_node(connection, &device.key, &path, node).await?;
        Ok(Self { device, messenger })
    }

    /// What it reads of a conversation, from the beginning of what it may read.
    async fn texts(&mut self, id: u64) -> Result<Vec<String>, TourError> {
        self.messenger.follow(id).await?;
        let all = self.messenger.history(id, 0, usize::MAX)?;
        Ok(all
            .into_iter()
            .filter_map(|message| match message.what {
                What::Text(text) => Some(text),
                _ => None,
            })
            .collect())
    }
}

/// Plays it.
pub(crate) async fn conversed(
    stage: &Stage<'_>,
    council: &Council,
    console: &mut Console,
) -> Result<(), TourError> {
    let connection = &stage.connection;
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let mut people = Vec::new();
    for organisation in ORGANISATIONS {
        let (device, person) = Device::registered(connection).await?;
        let number = usize::try_from(organisation).unwrap_or_default();
        let administrator = council.governor(number)?.connection().clone();
        let administrator = SuiteCanister::new(administrator, "identity").map_err(at(ACT))?;
        appointed(&administrator, &device, organisation, person, ROLE).await?;
        people.push(Correspondent::with(connection, device, folder).await?);
    }
    let Ok([mut first, mut second, mut auditor]) = <[Correspondent; 3]>::try_from(people) else {
        return Err(unexpected(ACT, "there are three correspondents"));
    };

    let id = first.messenger.create(Label::Official).await?;
    let others = [second.messenger.person(), auditor.messenger.person()];
    first.messenger.invite(id, &others).await?;
    for one in [&mut second, &mut auditor] {
        one.messenger.receive_welcomes().await?;
    }
    let mut said = Vec::new();
    for (number, text) in [
        "The draft budget is ready.",
        "Received.",
        "Please state the source.",
    ]
    .into_iter()
    .enumerate()
    {
        let by = match number {
            0 => &mut first,
            1 => &mut second,
            _ => &mut auditor,
        };
        by.messenger.follow(id).await?;
        by.messenger.send(id, text).await?;
        said.push(text.to_owned());
    }
    for one in [&mut first, &mut second, &mut auditor] {
        if one.texts(id).await? != said {
            return Err(unexpected(ACT, "everybody reads the same in one order"));
        }
    }
    console.line(format_args!(
        "conversation:  {id}: officials of organisations {} and {} and an auditor of {}; {} messages, each with a receipt, read by all \
         in one order, encrypted from device to device",
        ORGANISATIONS[0],
        ORGANISATIONS[1],
        ORGANISATIONS[2],
        said.len()
    ));

    devices(stage, id, &mut first, &mut second, folder).await?;
    console.line(
        "devices:       a second device of an official added, and removed with its key when it was lost: it reads nothing more",
    );

    let (stranger, _) = Device::registered(connection).await?;
    let mut stranger = Correspondent::with(connection, stranger, folder).await?;
    let args = EntriesArgs {
        conversation: id,
        from: 0,
        limit: 1,
    };
    let answer = stranger.messenger.node().entries(&args).await;
    let refusal = super::refused(ACT, "a stranger", answer)?;
    console.line(format_args!("stranger:      refused: {refusal}"));

    auditor.messenger.follow(id).await?;
    let (size, root) = auditor.messenger.head(id)?;
    let known = indus_verify::LogHead { root, size };
    first
        .messenger
        .send(id, "From the accounts of 2025.")
        .await?;
    let audited = audit(connection, id, Some(&known)).await.map_err(at(ACT))?;
    if audited.head.size != size + 1 {
        return Err(unexpected(ACT, "the log goes on by one entry"));
    }
    console.line(format_args!(
        "log verified:  conversation {id}, {} entries by their hashes alone, root {}…: without a key, and without reading",
        audited.head.size,
        &hex::encode(audited.head.root)[..16]
    ));

    first.messenger.send(id, "They are published.").await?;
    auditor.messenger.node().entry = Some(size);
    let alarm = match auditor.messenger.follow(id).await {
        Err(MessengerError::Alarm(alarm)) => alarm,
        _ => return Err(unexpected(ACT, "an entry that is left out is noticed")),
    };
    let expected = Violation::Missing {
        expected: size,
        found: size + 1,
    };
    if alarm.violation != expected || auditor.messenger.evidence(alarm.number)?.is_none() {
        return Err(unexpected(
            ACT,
            format!("{} instead of {expected}", alarm.violation),
        ));
    }
    auditor.messenger.node().entry = None;
    let read = auditor.texts(id).await?;
    if read.last().map(String::as_str) != Some("They are published.") {
        return Err(unexpected(ACT, "an honest node shows what was left out"));
    }
    console.line(format_args!(
        "alarm:         a node left out entry {size}: noticed at the next one, kept with its evidence; an honest node shows it"
    ));
    Ok(())
}

/// A second device of the first one comes, and goes.
async fn devices(
    stage: &Stage<'_>,
    id: u64,
    first: &mut Correspondent,
    second: &mut Correspondent,
    folder: &Path,
) -> Result<(), TourError> {
    let connection = &stage.connection;
    let person = first.messenger.person();
    let tablet = paired(connection, &first.device, person).await?;
    let key = tablet.key.principal();
    let mut tablet = Correspondent::with(connection, tablet, folder).await?;
    first.messenger.invite(id, &[person]).await?;
    tablet.messenger.receive_welcomes().await?;
    tablet.messenger.send(id, "From the second device.").await?;
    second.messenger.follow(id).await?;

    first.device.update::<()>("remove_method", &key).await?;
    let members = second.messenger.members(id).await?;
    let lost = members
        .iter()
        .filter(|member| matches!(member.standing, Standing::Ended { .. }));
    if lost.count() != 1 {
        return Err(unexpected(ACT, "a lost device's key has ended"));
    }
    first.messenger.remove(id, person, None).await?;
    first
        .messenger
        .send(id, "The second device is gone.")
        .await?;
    second.messenger.follow(id).await?;
    // It may still find its own removal; behind that there is nothing for it.
    let _removal = tablet.messenger.follow(id).await;
    if tablet.messenger.follow(id).await.is_ok() {
        return Err(unexpected(ACT, "a device that was removed reads nothing"));
    }
    Ok(())
}
