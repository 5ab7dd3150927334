//! Modules that trap in odd hours, at a call of the system's: a fault that a canister can't be asked for.
//!
//! ```text
//! module: call $ic0.msg_reply  ──►  call $wrapper: (ic0.time / 1 h) odd? trap : ic0.msg_reply
//! ```
//!
//! All else is the canister's own code. An hour is odd if it is the first, third, … since 1970.

use std::io::{Read as _, Write as _};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use wasm_encoder::{
    BlockType, CodeSection, Function, FunctionSection, Module,
    reencode::{Error, Reencode, utils},
};
use wasmparser::{CodeSectionReader, FunctionSectionReader, Parser, Payload, TypeRef};

const HOUR_NS: i64 = 3_600_000_000_000;

/// Where it traps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrapsAt {
    /// In each callback, before it has done anything.
    CallbackStart,
    /// In each callback that has a reply to read, and in each method that has an argument; not in those of timers.
    Answer,
    /// At each reply, after everything was done.
    Reply,
}

impl TrapsAt {
    /// What is called there, of `ic0`.
    fn import(self) -> &'static str {
        match self {
            // Whoever takes an answer first looks whether it is one.
            Self::CallbackStart => "msg_reject_code",
            Self::Answer => "msg_arg_data_size",
            Self::Reply => "msg_reply",
        }
    }
}

/// The same module (gzip), trapping in odd hours.
pub fn trapping(module: &[u8], at: TrapsAt) -> Vec<u8> {
    let mut wasm = Vec::new();
    GzDecoder::new(module).read_to_end(&mut wasm).unwrap();
    let mut rewriting = Rewriting::of(&wasm, at.import());
    let mut rewritten = Module::new();
    rewriting
        .parse_core_module(&mut rewritten, Parser::new(0), &wasm)
        .unwrap();
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&rewritten.finish()).unwrap();
    packed.finish().unwrap()
}

/// Calls of one import go to a wrapper of it, the last function.
struct Rewriting {
    import: u32,
    import_type: u32,
    time: u32,
    wrapper: u32,
}

impl Rewriting {
    fn of(wasm: &[u8], import: &str) -> Self {
        let (mut functions, mut found, mut time) = (0, None, None);
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.unwrap() {
                Payload::ImportSection(section) => {
                    for one in section.into_imports() {
                        let one = one.unwrap();
                        if let TypeRef::Func(of_type) = one.ty {
                            if one.name == import {
                                found = Some((functions, of_type));
                            } else if one.name == "time" {
                                time = Some(functions);
                            }
                            functions += 1;
                        }
                    }
                }
                Payload::FunctionSection(section) => functions += section.count(),
                _ => {}
            }
        }
        let (index, import_type) = found.expect("the module imports it");
        Self {
            import: index,
            import_type,
            time: time.expect("the module asks for the time"),
            wrapper: functions,
        }
    }

    fn body(&self) -> Function {
        let mut body = Function::new([]);
        let mut code = body.instructions();
        code.call(self.time)
            .i64_const(HOUR_NS)
            .i64_div_u()
            .i32_wrap_i64()
            .i32_const(1)
            .i32_and()
            .if_(BlockType::Empty)
            .unreachable()
            .end()
            .call(self.import);
        code.end();
        body
    }
}

impl Reencode for Rewriting {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error<Self::Error>> {
        Ok(if function == self.import {
            self.wrapper
        } else {
            function
        })
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error<Self::Error>> {
        utils::parse_function_section(self, functions, section)?;
        functions.function(self.import_type);
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error<Self::Error>> {
        utils::parse_code_section(self, code, section)?;
        code.function(&self.body());
        Ok(())
    }
}
