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

use std::process::ExitCode;

use meshlib_examples::demo::{EndSignals, Terminal, program};

use crate::story::Story;

const USAGE: &str = "\
usage: mesh [--as-published] [--once]
  --as-published  the deployment as it was published, and why it works all the same
  --once          end instead of serving until Ctrl-C";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    program("mesh", USAGE, async |mut arguments| {
        let story = Story { once: arguments.flag("--once"), as_published: arguments.flag("--as-published") };
        arguments.end()?;
        let (mut signals, mut terminal) = (EndSignals::listen()?, Terminal::stdout());
        let deployment = tokio::select! {
            deployment = story.tell(&mut terminal) => deployment?,
            // Ended in order, so that no temporary files are left.
            () = signals.next() => return Ok(()),
        };
        if !story.once {
            show::commands(&mut terminal, &deployment)?;
            signals.next().await;
            show::access_log(&mut terminal, &deployment, 5)?;
        }
        Ok(())
    })
    .await
}
