//! meshlib as a process: runs an Envoy configuration file. All it does is to read the command line, to give the library
//! threads, and to pass signals on.

mod assemble;
mod cli;
mod runtime;
mod signals;

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use clap::Parser;
use meshlib::{
    base::{Drain, DrainTimes},
    envoy::Loaded,
};

use crate::{
    cli::{Cli, LogLevel, Mode},
    runtime::WorkerThreads,
};

/// Why the process ends with code 1: a text for people, remedies included.
type Failure = String;

/// Connections come and go on many threads: the system's allocator would keep what they leave behind.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // A wrong command line ends here with code 2; `--help` and `--version` with 0.
    let cli = Cli::parse();
    log_to_stderr(cli.log_level);
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Said even when logging is off. Nobody is left to tell if this fails.
            let _ = writeln!(io::stderr(), "{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let loaded = assemble::load(cli)?;
    match cli.mode {
        Mode::Validate => report(cli, &loaded).map_err(|error| format!("error: cannot report: {error}")),
        Mode::Serve => {
            if !loaded.warnings.is_empty() {
                tracing::warn!("{}", loaded.warnings);
            }
            serve(cli, loaded)
        }
    }
}

/// In Envoy's words.
fn report(cli: &Cli, loaded: &Loaded) -> io::Result<()> {
    if !loaded.warnings.is_empty() {
        writeln!(io::stderr(), "{}", loaded.warnings)?;
    }
    writeln!(io::stdout(), "configuration '{}' OK", cli.config_name())
}

fn serve(cli: &Cli, loaded: Loaded) -> Result<(), Failure> {
    let main = runtime::main_runtime()?;
    let workers = WorkerThreads::start(cli.concurrency())?;
    let drain = Drain::new();
    let result = main.block_on(async {
        let signals = signals::listen()?;
        let serving = assemble::serve(loaded, cli, workers.handles(), drain.clone());
        signals::supervise(serving, signals, drain, DrainTimes::within(cli.drain_time())).await
    });
    drop(workers);
    runtime::shut_down(main);
    result
}

fn log_to_stderr(level: LogLevel) {
    let log = tracing_subscriber::fmt().with_max_level(level.filter()).with_writer(io::stderr);
    // There is no other logger in this process, so this cannot fail.
    let _ = log.with_ansi(io::stderr().is_terminal()).try_init();
}
