//! The status file: one line of JSON that tells a launcher that the server listens, and how to trust it.
//!
//! ```json
//! {"v":"1","gateway_port":8000,"root_key":"<hex of DER>","application_subnet":"<text>","default_effective_canister_id":"<text>"}
//! ```
//!
//! It appears whole or not at all (written beside, then renamed), and goes when the value is dropped.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::server::Server;

#[derive(Serialize)]
struct Status {
    v: &'static str,
    gateway_port: u16,
    root_key: String,
    application_subnet: String,
    default_effective_canister_id: String,
}

/// A status file on disk, as long as this lives.
#[derive(Debug)]
pub struct StatusFile(PathBuf);

impl StatusFile {
    /// Writes the file for a server.
    ///
    /// # Errors
    /// The folder can't be written to.
    pub fn write(path: &Path, server: &Server) -> io::Result<Self> {
        let identity = server.identity();
        let status = Status {
            v: "1",
            gateway_port: server.address().port(),
            root_key: hex::encode(&identity.root_key),
            application_subnet: identity.application_subnet.to_text(),
            default_effective_canister_id: identity.default_effective_canister_id.to_text(),
        };
        let line = serde_json::to_string(&status)? + "\n";
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}", std::process::id()));
        let beside = PathBuf::from(beside);
        let written = fs::write(&beside, line).and_then(|()| fs::rename(&beside, path));
        if written.is_err() {
            let _ = fs::remove_file(&beside);
        }
        written.map(|()| Self(path.to_owned()))
    }
}

impl Drop for StatusFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
