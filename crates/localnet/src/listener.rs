//! A router on a port.

use std::{future::IntoFuture as _, io, net::SocketAddr, time::Duration};

use axum::{Router, serve::ListenerExt as _};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::timeout};

/// How long requests under way may take when it stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// Serves a router until it is stopped; without a farewell where it is dropped.
pub(crate) struct Listener {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<io::Result<()>>,
}

impl Listener {
    /// Listens. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The address can't be listened on.
    pub(crate) async fn bind(address: SocketAddr) -> io::Result<Bound> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Bound { listener, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops: no new connection, and requests under way have a short time to end.
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        if timeout(FAREWELL, &mut self.serving).await.is_err() {
            self.serving.abort();
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.stop.is_some() {
            self.serving.abort();
        }
    }
}

/// A port that is listened on, before anything is served there.
pub(crate) struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn serve(self, router: Router) -> Listener {
        let (stop, stopped) = oneshot::channel::<()>();
        let listener = self.listener.tap_io(|connection| {
            // Answers are small and whole; without this they would wait for an acknowledgement.
            let _ = connection.set_nodelay(true);
        });
        let serve = axum::serve(listener, router).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        Listener {
            address: self.address,
            stop: Some(stop),
            serving: tokio::spawn(serve.into_future()),
        }
    }
}
