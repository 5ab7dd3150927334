//! The kit's part of a canister's state, and its life: installed, upgraded, confirmed.
//!
//! Every step is an event of the log. None does work that grows with the state.

use ic_stable_structures::Memory;
use indus_api::{
    Error,
    icrc3::BlockType,
    service::{CollectionInfo, ServiceInfo},
};

use crate::{
    Change, Context, Event,
    certified::{Certified, CollectionSpec},
    codes,
    http::{
        Site,
        status::{Kind, Metric, Sample, Status},
    },
    installation::Installation,
    memories::{KitMemory, Memories},
    open::OpenError,
};

/// The first block of a log: the canister was installed.
pub const INSTALLED: &str = "canister.installed";
/// A new module runs, in maintenance.
pub const UPGRADED: &str = "canister.upgraded";
/// The orchestrator has confirmed the upgrade.
pub const CONFIRMED: &str = "canister.confirmed";

/// Where the block types are described.
const BLOCK_TYPES_URL: &str = "https://docs.rs/indus-api/latest/indus_api/audit";

/// What a canister is, the same for all installations of one module.
#[derive(Debug)]
pub struct Definition {
    /// Its name, which stable memory is checked for.
    pub kind: &'static str,
    /// What it is for, in a sentence.
    pub about: &'static str,
    /// Version of its source.
    pub version: &'static str,
    /// Version of the layout of its stable memory: its own memories and what is in them.
    pub layout: u32,
    /// Its collections. New ones are added at the end.
    pub collections: &'static [CollectionSpec],
    /// Types of the blocks that it makes, besides the kit's.
    pub block_types: &'static [&'static str],
}

impl Definition {
    /// All types of blocks that the canister can make.
    #[must_use]
    pub fn supported_block_types(&self) -> Vec<BlockType> {
        [INSTALLED, UPGRADED, CONFIRMED]
            .into_iter()
            .chain(self.block_types.iter().copied())
            .map(|block_type| BlockType {
                block_type: block_type.into(),
                url: BLOCK_TYPES_URL.into(),
            })
            .collect()
    }
}

/// The kit's part of a canister's state.
pub struct Kit<M: Memory> {
    definition: &'static Definition,
    installation: Installation<M>,
    /// The certified state.
    pub certified: Certified<M>,
    /// The pages as they were rendered last, since the canister was started.
    pub(crate) site: Option<Site>,
}

impl<M: Memory> Kit<M> {
    /// Lays out the kit's memories. [`Kit::installed`] has to follow.
    ///
    /// # Errors
    /// [`Error::Internal`] if stable memory can't grow.
    pub fn create(memories: &Memories<M>, definition: &'static Definition) -> Result<Self, Error> {
        Ok(Self {
            definition,
            site: None,
            certified: Certified::create(memories, definition.collections)?,
            installation: Installation::create(
                memories.kit(KitMemory::Installation),
                definition.kind,
                definition.layout,
            )?,
        })
    }

    /// Opens the kit's memories. [`Kit::upgraded`] has to follow.
    ///
    /// # Errors
    /// [`OpenError`]; nothing is written then.
    pub fn open(
        memories: &Memories<M>,
        definition: &'static Definition,
    ) -> Result<Self, OpenError> {
        Self::open_since(memories, definition, definition.layout)
    }

    /// The same with a layout that may be as old as `oldest`. What is older than the module's own becomes its layout with the
    /// note of the upgrade; the canister reads the records of both.
    ///
    /// # Errors
    /// [`OpenError`]; nothing is written then.
    pub fn open_since(
        memories: &Memories<M>,
        definition: &'static Definition,
        oldest: u32,
    ) -> Result<Self, OpenError> {
        let header = memories.kit(KitMemory::Installation);
        let known = oldest..=definition.layout;
        let installation = Installation::open(header, definition.kind, known)?;
        Ok(Self {
            definition,
            site: None,
            certified: Certified::open(memories, definition.collections)?,
            installation,
        })
    }

    /// Begins the log, with the records that the installation starts with.
    ///
    /// # Errors
    /// Those of [`Certified::record`].
    pub fn installed(&mut self, context: &Context, changes: Vec<Change>) -> Result<(), Error> {
        self.step(context, INSTALLED, changes)
    }

