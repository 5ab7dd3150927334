//! Instances of the project's own PocketIC server, through the public client.

use std::{path::PathBuf, sync::OnceLock, thread, time::Duration};

use pocket_ic::{PocketIc, PocketIcBuilder, StartServerParams, start_server};
use reqwest::Url;
use tokio::runtime::Runtime;

use crate::program;

/// The server that tests run against: `POCKET_IC_BIN` where it is set, else the one that cargo built.
pub fn pocket_ic_server() -> PathBuf {
    std::env::var_os("POCKET_IC_BIN").map_or_else(|| program("pocket-ic"), Into::into)
}

/// How long the server outlives this process.
const TTL: Duration = Duration::from_secs(10);

/// The server that all instances of this process share.
pub fn server_url() -> Url {
    static URL: OnceLock<Url> = OnceLock::new();
    let start = || {
        let parameters = StartServerParams {
            server_binary: Some(pocket_ic_server()),
            reuse: true,
            ttl: Some(TTL),
            hard_ttl: None,
        };
        Runtime::new().unwrap().block_on(start_server(parameters)).1
    };
    // On a thread of its own, because the caller's may be one of a runtime already.
    URL.get_or_init(|| thread::spawn(start).join().unwrap())
        .clone()
}

/// A builder of instances on that server.
pub fn pocket_ic() -> PocketIcBuilder {
    PocketIcBuilder::new().with_server_url(server_url())
}

/// An instance with one application subnet.
pub fn application() -> PocketIc {
    pocket_ic().with_application_subnet().build()
}
