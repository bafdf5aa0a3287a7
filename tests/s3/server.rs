//! An S3 server inside the test process: files in a temporary folder, one key pair, a log of operations.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use s3s::{
    S3Result,
    access::{S3Access, S3AccessContext},
    auth::SimpleAuth,
    s3_error,
    service::S3ServiceBuilder,
};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};

pub const KEY: &str = "LOOKALIKETESTKEY";
pub const SECRET: &str = "a-secret-for-the-tests-only";
pub const BUCKET: &str = "hospital";

pub struct Server {
    pub address: SocketAddr,
    folder: TempDir,
    log: Log,
    task: JoinHandle<()>,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

/// What `s3s-fs` leaves out of a real server: nobody without a valid signature, nothing in a bucket that does not exist.
struct Door {
    root: PathBuf,
    log: Log,
}

#[async_trait::async_trait]
impl S3Access for Door {
    async fn check(&self, request: &mut S3AccessContext<'_>) -> S3Result<()> {
        self.log.0.lock().expect("no test panics while it holds the log").push(request.s3_op().name().to_owned());
        if request.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "a signature is required"));
        }
        match request.s3_path().get_bucket_name() {
            Some(bucket) if !self.root.join(bucket).is_dir() => Err(s3_error!(NoSuchBucket)),
            _ => Ok(()),
        }
    }
}

impl Server {
    /// A server on a free port of the loopback interface, with one empty bucket.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join(BUCKET)).expect("a bucket");
        let log = Log::default();
        let mut service = S3ServiceBuilder::new(FileSystem::new(folder.path()).expect("the folder exists"));
        service.set_auth(SimpleAuth::from_single(KEY, SECRET));
        service.set_access(Door { root: folder.path().to_owned(), log: log.clone() });
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let task = tokio::spawn(async move {
            let http = Builder::new(TokioExecutor::new());
            while let Ok((socket, _)) = listener.accept().await {
                let connection = http.serve_connection(TokioIo::new(socket), service.clone()).into_owned();
                tokio::spawn(async move {
                    // A connection that a test cuts ends with an error.
                    let _ = connection.await;
                });
            }
        });
        Self { address, folder, log, task }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes another empty bucket.
    pub fn make_bucket(&self, name: &str) {
        std::fs::create_dir(self.folder.path().join(name)).expect("a new bucket");
    }

    /// Puts an object there as if somebody had uploaded it.
    pub fn put(&self, key: &str, bytes: &[u8]) {
        let path = self.folder.path().join(BUCKET).join(key);
        std::fs::create_dir_all(path.parent().expect("below the bucket")).expect("a folder");
        std::fs::write(path, bytes).expect("written");
    }

    /// How often an operation was asked for since the start.
    pub fn count(&self, operation: &str) -> usize {
        let log = self.log.0.lock().expect("no test panics while it holds the log");
        log.iter().filter(|name| *name == operation).count()
    }

    /// The objects of the bucket, as they lie on the server's disk.
    pub fn objects(&self) -> Vec<String> {
        let root = self.folder.path().join(BUCKET);
        let mut folders = vec![root.clone()];
        let mut objects = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder of the server") {
                let path = entry.expect("a readable entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let key = path.strip_prefix(&root).expect("below the bucket");
                    objects.push(key.to_str().expect("UTF-8 keys").to_owned());
                }
            }
        }
        objects.sort();
        objects
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
