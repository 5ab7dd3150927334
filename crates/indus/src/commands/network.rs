//! Which network a command works on, as whom, and for whom it prints.

use std::path::PathBuf;

use clap::Args;
use indus_client::{Connection, Key, RegistryClient, SuiteCanister, TrustFile};

use crate::failure::Failure;
use crate::key_file;

#[derive(Args)]
pub(crate) struct Network {
    /// The network's trust file: its address, root key, and canisters.
    #[arg(
        long,
        value_name = "FILE",
        global = true,
        default_value = ".indus/trust.json"
    )]
    trust: PathBuf,
    /// The key to sign with, as `indus key new` writes it; reading needs none.
    #[arg(long, value_name = "FILE", global = true)]
    key: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Network {
    /// The registry, to read.
    pub(crate) fn registry(&self) -> Result<RegistryClient, Failure> {
        RegistryClient::new(self.connection()?).map_err(|error| Failure::file(&self.trust, error))
    }

    /// The registry, to sign calls to.
    pub(crate) fn signing(&self) -> Result<RegistryClient, Failure> {
        let key = self.signing_key()?;
        RegistryClient::new(self.connection()?.signing_as(&key))
            .map_err(|error| Failure::file(&self.trust, error))
    }

    /// Another canister of the suite, to read as anybody.
    pub(crate) fn canister(&self, name: &str) -> Result<SuiteCanister, Failure> {
        self.named(self.connection()?, name)
    }

    /// Another canister of the suite, to sign calls to, and to read what only some may read.
    pub(crate) fn signing_to(&self, name: &str) -> Result<SuiteCanister, Failure> {
        let key = self.signing_key()?;
        self.named(self.connection()?.signing_as(&key), name)
    }

    /// The key that is signed with.
    pub(crate) fn signing_key(&self) -> Result<Key, Failure> {
        let Some(path) = &self.key else {
            return Err(Failure::Usage(String::from(
                "this is signed: name a key file with --key; `indus key new FILE` makes one",
            )));
        };
        key_file::read(path).map_err(|error| Failure::file(path, error))
    }

    fn named(&self, connection: Connection, name: &str) -> Result<SuiteCanister, Failure> {
        SuiteCanister::new(connection, name).map_err(|error| Failure::file(&self.trust, error))
    }

    /// Writes the trust file.
    pub(crate) fn save(&self, trust: &TrustFile) -> Result<(), Failure> {
        let saved = trust.save(&self.trust);
        saved.map_err(|error| Failure::Failed(error.to_string()))
    }

    /// Whether a key was named.
    pub(crate) fn has_key(&self) -> bool {
        self.key.is_some()
    }

    pub(crate) fn connection(&self) -> Result<Connection, Failure> {
        let trust =
            TrustFile::load(&self.trust).map_err(|error| Failure::Usage(error.to_string()))?;
        Connection::open(trust).map_err(Failure::failed)
    }
}
