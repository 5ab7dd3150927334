//! Methods and hooks of a canister, read from the names of its exports (IC interface specification,
//! "Entry points").

use std::collections::BTreeMap;

use wasmparser::{FuncType, ValType};

use crate::{ModuleError, RESERVED_EXPORT_PREFIX, limits};

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

/// Exports that subnets keep for what they add to a module themselves.
const RESERVED: &[&str] = &[
    "canister counter_instructions",
    "canister_start",
    "canister counter_dirty_pages",
    "canister counter_accessed_pages",
    "stable_memory",
    "stable_bytemap_memory",
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

    /// Records one exported function.
    pub(crate) fn add(&mut self, name: &str, ty: Option<&FuncType>) -> Result<(), ModuleError> {
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
                Err(ModuleError::Export(format!(
                    "Exporting reserved function '{name}' with \"canister_\" prefix"
                )))
            } else {
                Ok(())
            };
        }
        if let Some((method, kind)) = method {
            self.name_bytes += method.len();
            if self.methods.insert(method.to_owned(), kind).is_some() {
                return Err(ModuleError::DuplicateMethod {
                    name: method.to_owned(),
                });
            }
        }
        expect_type(name, ty, &[], &[])?;
        self.hooks.extend(hook);
        Ok(())
    }

    /// Holds what was recorded to the limits.
    pub(crate) fn check(&self) -> Result<(), ModuleError> {
        if self.methods.len() > limits::METHODS {
            return Err(ModuleError::TooManyMethods {
                is: self.methods.len(),
                limit: limits::METHODS,
            });
        }
        if self.name_bytes > limits::METHOD_NAME_BYTES {
            return Err(ModuleError::MethodNamesTooLong {
                is: self.name_bytes,
                limit: limits::METHOD_NAME_BYTES,
            });
        }
        Ok(())
    }
}

/// Refuses an export whose name a subnet, or this engine, needs itself.
pub(crate) fn check_name(name: &str) -> Result<(), ModuleError> {
    if RESERVED.contains(&name) || name.starts_with(RESERVED_EXPORT_PREFIX) {
        return Err(ModuleError::Export(format!(
            "Exporting reserved symbol {name} not allowed."
        )));
    }
    Ok(())
}

/// Refuses a function that has another type than its name says.
pub(crate) fn expect_type(
    name: &str,
    ty: Option<&FuncType>,
    params: &[ValType],
    results: &[ValType],
) -> Result<(), ModuleError> {
    let (is_params, is_results) = ty.map_or((&[][..], &[][..]), |ty| (ty.params(), ty.results()));
    if ty.is_none() || is_params != params {
        return Err(ModuleError::Signature(format!(
            "Expected input params {params:?} for '{name}', got {is_params:?}."
        )));
    }
    if is_results != results {
        return Err(ModuleError::Signature(format!(
            "Expected return type {results:?} for '{name}', got {is_results:?}."
        )));
    }
    Ok(())
}
