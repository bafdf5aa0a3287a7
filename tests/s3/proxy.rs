//! A TCP proxy that cuts connections after a number of bytes.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// Where the bytes that count come from.
#[derive(Debug, Clone, Copy)]
pub enum Direction {
    /// Server to client: answers, downloads.
    Down,
    /// Client to server: requests, uploads.
    Up,
}

pub struct Proxy {
    address: SocketAddr,
    wire: Arc<Wire>,
    task: JoinHandle<()>,
}

struct Wire {
    /// Bytes that may still pass, by direction.
    left: [AtomicI64; 2],
    /// True while connections are refused.
    cut: watch::Sender<bool>,
    /// Whether the next cut only ends the connection it happens on.
    once: AtomicBool,
}

const UNLIMITED: i64 = i64::MAX / 2;

impl Proxy {
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let left = [AtomicI64::new(UNLIMITED), AtomicI64::new(UNLIMITED)];
        let wire = Arc::new(Wire { left, cut: watch::Sender::new(false), once: AtomicBool::new(false) });
        let shared = Arc::clone(&wire);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // Dropping the socket is what a client of a cut wire sees.
                if !*shared.cut.borrow()
                    && let Ok(server) = TcpStream::connect(server).await
                {
                    tokio::spawn(Arc::clone(&shared).connect(client, server));
                }
            }
        });
        Self { address, wire, task }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets `bytes` more pass in one direction, over all connections, then cuts all of them and refuses further ones.
    pub fn cut_after(&self, direction: Direction, bytes: i64) {
        self.wire.left[direction as usize].store(bytes, Ordering::SeqCst);
    }

    /// Lets `bytes` more pass, then ends the connection they passed on; others and further ones work.
    pub fn cut_once_after(&self, direction: Direction, bytes: i64) {
        self.wire.once.store(true, Ordering::SeqCst);
        self.cut_after(direction, bytes);
    }

    /// Whether the cut of [`Self::cut_once_after`] has happened.
    pub fn was_cut_once(&self) -> bool {
        !self.wire.once.load(Ordering::SeqCst)
    }

    pub fn is_cut(&self) -> bool {
        *self.wire.cut.borrow()
    }

    /// Connections work again.
    pub fn mend(&self) {
        self.wire.left.iter().for_each(|left| left.store(UNLIMITED, Ordering::SeqCst));
        self.wire.cut.send_replace(false);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Wire {
    async fn connect(self: Arc<Self>, client: TcpStream, server: TcpStream) {
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let mut cut = self.cut.subscribe();
        tokio::select! {
            _ = cut.wait_for(|cut| *cut) => {}
            _ = self.pump(from_client, to_server, Direction::Up) => {}
            _ = self.pump(from_server, to_client, Direction::Down) => {}
        }
    }

    async fn pump(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, direction: Direction) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read) = from.read(&mut buffer).await {
            let left = self.left[direction as usize].fetch_sub(read as i64, Ordering::SeqCst);
            let pass = read.min(left.max(0) as usize);
            if read == 0 || to.write_all(&buffer[..pass]).await.is_err() {
                return;
            }
            if pass < read {
                if self.once.swap(false, Ordering::SeqCst) {
                    self.left[direction as usize].store(UNLIMITED, Ordering::SeqCst);
                } else {
                    self.cut.send_replace(true);
                }
                return;
            }
        }
    }
}
