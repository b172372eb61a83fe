//! Many connections that do nothing, then one request on each.

use std::{
    io::{self, BufRead, Write},
    sync::Arc,
};

use tokio::task::JoinSet;

use crate::{
    BoxError,
    call::Call,
    client::{Client, Protocol},
    connect::Target,
};

/// How many connections are made, or calls are under way, at once.
const AT_ONCE: usize = 64;

/// Opens the connections, calls on each, closes them. Says after each step what was done, and goes on when it is told
/// to by a line, so that who asks can look at the target in between.
pub(crate) async fn run(target: Target, protocol: Protocol, call: Call, connections: usize) -> Result<(), BoxError> {
    let mut open = Vec::with_capacity(connections);
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        while tasks.len() >= AT_ONCE {
            open.extend(next(&mut tasks).await?);
        }
        let target = target.clone();
        tasks.spawn(async move { Client::connect(&target, protocol).await });
    }
    while let Some(client) = next(&mut tasks).await? {
        open.push(client);
    }
    step(&format!("{} open", open.len())).await?;

    let call = Arc::new(call);
    let mut called = Vec::with_capacity(connections);
    for mut client in open {
        while tasks.len() >= AT_ONCE {
            called.extend(next(&mut tasks).await?);
        }
        let call = Arc::clone(&call);
        tasks.spawn(async move { client.call(&call).await.map(|()| client) });
    }
    while let Some(client) = next(&mut tasks).await? {
        called.push(client);
    }
    step(&format!("{} answered", called.len())).await
}

async fn next(tasks: &mut JoinSet<Result<Client, BoxError>>) -> Result<Option<Client>, BoxError> {
    tasks.join_next().await.transpose()?.transpose()
}

async fn step(done: &str) -> Result<(), BoxError> {
    writeln!(io::stdout(), "{done}")?;
    io::stdout().flush()?;
    // A thread of its own: connections are alive meanwhile.
    tokio::task::spawn_blocking(|| io::stdin().lock().read_line(&mut String::new())).await??;
    Ok(())
}
