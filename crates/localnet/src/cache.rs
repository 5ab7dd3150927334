//! Where compiled modules are kept, so that the next process needn't compile them again.

use std::{env, path::PathBuf};

/// The folder that LOCALNET_CACHE names, or else one in the user's cache folder; none where LOCALNET_CACHE is empty or
/// the user has no folder. Nothing else is kept there.
#[must_use]
pub fn module_cache() -> Option<PathBuf> {
    let folder = |name| env::var_os(name).map(PathBuf::from);
    if let Some(chosen) = folder("LOCALNET_CACHE") {
        return (!chosen.as_os_str().is_empty()).then_some(chosen);
    }
    let caches = folder("XDG_CACHE_HOME").filter(|path| path.is_absolute());
    let caches = caches.or_else(|| Some(folder("HOME")?.join(".cache")))?;
    Some(caches.join("localnet").join("modules"))
}
