//! Network namespaces: named as `ip netns` names them, entered by threads of our own.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use futures::TryStreamExt as _;
use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::statfs::{FsType, statfs};
use rtnetlink::Handle;
use tokio::task::AbortHandle;

use super::Error;
use super::link::{self, Link};

/// Where `ip netns` keeps its names.
const RUN_DIR: &str = "/run/netns";
/// The thread's own namespace; `/proc/self` would be the main thread's.
const THREAD_NETNS: &str = "/proc/thread-self/ns/net";
/// linux/magic.h NSFS_MAGIC: a mounted namespace, not the empty file that a reboot or a mount namespace leaves.
const NSFS: FsType = FsType(0x6e73_6673);

/// An open namespace, with a netlink socket inside.
#[derive(Debug)]
pub(super) struct Netns {
    /// For messages; the daemon's own has none.
    pub(super) name: String,
    pub(super) file: Arc<File>,
    pub(super) handle: Handle,
    connection: AbortHandle,
}

impl Drop for Netns {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Netns {
    /// The calling thread's namespace.
    pub(super) async fn current() -> Result<Self, Error> {
        let name = "(own)".to_owned();
        let file = File::open(THREAD_NETNS).map_err(at(&name, "open"))?;
        Self::from_file(name, file).await
    }

    /// Opens a named namespace; `None` if there is none.
    pub(super) async fn open(name: &str) -> Result<Option<Self>, Error> {
        let Some(file) = open_named(name)? else { return Ok(None) };
        Self::from_file(name.to_owned(), file).await.map(Some)
    }

    /// Opens or makes a named namespace; says whether it was made.
    pub(super) async fn ensure(name: &str) -> Result<(Self, bool), Error> {
        let owned = name.to_owned();
        let (file, made) = in_thread(name, move || {
            let _lock = prepare_run_dir().map_err(at(&owned, "prepare /run/netns"))?;
            if let Some(file) = open_named(&owned)? {
                return Ok::<_, Error>((file, false));
            }
            make(&owned)?;
            let file = open_named(&owned)?.ok_or_else(|| super::gone(&owned))?;
            Ok((file, true))
        })
        .await??;
        Ok((Self::from_file(name.to_owned(), file).await?, made))
    }

    async fn from_file(name: String, file: File) -> Result<Self, Error> {
        let file = Arc::new(file);
        let runtime = tokio::runtime::Handle::current();
        let inside = Arc::clone(&file);
        // A netlink socket belongs to the namespace of the thread that makes it, for ever.
        let opened = in_thread(&name, move || {
            setns(&*inside, CloneFlags::CLONE_NEWNET)?;
            let _runtime = runtime.enter();
            rtnetlink::new_connection()
        });
        let (connection, handle, _) = opened.await?.map_err(at(&name, "open a netlink socket"))?;
        let connection = tokio::spawn(connection).abort_handle();
        Ok(Self { name, file, handle, connection })
    }

    /// Runs `work` in a thread inside the namespace: for sysctls, ioctls and sockets.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let file = Arc::clone(&self.file);
        let result = in_thread(&self.name, move || {
            setns(&*file, CloneFlags::CLONE_NEWNET)?;
            Ok(work())
        });
        result.await?.map_err(at(&self.name, "enter"))
    }

    /// Every link.
    pub(super) async fn links(&self) -> Result<Vec<Link>, Error> {
        let links = self.handle.link().get().execute().try_collect::<Vec<_>>().await;
        let links = links.map_err(|source| link::refused(&self.name, "list links", source))?;
        Ok(links.into_iter().map(Link::from).collect())
    }

    /// The link of this name, if there is one.
    pub(super) async fn link(&self, name: &str) -> Result<Option<Link>, Error> {
        let mut links = Box::pin(self.handle.link().get().match_name(name).execute());
        match links.try_next().await {
            Ok(link) => Ok(link.map(Link::from)),
            Err(error) if link::is_errno(&error, libc::ENODEV) => Ok(None),
            Err(source) => Err(link::refused(&self.name, "look up a link", source)),
        }
    }
}

/// The names in use.
pub(super) fn named() -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(RUN_DIR) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(at(RUN_DIR, "list")(error)),
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.collect())
}

/// Does the name still mean this namespace? An operator may have deleted it.
pub(super) fn is_named(name: &str, netns: &Netns) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let (Ok(named), Ok(open)) = (fs::metadata(path(name)), netns.file.metadata()) else { return false };
    (named.dev(), named.ino()) == (open.dev(), open.ino())
}

/// Removes the name. The namespace goes with its last process and socket.
pub(super) fn remove(name: &str) -> Result<(), Error> {
    let _lock = prepare_run_dir().map_err(at(name, "prepare /run/netns"))?;
    let path = path(name);
    umount2(&path, MntFlags::MNT_DETACH).map_err(|errno| at(name, "unmount")(errno.into()))?;
    fs::remove_file(&path).map_err(at(name, "remove"))
}

/// Runs `work` in a thread of its own, which may change its namespaces and then ends.
async fn in_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let (done, result) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("netns".to_owned());
    // A receiver that went away is no longer interested.
    let spawned = thread.spawn(move || done.send(work()).is_ok());
    spawned.map_err(at(name, "start a thread"))?;
    result.await.map_err(|_| at(name, "run a thread")(io::Error::other("the thread panicked")))
}

fn open_named(name: &str) -> Result<Option<File>, Error> {
    let file = match File::open(path(name)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(name, "open")(error)),
    };
    Ok(is_namespace(name).map_err(at(name, "look at"))?.then_some(file))
}

fn is_namespace(name: &str) -> io::Result<bool> {
    Ok(statfs(&path(name))?.filesystem_type() == NSFS)
}

/// Unshares the calling thread, which is done for afterwards, and gives its new namespace a name.
fn make(name: &str) -> Result<(), Error> {
    let path = path(name);
    // An empty file may be left from a mount namespace that is gone: mounting over it is right.
    let file = File::options().write(true).create(true).truncate(false).open(&path);
    drop(file.map_err(at(name, "create"))?);
    let unshared = unshare(CloneFlags::CLONE_NEWNET);
    let mounted = unshared
        .and_then(|()| mount(Some(THREAD_NETNS), &path, None::<&str>, MsFlags::MS_BIND, None::<&str>));
    mounted.map_err(|errno| {
        // Only the empty file is left, and whoever comes next may reuse it.
        let _ = fs::remove_file(&path);
        at(name, "make")(errno.into())
    })
}

/// Makes `/run/netns` a shared mount, as iproute2 does, so that names made or removed in one mount namespace
/// show in the others. Holds the lock that iproute2 takes too.
fn prepare_run_dir() -> io::Result<Flock<File>> {
    fs::create_dir_all(RUN_DIR)?;
    let lock = Flock::lock(File::open(RUN_DIR)?, FlockArg::LockExclusive).map_err(|(_, errno)| errno)?;
    let share =
        || mount(None::<&str>, RUN_DIR, None::<&str>, MsFlags::MS_SHARED | MsFlags::MS_REC, None::<&str>);
    if share() == Err(nix::Error::EINVAL) {
        // Not a mount point yet.
        mount(Some(RUN_DIR), RUN_DIR, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)?;
        share()?;
    }
    Ok(lock)
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(RUN_DIR).join(name)
}

fn at(name: &str, step: &'static str) -> impl Fn(io::Error) -> Error + use<> {
    let name = name.to_owned();
    move |source| Error::Namespace { name: name.clone(), step, source }
}
