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
            return Err(ModuleError::Metadata(format!(
                "section {section:?} is neither icp:public nor icp:private"
            )));
        } else {
            return Ok(());
        };
        self.bytes += name.len() + content.len();
        if self.bytes > limits::METADATA_BYTES {
            return Err(ModuleError::limit(
                "bytes of icp: custom sections",
                self.bytes,
                limits::METADATA_BYTES,
            ));
        }
        let metadata = Metadata {
            visibility,
            content: content.to_vec(),
        };
        if self.by_name.insert(name.to_owned(), metadata).is_some() {
            return Err(ModuleError::Metadata(format!(
                "two icp: custom sections are named {name:?}"
            )));
        }
        if self.by_name.len() > limits::METADATA_SECTIONS {
            return Err(ModuleError::limit(
                "icp: custom sections",
                self.by_name.len(),
                limits::METADATA_SECTIONS,
            ));
        }
        Ok(())
    }
}
