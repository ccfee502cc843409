//! Where the forwarding daemon listens, and how a client connects.

use std::path::{Path, PathBuf};

use tonic::transport::{Channel, Endpoint};

use crate::v1::dataplane_client::DataplaneClient;

/// The Unix socket of the forwarding daemon unless configured otherwise.
pub const DEFAULT_SOCKET: &str = "/run/ze/fastpath.sock";

/// Connects to the forwarding daemon's Unix socket, now.
///
/// # Errors
/// When nobody listens there, or access is denied; the transport error has the system's error as its source.
pub async fn connect(socket: &Path) -> Result<DataplaneClient<Channel>, tonic::transport::Error> {
    let path: PathBuf = socket.to_owned();
    // The URI is never resolved: the connector below opens the socket.
    let endpoint = Endpoint::from_static("http://ze-fastpath.invalid");
    let connector = tower::service_fn(move |_| {
        let path = path.clone();
        async move { tokio::net::UnixStream::connect(path).await.map(hyper_util::rt::TokioIo::new) }
    });
    let channel = endpoint.connect_with_connector(connector).await?;
    Ok(DataplaneClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX))
}

/// The largest message either side accepts: a batch of a hundred thousand routes and more.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;
