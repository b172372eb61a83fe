//! What a gRPC call costs the process that makes it: over a [`Cluster`](meshlib::cluster::Cluster), over tonic's own
//! balanced channel, over ginepro, and through a sidecar. CPU time of all threads, from the operating system's own
//! accounting (Linux), one runtime thread each, three servers in another process.
//!
//! ```sh
//! cargo run --release -p meshlib-benches --features ginepro --bin embedded
//! cargo run --release -p meshlib-benches --bin embedded -- 20000      # calls a round
//! ```

mod clients;
mod cpu;
mod processes;
mod table;

use std::process::ExitCode;

use self::{clients::Kind, processes::Target, table::Row};

/// Any error.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

const CALLS: u32 = 20_000;
const MOST_CALLS: u32 = 1_000_000;
const ROUNDS: usize = 5;
/// How many calls are under way at once.
const LOADS: [u32; 2] = [1, 32];

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["servers"] => processes::servers().await,
        ["sidecar", target] => processes::sidecar(target).await,
        ["client", kind, load, calls, target] => clients::client(kind, load, calls, target).await,
        [] => compare(CALLS).await,
        [calls] => match calls.parse() {
            Ok(calls @ 1..=MOST_CALLS) => compare(calls).await,
            _ => Err(format!("{calls:?} is not a number of calls from 1 to {MOST_CALLS}").into()),
        },
        _ => Err("usage: embedded [CALLS]".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("embedded: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Every kind of client in turn, several times over.
async fn compare(calls: u32) -> Result<(), BoxError> {
    let (_servers, mut target) = processes::start_servers()?;
    let (sidecar, address) = processes::start_sidecar(&target)?;
    target.sidecar = Some(address);
    let mut rows: Vec<Row> = Kind::all().map(Row::new).collect();
    for _ in 0..ROUNDS {
        for row in &mut rows {
            for load in LOADS {
                let before = cpu::nanoseconds(sidecar.id())?;
                let client = processes::run_client(row.kind(), load, calls, &target)?;
                // The sidecar is warm after its own first round; the calls that warm a client up are counted here.
                let beside = cpu::nanoseconds(sidecar.id())? - before;
                let beside = if row.kind() == Kind::Sidecar { beside / u64::from(calls + clients::WARM_UP) } else { 0 };
                row.measured(load, client / u64::from(calls), beside);
            }
        }
    }
    Ok(table::print(&rows)?)
}
