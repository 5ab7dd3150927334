//! The table and the dropped segments of an instance: saved and restored with the rest of its state.
//!
//! Most modules change neither, and pay nothing: `canister_module::instrument` exports what is needed here
//! for those alone whose code could. They set a global ([`CHANGED_EXPORT`]) before each change, so that
//! messages without one cost a look at it.
//!
//! A reference to a function means nothing outside its instance, so a table is saved as indices of functions,
//! which are recognised by their addresses. A table can't shrink and a dropped segment can't come back: where a
//! rollback would need that, the instance is replaced by a new one.
//!
//! Cost: a message that changes the table costs a pass over it.

use std::collections::HashMap;

use canister_module::{
    CHANGED_EXPORT, DROP_EXPORT_PREFIX, DROPPED_EXPORT_PREFIX, FUNCTION_EXPORT_PREFIX, TABLE_EXPORT,
};
use wasmtime::{Func, Global, Instance, Ref, Store, Table, TypedFunc, Val};

use super::RuntimeError;
use crate::ic0::Host;

/// Stands for no function in a saved table; a module has far fewer.
const NULL: u32 = u32::MAX;

/// What of an instance is watched.
pub(super) struct Tracked {
    changed: Global,
    table: Option<Table>,
    /// The functions of the module, by index.
    functions: Vec<Func>,
    /// Their indices, by address.
    indices: HashMap<usize, u32>,
    /// Whether a segment was dropped, and what drops it.
    segments: Vec<(Global, TypedFunc<(), ()>)>,
}

/// The table and the dropped segments as of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Saved {
    table: Vec<u32>,
    dropped: Vec<bool>,
}

impl Tracked {
    /// What is to be watched, if anything is.
    pub(super) fn find(store: &mut Store<Host>, instance: Instance) -> Option<Self> {
        let changed = instance.get_global(&mut *store, CHANGED_EXPORT)?;
        let names: Vec<String> = instance
            .exports(&mut *store)
            .map(|export| export.name().to_owned())
            .collect();
        let segments = names
            .iter()
            .filter_map(|name| {
                let segment = name.strip_prefix(DROPPED_EXPORT_PREFIX)?;
                let dropped = instance.get_global(&mut *store, name)?;
                let drop = format!("{DROP_EXPORT_PREFIX}{segment}");
                Some((dropped, instance.get_typed_func(&mut *store, &drop).ok()?))
            })
            .collect();
        // The exports stand in the order of the functions.
        let functions: Vec<Func> = names
            .iter()
            .filter(|name| name.starts_with(FUNCTION_EXPORT_PREFIX))
            .filter_map(|name| instance.get_func(&mut *store, name))
            .collect();
        let indices = (0..)
            .zip(&functions)
            .map(|(index, function)| (function.to_raw(&mut *store) as usize, index))
            .collect();
        Some(Self {
            changed,
            table: instance.get_table(&mut *store, TABLE_EXPORT),
            functions,
            indices,
            segments,
        })
    }

    /// Whether anything may have changed since the last commit or rollback.
    pub(super) fn has_changed(&self, store: &mut Store<Host>) -> bool {
        is_set(self.changed, store)
    }

    /// Forgets that there were changes.
    pub(super) fn settle(&self, store: &mut Store<Host>) -> Result<(), RuntimeError> {
        set(self.changed, store, false)
    }

    pub(super) fn save(&self, store: &mut Store<Host>) -> Saved {
        let size = self.table.map_or(0, |table| table.size(&*store));
        let table = (0..size).map(|at| self.element(store, at)).collect();
        let dropped = self
            .segments
            .iter()
            .map(|(dropped, _)| is_set(*dropped, store))
            .collect();
        Saved { table, dropped }
    }

    /// Makes everything as it was saved; false where only a new instance can be like that.
    pub(super) fn restore(
        &self,
        store: &mut Store<Host>,
        saved: &Saved,
    ) -> Result<bool, RuntimeError> {
        let size = self.table.map_or(0, |table| table.size(&*store));
        if size != saved.table.len() as u64 {
            return Ok(false);
        }
        for ((dropped, _), was) in self.segments.iter().zip(&saved.dropped) {
            if is_set(*dropped, store) != *was {
                return Ok(false);
            }
        }
        self.write_table(store, &saved.table)?;
        self.settle(store)?;
        Ok(true)
    }

    /// Makes a new instance like the one that was saved.
    pub(super) fn apply(&self, store: &mut Store<Host>, saved: &Saved) -> Result<(), RuntimeError> {
        if let Some(table) = self.table {
            let missing = (saved.table.len() as u64).saturating_sub(table.size(&*store));
            table
                .grow(&mut *store, missing, Ref::Func(None))
                .map_err(failed)?;
        }
        self.write_table(store, &saved.table)?;
        for ((dropped, drop), was) in self.segments.iter().zip(&saved.dropped) {
            if *was {
                drop.call(&mut *store, ()).map_err(failed)?;
            }
            set(*dropped, store, *was)?;
        }
        self.settle(store)
    }

    fn write_table(&self, store: &mut Store<Host>, saved: &[u32]) -> Result<(), RuntimeError> {
        let Some(table) = self.table else {
            return Ok(());
        };
        for (at, index) in (0..).zip(saved) {
            if self.element(store, at) == *index {
                continue;
            }
            let function = self.functions.get(*index as usize).copied();
            table
                .set(&mut *store, at, Ref::Func(function))
                .map_err(failed)?;
        }
        Ok(())
    }

    /// Index of the function at a place of the table.
    fn element(&self, store: &mut Store<Host>, at: u64) -> u32 {
        let element = self.table.and_then(|table| table.get(&mut *store, at));
        let Some(Ref::Func(Some(function))) = element else {
            return NULL;
        };
        let address = function.to_raw(&mut *store) as usize;
        self.indices.get(&address).copied().unwrap_or(NULL)
    }
}

fn is_set(global: Global, store: &mut Store<Host>) -> bool {
    global.get(&mut *store).i32() == Some(1)
}

fn set(global: Global, store: &mut Store<Host>, value: bool) -> Result<(), RuntimeError> {
    global
        .set(&mut *store, Val::I32(i32::from(value)))
        .map_err(failed)
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "the form that map_err asks for"
)]
fn failed(error: wasmtime::Error) -> RuntimeError {
    RuntimeError(format!("{error:#}"))
}
