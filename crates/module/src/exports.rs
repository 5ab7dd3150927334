//! Methods and hooks of a canister, read from the names of its exports (IC interface specification,
//! "Entry points").

use std::collections::BTreeMap;

use crate::{ModuleError, limits};

/// How a method may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MethodKind {
    Update,
    Query,
    CompositeQuery,
}

impl MethodKind {
    /// Name of the export behind a method of this kind.
    #[must_use]
    pub fn export(self, method: &str) -> String {
        match self {
            Self::Update => format!("canister_update {method}"),
            Self::Query => format!("canister_query {method}"),
            Self::CompositeQuery => format!("canister_composite_query {method}"),
        }
    }
}

/// Hooks that a canister may export.
const HOOKS: &[&str] = &[
    "canister_global_timer",
    "canister_heartbeat",
    "canister_init",
    "canister_inspect_message",
    "canister_on_low_wasm_memory",
    "canister_post_upgrade",
    "canister_pre_upgrade",
];

/// What a module can be entered by.
#[derive(Clone, Debug, Default)]
pub struct EntryPoints {
    methods: BTreeMap<String, MethodKind>,
    hooks: Vec<&'static str>,
    /// The module has a `(start)` function.
    pub start: bool,
    name_bytes: usize,
}

impl EntryPoints {
    /// Kind of a method, if the canister has it.
    #[must_use]
    pub fn method(&self, name: &str) -> Option<MethodKind> {
        self.methods.get(name).copied()
    }

    /// Whether the canister exports this hook, such as `canister_init`.
    #[must_use]
    pub fn has_hook(&self, hook: &str) -> bool {
        self.hooks.contains(&hook)
    }

    /// Records one exported function. `is_entry` says whether its type is `() -> ()`.
    pub(crate) fn add(&mut self, name: &str, is_entry: bool) -> Result<(), ModuleError> {
        let method = [
            ("canister_update ", MethodKind::Update),
            ("canister_query ", MethodKind::Query),
            ("canister_composite_query ", MethodKind::CompositeQuery),
        ]
        .iter()
        .find_map(|(prefix, kind)| name.strip_prefix(prefix).map(|method| (method, *kind)));
        let hook = HOOKS.iter().find(|hook| **hook == name);
        if method.is_none() && hook.is_none() {
            // The prefix is reserved, so that a misspelt hook is noticed.
            return if name.starts_with("canister_") {
                Err(ModuleError::Export {
                    name: name.to_owned(),
                    reason: "no such entry point",
                })
            } else {
                Ok(())
            };
        }
        if !is_entry {
            return Err(ModuleError::Export {
                name: name.to_owned(),
                reason: "an entry point takes and returns nothing",
            });
        }
        if let Some(hook) = hook {
            self.hooks.push(hook);
        }
        if let Some((method, kind)) = method {
            self.name_bytes += method.len();
            if self.methods.insert(method.to_owned(), kind).is_some() {
                return Err(ModuleError::Export {
                    name: name.to_owned(),
                    reason: "the method is exported twice",
                });
            }
            if self.methods.len() > limits::METHODS {
                return Err(ModuleError::limit(
                    "exported methods",
                    self.methods.len(),
                    limits::METHODS,
                ));
            }
            if self.name_bytes > limits::METHOD_NAME_BYTES {
                return Err(ModuleError::limit(
                    "bytes of method names",
                    self.name_bytes,
                    limits::METHOD_NAME_BYTES,
                ));
            }
        }
        Ok(())
    }
}
