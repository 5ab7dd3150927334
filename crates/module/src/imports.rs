//! Imports: functions of `ic0`, with their types, and nothing else.

use wasmparser::{FuncType, TypeRef};

use crate::{ModuleError, exports::expect_type, system_api};

/// One import, kept until it is known how wide the addresses of the module are.
pub(crate) struct Import<'a> {
    pub(crate) module: &'a str,
    pub(crate) name: &'a str,
    pub(crate) ty: TypeRef,
}

/// Checks one import against the functions that a module with such a memory may import.
pub(crate) fn check(
    import: &Import<'_>,
    types: &[Option<FuncType>],
    memory64: bool,
) -> Result<(), ModuleError> {
    let refused = |text: String| Err(ModuleError::Import(text));
    let Import { module, name, ty } = import;
    let index = match ty {
        TypeRef::Func(index) => *index,
        TypeRef::Table(_) => return refused("Importing tables is not allowed.".to_owned()),
        TypeRef::Memory(_) => return refused("Importing memories is not allowed.".to_owned()),
        TypeRef::Global(_) => return refused("Importing globals is not allowed.".to_owned()),
        _ => return refused("Importing tags is not allowed.".to_owned()),
    };
    let Some((params, results)) = system_api::signature(name, memory64) else {
        return refused(format!(
            "Module imports function '{name}' from '{module}' that is not exported by the runtime."
        ));
    };
    if *module != "ic0" {
        return refused(format!(
            "Module imports function {name:?} from {module:?}, expected to be imported from one of [\"ic0\"] instead."
        ));
    }
    let ty = types.get(index as usize).and_then(Option::as_ref);
    expect_type(name, ty, &params, &results)
}
