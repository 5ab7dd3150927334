//! Groups of mls-rs whose handshakes are public.
#![allow(dead_code, unreachable_pub)]

use std::time::Duration;

use mls_rs::{
    CipherSuite, CipherSuiteProvider, Client, CryptoProvider, ExtensionList, Group,
    client_builder::MlsConfig,
    identity::{
        SigningIdentity,
        basic::{BasicCredential, BasicIdentityProvider},
    },
    mls_rules::{CommitOptions, DefaultMlsRules, EncryptionOptions},
};
use mls_rs_crypto_rustcrypto::RustCryptoProvider;

use super::Bundle;

pub const SUITE: CipherSuite = CipherSuite::CURVE25519_AES128;

/// Updates its own keys by additions too if `path`.
pub fn client(name: &str, path: bool) -> Client<impl MlsConfig + use<>> {
    let crypto = RustCryptoProvider::new();
    let (secret, public) = crypto
        .cipher_suite_provider(SUITE)
        .unwrap()
        .signature_key_generate()
        .unwrap();
    let credential = BasicCredential::new(name.as_bytes().to_vec()).into_credential();
    let options = CommitOptions::new()
        .with_path_required(path)
        .with_allow_external_commit(true)
        .with_ratchet_tree_extension(false);
    Client::builder()
        .identity_provider(BasicIdentityProvider)
        .crypto_provider(crypto)
        .key_package_lifetime(Duration::from_secs(30 * 24 * 3600))
        .mls_rules(
            DefaultMlsRules::new()
                .with_commit_options(options)
                .with_encryption_options(EncryptionOptions::new(false, Default::default())),
        )
        .signing_identity(SigningIdentity::new(credential, public), secret, SUITE)
        .build()
}

pub fn key_package<C: MlsConfig>(client: &Client<C>) -> Vec<u8> {
    client
        .generate_key_package_message(ExtensionList::default(), ExtensionList::default(), None)
        .unwrap()
        .to_bytes()
        .unwrap()
}

pub fn commit<C: MlsConfig>(group: &mut Group<C>, adds: &[Vec<u8>], removes: &[u32]) -> Bundle {
    let mut builder = group.commit_builder();
    for key_package in adds {
        builder = builder
            .add_member(mls_rs::MlsMessage::from_bytes(key_package).unwrap())
            .unwrap();
    }
    for leaf in removes {
        builder = builder.remove_member(*leaf).unwrap();
    }
    let output = builder.build().unwrap();
    Bundle {
        commit: output.commit_message().to_bytes().unwrap(),
        welcome: output
            .welcome_messages()
            .first()
            .map(|welcome| welcome.to_bytes().unwrap()),
        group_info: output
            .external_commit_group_info()
            .unwrap()
            .to_bytes()
            .unwrap(),
    }
}
