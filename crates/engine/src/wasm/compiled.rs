//! Compiled modules that were used lately, by hash: several canisters often run the same one.
//!
//! A module is forgotten when the others of its size or number push it out; canisters that run it keep it
//! alive. Which modules are known here changes nothing but how long an installation takes.

use super::Program;

/// Most modules kept.
const MODULES: usize = 64;
/// Most bytes of modules kept, as they were before compilation, which makes them several times larger.
const BYTES: usize = 16 * 1024 * 1024;

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Compiled {
    /// The one that was used last stands last.
    programs: Vec<Program>,
    bytes: usize,
}

impl Compiled {
    /// The module that was uploaded with this hash.
    pub(super) fn get(&mut self, hash: &[u8; 32]) -> Option<Program> {
        let at = self.programs.iter().position(|p| p.module.hash == *hash)?;
        let program = self.programs.remove(at);
        self.programs.push(program.clone());
        Some(program)
    }

    /// Keeps a module, and forgets those that were not used for longest.
    pub(super) fn insert(&mut self, program: Program) {
        self.bytes += program.module.wasm.len();
        self.programs.push(program);
        while self.programs.len() > MODULES || self.bytes > BYTES {
            let oldest = self.programs.remove(0);
            self.bytes -= oldest.module.wasm.len();
        }
    }
}
