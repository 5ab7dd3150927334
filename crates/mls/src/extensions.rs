//! Lists of extensions (RFC 9420, section 13.4): each type once, data as it came.

use crate::{
    MlsError, limits,
    wire::{Reader, Writer},
};

pub const RATCHET_TREE: u16 = 0x0002;
pub const REQUIRED_CAPABILITIES: u16 = 0x0003;
pub const EXTERNAL_PUB: u16 = 0x0004;
/// Of the extensions draft: a key package that may be used more than once.
pub const LAST_RESORT: u16 = 0x000a;

/// Types that each client supports without saying so (section 7.2).
pub(crate) fn is_default(extension_type: u16) -> bool {
    (1..=5).contains(&extension_type)
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions(Vec<Extension>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    pub extension_type: u16,
    pub extension_data: Vec<u8>,
}

impl Extensions {
    /// The data of the extension of a type.
    #[must_use]
    pub fn get(&self, extension_type: u16) -> Option<&[u8]> {
        self.0
            .iter()
            .find(|extension| extension.extension_type == extension_type)
            .map(|extension| &*extension.extension_data)
    }

    pub fn types(&self) -> impl Iterator<Item = u16> {
        self.0.iter().map(|extension| extension.extension_type)
    }

    /// Reads `Extension extensions<V>`.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, MlsError> {
        let mut list = Reader::new(reader.vector()?);
        let mut extensions = Self::default();
        while !list.is_empty() {
            if extensions.0.len() == limits::EXTENSIONS {
                return Err(MlsError::TooLong("a list of extensions"));
            }
            let extension_type = list.u16()?;
            if extensions.get(extension_type).is_some() {
                return Err(MlsError::ExtensionTwice(extension_type));
            }
            extensions.0.push(Extension {
                extension_type,
                extension_data: list.vector()?.to_vec(),
            });
        }
        Ok(extensions)
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        let mut list = Writer::new();
        for extension in &self.0 {
            list.u16(extension.extension_type)
                .vector(&extension.extension_data);
        }
        writer.vector(&list.finish());
    }
}
