//! The server: a network, its executor, and the HTTP interface with the sites of canisters on a port.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use candid::Principal;
use engine::{Network, NetworkConfig, SubnetConfig, SubnetKind};
use gateway_agent::Agent;
use thiserror::Error;

use crate::{
    executor::{Executor, wall_clock},
    http::{App, router},
    listener::Listener,
    pocket::with_sites,
};

/// Where and what to serve.
#[derive(Clone, Debug)]
pub struct Config {
    pub address: IpAddr,
    /// 0: any free port.
    pub port: u16,
    /// All keys follow from it, so whoever knows it can sign as the network.
    pub seed: [u8; 32],
    /// What the subnet is that canisters are created on.
    pub subnet: SubnetKind,
    /// Folder for compiled modules, which later processes find there.
    pub module_cache: Option<PathBuf>,
}

/// Why a server can't start.
#[derive(Debug, Error)]
pub enum StartError {
    #[error("can't listen on {address}: {error}")]
    Listen {
        address: SocketAddr,
        error: io::Error,
    },
    #[error("can't set up the network: {0}")]
    Network(#[from] engine::SetupError),
    #[error("can't start the thread of the network: {0}")]
    Thread(io::Error),
    #[error("can't make the gateway: {0}")]
    Gateway(String),
    #[error("the network has stopped")]
    Stopped,
}

/// What a client needs to know of a network.
#[derive(Clone, Debug)]
pub struct Identity {
    /// DER-encoded BLS key that all certificates go back to.
    pub root_key: Vec<u8>,
    pub application_subnet: Principal,
    /// An id within the range of the application subnet, to create canisters with.
    pub default_effective_canister_id: Principal,
}

/// A running server. Dropping it stops it without a farewell.
pub struct Server {
    listener: Listener,
    identity: Identity,
    executor: Executor,
}

impl Server {
    /// Makes a fresh network and serves it. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The address can't be listened on, or the network can't be made.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let address = SocketAddr::new(config.address, config.port);
        let listen = |error| StartError::Listen { address, error };
        let bound = Listener::bind(address).await.map_err(listen)?;

        let mut setup = NetworkConfig::new(wall_clock(), config.seed);
        setup.module_cache = config.module_cache;
        // The last two have nothing but their ids, at which tools look for canisters of the network.
        let kinds = [
            SubnetKind::Nns,
            config.subnet,
            SubnetKind::Ii,
            SubnetKind::Fiduciary,
        ];
        setup.subnets = kinds.map(SubnetConfig::of).to_vec();
        let network = Network::new(&setup)?;
        let identity = Identity {
            root_key: network.root_key().to_vec(),
            application_subnet: network.application_subnet(),
            default_effective_canister_id: network.default_effective_canister_id(),
        };
        let executor = Executor::spawn(network).map_err(StartError::Thread)?;
        let live = executor.go_live(Duration::ZERO).await;
        live.map_err(|_| StartError::Stopped)?;
        let app = App::new(executor.clone()).with_network_canisters();
        let agent = Agent::builder()
            .with_url(format!("http://{}", bound.address()))
            .build()
            .map_err(|error| StartError::Gateway(error.to_string()))?;
        agent.set_root_key(identity.root_key.clone());
        Ok(Self {
            listener: bound.serve(with_sites(router(app), agent)),
            identity,
            executor,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Ends when the network has failed; every request is refused from then on.
    pub async fn failed(&self) {
        self.executor.stopped().await;
    }

    /// Stops: no new connection, and requests under way have a short time to end.
    pub async fn stop(self) {
        self.listener.stop().await;
    }
}
