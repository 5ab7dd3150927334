//! Custom sections that a subnet serves under `/canister/<id>/metadata/<name>`.
//!
//! A section named `icp:public NAME` may be read by anyone, one named `icp:private NAME` by the
//! controllers only (IC interface specification, "Canister metadata").

use std::collections::BTreeMap;

use crate::{ModuleError, limits};

/// Who may read a metadata section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    Public,
    Private,
}

/// Content of one metadata section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    pub visibility: Visibility,
    pub content: Vec<u8>,
}

/// Collects the metadata sections of a module and holds them to the limits.
#[derive(Default)]
pub(crate) struct Sections {
    pub(crate) by_name: BTreeMap<String, Metadata>,
    bytes: usize,
}

impl Sections {
    pub(crate) fn add(&mut self, section: &str, content: &[u8]) -> Result<(), ModuleError> {
        let (visibility, name) = if let Some(name) = section.strip_prefix("icp:public ") {
            (Visibility::Public, name)
        } else if let Some(name) = section.strip_prefix("icp:private ") {
            (Visibility::Private, name)
        } else if section.starts_with("icp:") {
            let text = if section == "icp:public" || section == "icp:private" {
                "'icp:' section names must have a space after the public/private scope".to_owned()
            } else {
                format!(
                    "Invalid custom section: Custom section '{section}' has no public/private scope defined."
                )
            };
            return Err(ModuleError::CustomSection(text));
        } else {
            return Ok(());
        };
        self.bytes += name.len() + content.len();
        if self.bytes > limits::METADATA_BYTES {
            return Err(ModuleError::CustomSection(format!(
                "Invalid custom sections: total size of the custom sections exceeds the maximum allowed: size {} bytes, allowed {} bytes",
                self.bytes,
                limits::METADATA_BYTES
            )));
        }
        let metadata = Metadata {
            visibility,
            content: content.to_vec(),
        };
        if self.by_name.insert(name.to_owned(), metadata).is_some() {
            return Err(ModuleError::CustomSection(format!(
                "Invalid custom section: name {name} already exists"
            )));
        }
        if self.by_name.len() > limits::METADATA_SECTIONS {
            return Err(ModuleError::TooMany {
                what: "custom sections",
                is: self.by_name.len(),
                limit: limits::METADATA_SECTIONS,
            });
        }
        Ok(())
    }
}
