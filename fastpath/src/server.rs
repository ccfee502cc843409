//! Where the API listens: a Unix socket with file permissions, and TCP only with mutual TLS.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::net::{TcpListener, UnixListener};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tracing::info;
use ze_proto::endpoint::MESSAGE_BYTES_MAX;
use ze_proto::v1::dataplane_server::DataplaneServer;

use crate::api::Api;
use crate::args::Args;

/// The group that may use the socket unless another is named.
const DEFAULT_GROUP: &str = "ze";
/// Owner and group may connect, nobody else.
const SOCKET_MODE: u32 = 0o660;

/// A Unix socket that goes with its listener.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Listens. The caller holds the instance lock, so a socket that is there is a dead daemon's.
    ///
    /// # Errors
    /// When the path can not be used, or the group does not exist.
    pub fn listen(path: &Path, group: Option<&str>) -> Result<Self> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        }
        match fs::remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(e).with_context(|| format!("cannot replace {}", path.display()));
            }
            Ok(()) | Err(_) => {}
        }
        let listener =
            UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
        fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE))?;
        if let Some(gid) = group_id(group)? {
            chown(path, None, Some(gid))
                .with_context(|| format!("cannot give {} to its group", path.display()))?;
        }
        Ok(Self { listener, path: path.to_owned() })
    }
}

fn group_id(named: Option<&str>) -> Result<Option<u32>> {
    let group = nix::unistd::Group::from_name(named.unwrap_or(DEFAULT_GROUP))?;
    match (group, named) {
        (Some(group), _) => Ok(Some(group.gid.as_raw())),
        (None, None) => Ok(None),
        (None, Some(name)) => anyhow::bail!("there is no group '{name}' (--socket-group)"),
    }
}

/// The TCP listener and its TLS.
pub struct Tcp {
    listener: TcpListener,
    server: Server,
}

/// Listens on TCP, if that is wanted.
///
/// # Errors
/// When a file can not be read or used, or the address can not be listened on.
pub async fn tcp(args: &Args) -> Result<Option<Tcp>> {
    let Some(address) = args.listen else { return Ok(None) };
    let read = |path: &Option<PathBuf>, what: &str| -> Result<Vec<u8>> {
        let path = path.as_ref().with_context(|| format!("{what} is missing"))?;
        fs::read(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let identity = Identity::from_pem(read(&args.tls_cert, "--tls-cert")?, read(&args.tls_key, "--tls-key")?);
    let authority = Certificate::from_pem(read(&args.tls_client_ca, "--tls-client-ca")?);
    let config =
        ServerTlsConfig::new().identity(identity).client_ca_root(authority).client_auth_optional(false);
    let server = Server::builder()
        .tls_config(config)
        .context("--tls-cert, --tls-key or --tls-client-ca is not what it should be")?;
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    Ok(Some(Tcp { listener, server }))
}

/// Serves the API until `stop` completes.
///
/// # Errors
/// When a listener fails.
pub async fn serve(
    api: Api,
    socket: Socket,
    tcp: Option<Tcp>,
    stop: impl Future<Output = ()> + Clone + Send,
) -> Result<()> {
    let service = || DataplaneServer::new(api.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
    info!(socket = %socket.path.display(), "the API listens");
    let unix = Server::builder()
        .add_service(service())
        .serve_with_incoming_shutdown(UnixListenerStream::new(socket.listener), stop.clone());
    let tcp = async {
        let Some(Tcp { listener, mut server }) = tcp else { return Ok(()) };
        info!(address = ?listener.local_addr(), "the API listens with mutual TLS");
        server
            .add_service(service())
            .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), stop)
            .await
    };
    let result = tokio::try_join!(unix, tcp);
    let _ = fs::remove_file(&socket.path);
    result.map(drop).context("the API server failed")
}
