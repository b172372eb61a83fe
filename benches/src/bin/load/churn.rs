//! Connections of one request each.

use std::{
    io::{self, Write},
    sync::Arc,
};

use tokio::{task::JoinSet, time::Instant};

use crate::{
    BoxError,
    call::Call,
    client::{Client, Protocol},
    connect::Target,
};

/// Makes `connections`, at most `at_once` at a time, with one request on each.
pub(crate) async fn run(
    target: Target,
    protocol: Protocol,
    call: Call,
    connections: usize,
    at_once: usize,
) -> Result<(), BoxError> {
    let call = Arc::new(call);
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for _ in 0..connections {
        while tasks.len() >= at_once {
            next(&mut tasks).await?;
        }
        let (target, call) = (target.clone(), Arc::clone(&call));
        tasks.spawn(async move { Client::connect(&target, protocol).await?.call(&call).await });
    }
    while next(&mut tasks).await?.is_some() {}
    let seconds = start.elapsed().as_secs_f64();
    writeln!(io::stdout(), "{connections} connections of one request in {seconds:.1} s")?;
    Ok(())
}

async fn next(tasks: &mut JoinSet<Result<(), BoxError>>) -> Result<Option<()>, BoxError> {
    tasks.join_next().await.transpose()?.transpose()
}
