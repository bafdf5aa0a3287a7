//! `lookalike`: the SQL shell and batch runner.
//!
//! `args` (command line) -> `script` (single statements, parameters filled in) -> `session` (plan and run one statement)
//! -> `output` (rows to stdout, everything else to stderr). `batch` runs scripts, `repl` talks to a person.

mod args;
mod batch;
mod explain;
mod output;
mod printer;
mod progress;
mod repl;
mod script;
mod session;
mod signals;
mod tables;

use std::{
    io::{self, IsTerminal},
    panic,
    process::ExitCode,
};

use tokio::runtime::{Builder, Runtime};

use crate::{
    args::{Args, Source},
    explain::Failure,
    session::Session,
    signals::{GRACE, Signals},
};

/// As if SIGPIPE had ended the process: what reads our output has gone.
const BROKEN_PIPE: u8 = 141;

fn main() -> ExitCode {
    panic::set_hook(Box::new(|info| {
        eprintln!("lookalike: internal error, please report it: {info}");
    }));
    let (args, mut sources) = Args::from_process();
    if sources.is_empty() && !io::stdin().is_terminal() {
        sources.push(Source::File("-".into()));
    }
    aws_region_of_own_endpoint();
    let runtime = match runtime(&args) {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("error: cannot start threads: {e}");
            return ExitCode::FAILURE;
        }
    };
    let code = match run(&args, &sources, &runtime) {
        Ok(code) => code,
        Err(Failure::BrokenPipe) => ExitCode::from(BROKEN_PIPE),
        Err(Failure::Message(message)) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    };
    // Computations that nobody waits for any more stop at their next check; the process does not wait for long.
    runtime.shutdown_timeout(GRACE);
    code
}

fn run(args: &Args, sources: &[Source], runtime: &Runtime) -> Result<ExitCode, Failure> {
    let in_script = !sources.is_empty();
    let signals = Signals::listen(in_script)?;
    let stdin_is_sql = sources.contains(&Source::File("-".into())) || !in_script;
    let session = runtime.block_on(Session::new(args, stdin_is_sql))?;
    if !in_script {
        return repl::run(session, args.params(), args.quiet, runtime, &signals);
    }
    let params = args.params();
    runtime.block_on(async {
        let code = tokio::select! {
            done = batch::run(&session, sources, &params) => return done.map(|()| ExitCode::SUCCESS),
            code = signals.stopped() => code,
        };
        session.output.progress.clear();
        // The statement has been dropped; its tasks get a moment to remove the temporary files they wrote.
        tokio::time::sleep(GRACE / 2).await;
        Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
    })
}

fn runtime(args: &Args) -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    if let Some(threads) = args.threads {
        builder.worker_threads(threads.get());
        rayon::ThreadPoolBuilder::new().num_threads(threads.get()).build_global().map_err(io::Error::other)?;
    }
    builder.enable_all().build()
}

/// A server of one's own (MinIO, Ceph) has no region to ask Amazon for, but signatures need one.
fn aws_region_of_own_endpoint() {
    let given = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let endpoint = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"].iter().any(|name| given(name));
    if endpoint && !["AWS_REGION", "AWS_DEFAULT_REGION"].iter().any(|name| given(name)) {
        // SAFETY: called before any other thread exists.
        unsafe { std::env::set_var("AWS_REGION", "us-east-1") };
    }
}
