//! A name whose addresses change every second, as those of a headless service while it is rolled out.

use std::{
    io::{self, Write},
    net::IpAddr,
    time::Duration,
};

use meshlib_examples::dns::DnsServer;

use crate::BoxError;

/// Answers for `name` until it is ended: all `addresses` but one, and another one every `every`. Prints where it
/// answers.
pub(crate) async fn run(name: &str, addresses: &[IpAddr], every: Duration) -> Result<(), BoxError> {
    let server = DnsServer::start().await?;
    server.set_ttl(1);
    let set = |without: usize| {
        let others = addresses.iter().enumerate().filter(|(index, _)| *index != without);
        server.set(name, others.map(|(_, address)| *address));
    };
    set(0);
    writeln!(io::stdout(), "{}", server.address())?;
    io::stdout().flush()?;
    let mut change = tokio::time::interval(every);
    for without in (0..addresses.len()).cycle() {
        change.tick().await;
        set(without);
    }
    Err("no addresses".into())
}
