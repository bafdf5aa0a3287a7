//! Ctrl-C and SIGTERM.

use std::{
    process,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::{runtime, sync::Notify};

/// Exit code after Ctrl-C: 128 + SIGINT.
const INTERRUPTED: i32 = 130;
/// Exit code after SIGTERM: 128 + SIGTERM.
const TERMINATED: i32 = 143;
/// What a running statement gets to clean up (abort an upload, delete spill files) before the process ends.
pub const GRACE: Duration = Duration::from_millis(500);

/// Says when the user wants a running statement to stop.
#[derive(Debug, Clone, Default)]
pub struct Signals(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    stop: Notify,
    code: AtomicI32,
}

impl Signals {
    /// Listens on a thread of its own, so that a signal is heard even while every worker computes. In a script the
    /// process ends soon after the first signal, whatever the running statement does.
    pub fn listen(in_script: bool) -> std::io::Result<Self> {
        let signals = Self::default();
        let heard = signals.clone();
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(async {
                loop {
                    let code = next_signal().await;
                    heard.0.code.store(code, Ordering::SeqCst);
                    if in_script || code == TERMINATED {
                        heard.0.stop.notify_one();
                        tokio::time::sleep(2 * GRACE).await;
                        process::exit(code);
                    }
                    // In the shell a Ctrl-C between two statements must not stop the next one.
                    heard.0.stop.notify_waiters();
                }
            });
        })?;
        Ok(signals)
    }

    /// Waits for a signal and gives the exit code that stands for it.
    pub async fn stopped(&self) -> i32 {
        self.0.stop.notified().await;
        self.0.code.load(Ordering::SeqCst)
    }
}

#[cfg(unix)]
async fn next_signal() -> i32 {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut term) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return INTERRUPTED;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => INTERRUPTED,
        _ = term.recv() => TERMINATED,
    }
}

#[cfg(not(unix))]
async fn next_signal() -> i32 {
    let _ = tokio::signal::ctrl_c().await;
    INTERRUPTED
}
