//! What the story shows of the mesh.

use std::io::{self, Write};

use meshlib::cluster::host::HealthFlags;
use meshlib_examples::{
    client::Reply,
    demo::{Align, Colour, Table, Terminal, print_calls, print_looks},
    mesh::Deployment,
};

/// The response's headers and trailers, as grpcurl prints them.
pub(crate) fn reply<W: Write>(terminal: &mut Terminal<W>, reply: &Reply) -> io::Result<()> {
    terminal.line(&format!("content: {:?}", reply.content))?;
    for (what, metadata) in [("header", &reply.headers), ("trailer", &reply.trailers)] {
        for (name, value) in metadata.as_ref() {
            terminal.line(&format!("{what}: {name}: {}", String::from_utf8_lossy(value.as_bytes())))?;
        }
    }
    Ok(())
}

/// What the edge thinks of each pod.
pub(crate) fn health<W: Write>(terminal: &mut Terminal<W>, deployment: &Deployment) -> io::Result<()> {
    let Some(cluster) = deployment.cluster() else { return Ok(()) };
    let hosts = cluster.hosts().load_full();
    let mut table = Table::new([("pod", Align::Left), ("address", Align::Left), ("health", Align::Left)]);
    for host in hosts.hosts() {
        let pod = deployment.pods().iter().find(|pod| pod.address() == host.address().ip());
        let colour = if host.health() == HealthFlags::HEALTHY { Colour::Green } else { Colour::Red };
        table.row([
            pod.map_or("?", |pod| pod.name()).to_owned(),
            host.address().to_string(),
            terminal.paint(colour, &host.health().to_string()),
        ]);
    }
    terminal.table(&table)?;
    let mode = if hosts.is_panic() { "panic: health is ignored" } else { "no panic" };
    terminal.line(&format!("{} of {} healthy, {mode}", hosts.healthy(), hosts.hosts().len()))
}

/// The last lines of the edge's access log.
pub(crate) fn access_log<W: Write>(terminal: &mut Terminal<W>, deployment: &Deployment, last: usize) -> io::Result<()> {
    terminal.heading("The last lines of the edge's access log")?;
    let log = std::fs::read_to_string(deployment.access_log())?;
    let lines: Vec<&str> = log.lines().collect();
    lines.iter().skip(lines.len().saturating_sub(last)).try_for_each(|line| terminal.line(line))
}

/// The commands to go on with.
pub(crate) fn commands<W: Write>(terminal: &mut Terminal<W>, deployment: &Deployment) -> io::Result<()> {
    terminal.heading("Your turn (Ctrl-C ends)")?;
    let url = deployment.url();
    print_calls(terminal, &url)?;
    print_looks(terminal, &url, deployment.edge().admin_addr())
}
