//! The backend of load tests: HTTP/2 with prior knowledge, answering with what it is sent, on one thread.
//!
//! ```text
//! cargo run --release -p meshlib-benches --bin h2-echo -- 127.0.0.1:9001 127.0.0.1:9002
//! ```

use std::io;

use meshlib_benches::echo;
use tokio::{net::TcpListener, task::JoinSet};

fn main() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut listeners = JoinSet::new();
        for address in std::env::args().skip(1) {
            listeners.spawn(accept(TcpListener::bind(address).await?));
        }
        while let Some(ended) = listeners.join_next().await {
            ended??;
        }
        Ok(())
    })
}

async fn accept(listener: TcpListener) -> io::Result<()> {
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        // A connection's error is its client's affair.
        tokio::spawn(async move { echo::serve(socket).await.ok() });
    }
}
