//! The whole mesh in one process: three pods, a name server, an edge with TLS, all on loopback.
//!
//! ```text
//! cargo run --example mesh                        the deployment as it should be
//! cargo run --example mesh -- --as-published      as it was published, and why it works all the same
//! cargo run --example mesh -- --once              end instead of serving until Ctrl-C
//! ```
//!
//! Needs no root and nothing installed; ports are free ones, so two copies run at once. The pods have loopback
//! addresses of their own (127.x.y.z), which Linux gives away; other systems must be given them first.

mod show;
mod story;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use meshlib_examples::demo::Terminal;

use crate::story::Story;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut story = Story::default();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--once" => story.once = true,
            "--as-published" => story.as_published = true,
            _ => {
                complain("usage: cargo run --example mesh -- [--as-published] [--once]");
                return ExitCode::from(2);
            }
        }
    }
    match story.tell(&mut Terminal::stdout()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_closed_pipe(error.as_ref()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("mesh: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// A closed standard error is no reason to fail in another way.
fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// `mesh | head` is no failure.
fn is_closed_pipe(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
