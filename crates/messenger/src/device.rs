//! Setting up: the messaging key bound in identity, key packages in store.

use indus_api::identity::{BindMessagingKeyArgs, MessagingKey, to_prove};
use indus_api::messaging::{Device as KnownDevice, MAX_UPLOAD, UploadArgs};
use indus_client::Key;
use openmls::prelude::{
    BasicCredential, Capabilities, CredentialWithKey, ExtensionType, KeyPackage, MlsMessageOut,
    OpenMlsProvider as _,
};
use openmls_traits::signatures::Signer as _;
use serde_bytes::ByteBuf;

use crate::error::{MessengerError, mls};
use crate::group::{SUITE, to_bytes};
use crate::messenger::Messenger;
use crate::node::Node;

/// Key packages that [`Messenger::restock`] keeps in store.
pub const KEY_PACKAGES_IN_STORE: usize = 20;

impl<N: Node> Messenger<N> {
    /// Has identity certify the messaging key. Repeatable.
    pub(crate) async fn bind(&mut self, key: &Key) -> Result<(), MessengerError> {
        debug_assert_eq!(key.principal(), self.device.caller);
        let statement = to_prove(self.device.identity, self.device.person);
        let proof = self
            .signer
            .sign(&statement)
            .map_err(|error| mls("signing")(format!("{error:?}")))?;
        let args = BindMessagingKeyArgs {
            signature_key: self.device.signature_key.clone(),
            proof: ByteBuf::from(proof),
        };
        let _bound: MessagingKey = self.identity.update("bind_messaging_key", &args).await?;
        self.device.is_bound = true;
        self.store().put_device(&self.device)?;
        Ok(self.store().commit()?)
    }

    /// Fills the store of key packages up, and has one for the last resort there. Returns how many are in store.
    ///
    /// # Errors
    /// [`MessengerError`]; packages that were made are uploaded by the next call.
    pub async fn restock(&mut self) -> Result<u32, MessengerError> {
        let mut left = self.store().packages()?;
        if left.is_empty() {
            let own = self.as_known().await?;
            let (known, has_last_resort) =
                own.map_or((0, false), |own| (own.packages, own.has_last_resort));
            let known = usize::try_from(known).unwrap_or(usize::MAX);
            if has_last_resort && known >= KEY_PACKAGES_IN_STORE && self.device.inbox.is_some() {
                return Ok(u32::try_from(known).unwrap_or(u32::MAX));
            }
            for _ in known..KEY_PACKAGES_IN_STORE {
                left.push(self.package(false)?);
            }
            if !has_last_resort {
                left.push(self.package(true)?);
            }
            self.store().put_packages(&left)?;
            self.store().commit()?;
        }
        let mut in_store = 0;
        while !left.is_empty() {
            let count = left.len().min(MAX_UPLOAD);
            let args = UploadArgs {
                key_packages: left[..count].to_vec(),
            };
            in_store = self.messaging.update("upload_key_packages", &args).await?;
            left.drain(..count);
            self.store().put_packages(&left)?;
            self.store().commit()?;
        }
        if self.device.inbox.is_none() {
            let own = self.as_known().await?;
            self.device.inbox = own.map(|own| own.inbox);
            self.store().put_device(&self.device)?;
            self.store().commit()?;
        }
        Ok(in_store)
    }

    /// This device as the canister knows it, which it does from its first key package on.
    async fn as_known(&self) -> Result<Option<KnownDevice>, MessengerError> {
        let devices: Vec<KnownDevice> = self
            .messaging
            .query_as_subject_unverified("my_devices", &())
            .await?;
        let mut devices = devices.into_iter();
        Ok(devices.find(|device| device.signature_key == self.device.signature_key))
    }

    /// A key package, whose secrets are in the step that is under way.
    fn package(&self, last_resort: bool) -> Result<ByteBuf, MessengerError> {
        let mut builder = KeyPackage::builder();
        if last_resort {
            // An extension of a package has to be among what its leaf says that it supports.
            let supported = [ExtensionType::LastResort];
            let capabilities = Capabilities::new(None, None, Some(&supported), None, None);
            builder = builder
                .leaf_node_capabilities(capabilities)
                .mark_as_last_resort();
        }
        let bundle = builder
            .build(SUITE, &self.provider, &self.signer, self.credential())
            .map_err(mls("making a key package"))?;
        to_bytes(&MlsMessageOut::from(bundle.key_package().clone()))
    }

    pub(crate) fn credential(&self) -> CredentialWithKey {
        let identity = self.device.person.as_slice().to_vec();
        CredentialWithKey {
            credential: BasicCredential::new(identity).into(),
            signature_key: self.signer.to_public_vec().into(),
        }
    }

    pub(crate) fn rand(&self) -> [u8; 16] {
        rand::random()
    }

    pub(crate) fn crypto(&self) -> &openmls_rust_crypto::RustCrypto {
        self.provider.crypto()
    }
}
