//! Identity and messaging: laid out natively as a [`Draft`], then on a subnet as a [`Live`] one.

use anyhow::{Context as _, anyhow};
use candid::{CandidType, Decode, Encode, Principal};
use ic_stable_structures::VectorMemory;
use identity::{messaging_keys, persons};
use indus_api::{
    Error, Subject,
    identity::{self as identity_api, BindMessagingKeyArgs, MethodKind, RegisterArgs, to_prove},
    messaging::{Configuration, CreateArgs, InitArgs, Label, UploadArgs},
};
use indus_kit::Context;
use messaging::{State, commits, conversations, packages};
use openmls::prelude::KeyPackage;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

use super::device::{Device, Founder, uploaded};
use crate::net::{self, Net};

pub(super) const SECOND_NS: u64 = 1_000_000_000;
pub(super) const MINUTE_NS: u64 = 60 * SECOND_NS;
/// Longer than the interval of the job that prepares what queries need: a minute.
const WARM_UP_NS: u64 = 61 * SECOND_NS;
/// Devices that one commit adds.
const ADDED: usize = 99;

/// Two canisters natively.
pub(super) struct Draft {
    net: Net,
    registry: Principal,
    identity: Principal,
    messaging: Principal,
    identity_memory: VectorMemory,
    began_ns: u64,
    pub(super) time_ns: u64,
    pub(super) memory: VectorMemory,
    pub(super) state: State<VectorMemory>,
    holders: conversations::Holders,
}

/// Two canisters on a subnet.
pub(super) struct Live {
    pub(super) net: Net,
    identity: Principal,
    messaging: Principal,
}

impl Draft {
    /// With so many persons, and the device of each.
    pub(super) fn new(people: u64) -> anyhow::Result<(Self, Vec<Device>)> {
        // Devices look at the clock themselves: it must be theirs.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        let now_ns = u64::try_from(now.as_nanos())?;
        let mut net = Net::beginning(now_ns)?;
        let (registry, identity, messaging) = (net.create()?, net.create()?, net.create()?);

        let mut context = Context {
            caller: Principal::management_canister(),
            time_ns: now_ns - (people + 1) * MINUTE_NS,
        };
        let identity_memory = VectorMemory::default();
        let init = identity_init(registry, messaging);
        let mut persons =
            identity::State::create(identity_memory.clone(), &context, identity, init)?;
        persons.randomness.seed([7; 32]);
        let mut devices = Vec::new();
        for number in 0..people {
            context.time_ns += MINUTE_NS;
            context.caller = net::key("person", number);
            devices.push(register(&mut persons, &context, identity, number)?);
            persons.kit.certified.commit();
        }

        context.time_ns = now_ns;
        let memory = VectorMemory::default();
        let init = messaging_init(identity, registry);
        let mut state = State::create(memory.clone(), &context, messaging, init)?;
        state.randomness.seed([7; 32]);
        let holders = devices
            .iter()
            .map(|device| (device.key(), Some(subject(device.person))))
            .collect();
        let draft = Self {
            net,
            registry,
            identity,
            messaging,
            identity_memory,
            began_ns: now_ns,
            time_ns: now_ns,
            memory,
            state,
            holders,
        };
        Ok((draft, devices))
    }

    /// A conversation of these devices, the first of which founds it and adds the others. Returns its number.
    pub(super) fn conversation(
        &mut self,
        founder: Device,
        others: &[Device],
    ) -> anyhow::Result<(u64, Founder)> {
        let mut founder = founder.found()?;
        let args = CreateArgs {
            group_info: founder.group_info()?,
            label: Label::Open,
        };
        let (context, subject) = self.calling(&founder.device);
        let view = conversations::create(&mut self.state, &context, &subject, args, &self.holders)?;
        let id = view.conversation.id;
        for added in others.chunks(ADDED) {
            let packages = added
                .iter()
                .map(|device| self.upload(device))
                .collect::<anyhow::Result<_>>()?;
            let args = founder.commit(id, packages)?;
            // The bucket of commits fills again.
            self.time_ns += MINUTE_NS;
            let (context, subject) = self.calling(&founder.device);
            commits::submit(&mut self.state, &context, &subject, args, &self.holders)?;
            founder.accepted()?;
            self.state.kit.certified.commit();
        }
        Ok((id, founder))
    }

