//! The connection to the forwarding daemon, and what to say when there is none.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::Duration;

use nix::unistd::{Gid, Group, Uid, User};
use tonic::transport::Channel;
use ze_proto::endpoint::Address;
use ze_proto::v1::dataplane_client::DataplaneClient;

use crate::error::Error;

/// The generated client over our channel.
pub type Client = DataplaneClient<Channel>;

/// What the daemon may take for one answer. It answers from memory; more means that it hangs.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Connects.
///
/// # Errors
/// When nobody answers; says why and what to do.
pub async fn connect(daemon: &Address) -> Result<Client, Error> {
    match tokio::time::timeout(PATIENCE, daemon.connect()).await {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(error)) => Err(explain(daemon, &error)),
        Err(_) => Err(silent(daemon)),
    }
}

/// Waits for one answer, but not for ever.
///
/// # Errors
/// The daemon's refusal, or its silence.
pub async fn answer<T>(
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> Result<T, Error> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(reply) => Ok(reply?.into_inner()),
        Err(_) => Err(tonic::Status::deadline_exceeded("ze-fastpath does not answer").into()),
    }
}

fn silent(daemon: &Address) -> Error {
    Error::new(
        format!("ze-fastpath accepts at {daemon} but does not answer"),
        "Is it overloaded or stopped? `ps -o stat,cmd -C ze-fastpath` shows its state.",
    )
}

fn explain(daemon: &Address, error: &tonic::transport::Error) -> Error {
    match daemon {
        Address::Socket(path) => explain_socket(path, error),
        Address::Tcp(tcp) => explain_tcp(&tcp.address, error),
    }
}

/// Over TCP the innermost cause says it: refused, no such host, or what is wrong with a certificate.
fn explain_tcp(address: &str, error: &tonic::transport::Error) -> Error {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Error::new(
        format!("ze-fastpath does not answer at {address}: {cause}"),
        "Does it run with --listen there? Its certificate must be for this host and come from --tls-ca; ours must \
         come from its --tls-client-ca.",
    )
}

fn explain_socket(socket: &Path, error: &tonic::transport::Error) -> Error {
    let at = socket.display();
    let Some(system) = system_error(error) else {
        return Error::new(format!("{at} does not speak the language of ze-fastpath: {error}"), "");
    };
    match system.kind() {
        io::ErrorKind::NotFound => Error::new(
            format!("ze-fastpath does not answer at {at}: no such file"),
            "Is it running? `systemctl start ze-fastpath` starts it; --socket or ZE_SOCKET name another socket.",
        ),
        io::ErrorKind::ConnectionRefused => Error::new(
            format!("ze-fastpath does not answer at {at}: nobody listens there"),
            refused_hint(socket),
        ),
        io::ErrorKind::PermissionDenied => Error::new(
            format!("you may not talk to ze-fastpath at {at}: permission denied"),
            permission_hint(socket),
        ),
        _ => Error::new(format!("ze-fastpath does not answer at {at}: {system}"), ""),
    }
}

fn refused_hint(socket: &Path) -> String {
    if fs::metadata(socket).is_ok_and(|m| !m.file_type().is_socket()) {
        return "That is a file, not a socket. --socket or ZE_SOCKET name the right one.".to_owned();
    }
    "It ended and left its socket behind. `systemctl status ze-fastpath` says why; `systemctl start ze-fastpath` \
     starts it."
        .to_owned()
}

/// Who may: the first thing on the path that stands in the way decides.
fn permission_hint(socket: &Path) -> String {
    let in_the_way = socket
        .ancestors()
        .filter(|p| !p.as_os_str().is_empty())
        .find_map(|p| fs::metadata(p).ok().map(|m| (p, m)));
    let Some((path, metadata)) = in_the_way else {
        return "Ask for access, or use sudo.".to_owned();
    };
    let owner = User::from_uid(Uid::from_raw(metadata.uid()))
        .ok()
        .flatten()
        .map_or_else(|| metadata.uid().to_string(), |u| u.name);
    let group = Group::from_gid(Gid::from_raw(metadata.gid()))
        .ok()
        .flatten()
        .map_or_else(|| metadata.gid().to_string(), |g| g.name);
    let mode = metadata.mode() & 0o777;
    let who = format!("{} belongs to {owner}:{group} with mode {mode:03o}", path.display());
    // Connecting asks for write permission on the socket, unix(7).
    if mode & 0o020 != 0 && group != "root" {
        return format!(
            "{who}: members of group '{group}' may. `sudo usermod -aG {group} $USER` and a new login make you one; or use sudo."
        );
    }
    format!("{who}: only {owner} may. Use sudo.")
}

fn system_error(error: &tonic::transport::Error) -> Option<&io::Error> {
    let mut cause: &dyn std::error::Error = error;
    loop {
        if let Some(found) = cause.downcast_ref::<io::Error>() {
            return Some(found);
        }
        cause = cause.source()?;
    }
}