    /// Notes that a new module runs, and begins the maintenance.
    ///
    /// # Errors
    /// Those of [`Certified::record`].
    pub fn upgraded(&mut self, context: &Context) -> Result<(), Error> {
        self.step(context, UPGRADED, Vec::new())?;
        self.installation.set_layout(self.definition.layout);
        self.installation.set_maintenance(true);
        Ok(())
    }

    /// Ends the maintenance. Repeatable. The shell has checked that the orchestrator asks for it.
    ///
    /// # Errors
    /// Those of [`Certified::record`].
    pub fn confirm_upgrade(&mut self, context: &Context) -> Result<(), Error> {
        if self.in_maintenance() {
            self.step(context, CONFIRMED, Vec::new())?;
            self.installation.set_maintenance(false);
        }
        Ok(())
    }

    /// What the canister is.
    #[must_use]
    pub fn definition(&self) -> &'static Definition {
        self.definition
    }

    /// Whether only the orchestrator is answered.
    #[must_use]
    pub fn in_maintenance(&self) -> bool {
        self.installation.in_maintenance()
    }

    /// Refuses everybody during maintenance, but the orchestrator.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub fn check_open(&self, is_orchestrator: impl FnOnce() -> bool) -> Result<(), Error> {
        if !self.in_maintenance() || is_orchestrator() {
            return Ok(());
        }
        Err(Error::Unavailable {
            canister: self.definition.kind.into(),
            reason: "it is in maintenance".into(),
        })
    }

    /// What an operator wants to know of this installation.
    #[must_use]
    pub fn service_info(&self, context: &Context, stable_bytes: u64) -> ServiceInfo {
        let collections = self.certified.collections().iter().map(|collection| {
            let spec = collection.spec();
            CollectionInfo {
                name: spec.name.into(),
                records: collection.len(),
                key_bytes: spec.key_bytes as u64,
            }
        });
        ServiceInfo {
            name: self.definition.kind.into(),
            version: self.definition.version.into(),
            commit: option_env!("INDUS_COMMIT").unwrap_or("unknown").into(),
            compiler: option_env!("INDUS_COMPILER_VERSION")
                .unwrap_or("unknown")
                .into(),
            schema_version: self.definition.layout,
            maintenance: self.in_maintenance(),
            collections: collections.collect(),
            blocks: self.certified.log_len(),
            stable_bytes,
            time_ns: context.time_ns,
        }
    }

    /// Renders and certifies the pages, if they are a minute old.
    pub(crate) fn render(&mut self, context: &Context, stable_bytes: u64, own: Vec<Metric>) {
        if self
            .site
            .as_ref()
            .is_some_and(|site| !site.is_due(context.time_ns))
        {
            return;
        }
        let info = self.service_info(context, stable_bytes);
        let records = info.collections.iter().map(|collection| Sample {
            label: Some(("collection", collection.name.clone())),
            value: collection.records,
        });
        let mut metrics = vec![
            Metric {
                name: "indus_records",
                help: "Records",
                kind: Kind::Gauge,
                samples: records.collect(),
            },
            Metric::gauge("indus_log_blocks", "Blocks of the audit log", info.blocks),
            Metric::gauge(
                "indus_stable_memory_bytes",
                "Bytes of stable memory",
                stable_bytes,
            ),
        ];
        metrics.extend(own);
        let status = Status {
            name: self.definition.kind,
            about: self.definition.about,
            time_ns: context.time_ns,
            facts: vec![
                ("Version", info.version),
                ("Source commit", info.commit),
                ("Compiler", info.compiler),
                ("Layout", info.schema_version.to_string()),
            ],
            metrics,
        };
        // Pages that can't be rendered stay as they are, and say how old they are.
        if let Ok(site) = Site::render(context.time_ns, status.pages()) {
            self.certified.set_http_expr(site.root_hash());
            self.site = Some(site);
        }
    }

    fn step(
        &mut self,
        context: &Context,
        kind: &'static str,
        changes: Vec<Change>,
    ) -> Result<(), Error> {
        let details = candid::encode_one(self.definition.version)
            .map_err(|_| codes::internal(codes::DETAILS_NOT_ENCODED))?;
        self.certified.record(Event {
            kind,
            actor: context.caller,
            time_ns: context.time_ns,
            changes,
            details,
        })?;
        Ok(())
    }
}