    /// Puts a key package into store.
    pub(super) fn upload(&mut self, device: &Device) -> anyhow::Result<KeyPackage> {
        let package = device.package()?;
        let args = UploadArgs {
            key_packages: vec![uploaded(&package)?],
        };
        let (context, subject) = self.calling(device);
        packages::upload(&mut self.state, &context, &subject, &args, &self.holders)?;
        self.state.kit.certified.commit();
        Ok(package)
    }

    /// A call of a device's.
    pub(super) fn calling(&self, device: &Device) -> (Context, Subject) {
        let context = Context {
            caller: device.caller,
            time_ns: self.time_ns,
        };
        (context, subject(device.person))
    }

    /// Bytes of all structures in stable memory, and of these the audit log's.
    pub(super) fn bytes(&self) -> anyhow::Result<(u64, u64)> {
        use ic_stable_structures::Memory as _;
        use indus_kit::{Memories, memories::KitMemory};
        const PAGE: u64 = 65_536;

        let memories = Memories::open(self.memory.clone())?;
        let audit = [KitMemory::LogNodes, KitMemory::LogPayloads];
        let audit = audit.map(|memory| memories.kit(memory).size());
        let all = (0..u8::MAX).map(|id| memories.get(id).size());
        Ok((PAGE * all.sum::<u64>(), PAGE * audit.iter().sum::<u64>()))
    }

    /// Loads both canisters, and lets them open what they find.
    pub(super) fn begin(self) -> anyhow::Result<Live> {
        let Self {
            mut net,
            registry,
            identity,
            messaging,
            identity_memory,
            began_ns,
            time_ns,
            memory,
            state,
            ..
        } = self;
        drop(state);
        net.pass(time_ns - began_ns);
        let init = identity_init(registry, messaging);
        net.begin(identity, "identity", &init, &identity_memory)?;
        let init = messaging_init(identity, registry);
        net.begin(messaging, "messaging", &init, &memory)?;
        net.pass(WARM_UP_NS);
        Ok(Live {
            net,
            identity,
            messaging,
        })
    }
}

impl Live {
    /// An update of messaging that has to succeed.
    pub(super) fn update<R: CandidType + DeserializeOwned>(
        &mut self,
        caller: Principal,
        method: &str,
        argument: Vec<u8>,
    ) -> anyhow::Result<R> {
        let reply = self
            .net
            .reply_to(caller, self.messaging, method, argument)?;
        let reply = Decode!(&reply, Result<R, Error>)?;
        reply.with_context(|| method.to_owned())
    }

    /// The bytes that a query of messaging is answered with.
    pub(super) fn query(
        &self,
        caller: Principal,
        method: &str,
        argument: Vec<u8>,
    ) -> anyhow::Result<Vec<u8>> {
        self.net.answer_to(caller, self.messaging, method, argument)
    }

    /// Lets messaging ask who somebody is, which it knows for a minute then.
    pub(super) fn introduce(&mut self, device: &Device) -> anyhow::Result<()> {
        let known: Subject = self.update(device.caller, "refresh_subject", Encode!()?)?;
        if known.person != device.person {
            return Err(anyhow!("a caller is somebody else: {known:?}"));
        }
        Ok(())
    }

    /// What both have executed, timers left out.
    pub(super) fn spent(&self) -> u64 {
        self.net.instructions(self.messaging) + self.net.instructions(self.identity)
    }
}

/// Registers a person, and binds the messaging key of their device.
fn register(
    state: &mut identity::State<VectorMemory>,
    context: &Context,
    identity: Principal,
    number: u64,
) -> anyhow::Result<Device> {
    let args = RegisterArgs {
        kind: MethodKind::Ed25519,
        alias_commitment: Some(ByteBuf::from([7; 32])),
    };
    let person = persons::register(state, context, args)?.id;
    let device = Device::new(number, context.caller, person);
    let args = BindMessagingKeyArgs {
        signature_key: ByteBuf::from(device.key()),
        proof: ByteBuf::from(device.sign(&to_prove(identity, person))),
    };
    messaging_keys::bind(state, context, args)?;
    Ok(device)
}

/// A person who holds no office.
fn subject(person: Principal) -> Subject {
    Subject {
        person,
        organisation: None,
        roles: Default::default(),
    }
}

fn identity_init(registry: Principal, messaging: Principal) -> identity_api::InitArgs {
    identity_api::InitArgs {
        registry,
        configuration: identity_api::Configuration {
            suite_canisters: vec![messaging],
            recovery_delay_ns: None,
        },
    }
}

fn messaging_init(identity: Principal, registry: Principal) -> InitArgs {
    InitArgs {
        identity,
        registry,
        configuration: Configuration::default(),
    }
}
