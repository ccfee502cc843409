//! Where the forwarding daemon listens, and how a client connects.

use std::fmt;
use std::path::{Path, PathBuf};

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::v1::dataplane_client::DataplaneClient;

/// The Unix socket of the forwarding daemon unless configured otherwise.
pub const DEFAULT_SOCKET: &str = "/run/ze/fastpath.sock";

/// Where a forwarding daemon is reached.
#[derive(Clone, Debug)]
pub enum Address {
    /// By its Unix socket.
    Socket(PathBuf),
    /// Over TCP, with certificates on both sides.
    Tcp(Box<Tcp>),
}

/// A daemon's TCP address, and the certificates that either side shows.
#[derive(Clone)]
pub struct Tcp {
    /// `HOST:PORT`; the daemon's certificate must be for this host. IPv6 addresses stand in brackets.
    pub address: String,
    /// The authority that the daemon's certificate comes from, PEM.
    pub authority: Vec<u8>,
    /// Our certificate, PEM.
    pub certificate: Vec<u8>,
    /// Its private key, PEM.
    pub key: Vec<u8>,
}

impl fmt::Debug for Tcp {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tcp").field("address", &self.address).finish_non_exhaustive()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => path.display().fmt(f),
            Self::Tcp(tcp) => f.write_str(&tcp.address),
        }
    }
}

impl From<PathBuf> for Address {
    fn from(path: PathBuf) -> Self {
        Self::Socket(path)
    }
}

impl Address {
    /// Connects, now.
    ///
    /// # Errors
    /// When nobody listens there, access is denied, or a certificate is refused; the transport error has the cause as
    /// its source.
    pub async fn connect(&self) -> Result<DataplaneClient<Channel>, tonic::transport::Error> {
        match self {
            Self::Socket(path) => connect(path).await,
            Self::Tcp(tcp) => tcp.connect().await,
        }
    }
}

impl Tcp {
    async fn connect(&self) -> Result<DataplaneClient<Channel>, tonic::transport::Error> {
        let host = self.address.rsplit_once(':').map_or(self.address.as_str(), |(host, _)| host);
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.authority))
            .identity(Identity::from_pem(&self.certificate, &self.key))
            .domain_name(host.trim_start_matches('[').trim_end_matches(']'));
        let endpoint = Endpoint::from_shared(format!("https://{}", self.address))?.tls_config(tls)?;
        Ok(client(endpoint.connect().await?))
    }
}

fn client(channel: Channel) -> DataplaneClient<Channel> {
    DataplaneClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

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
    Ok(client(channel))
}

/// The largest message either side accepts: a batch of a hundred thousand routes and more.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;
