//! An outage, replayed under virtual time from the files that Kubernetes deploys (examples/kubernetes): the sidecars
//! start five seconds after the edge, later a pod dies, and DNS is late to say so. Four minutes pass in a moment.
//!
//! ```text
//! cargo run --example sim                             the timeline; then the same with one line more in the file
//! cargo run --example sim -- --trace                  everything that happened
//! cargo run --example sim -- --edge F --sidecar F     with files of your own
//! ```
//!
//! Needs no network and nothing installed: `meshlib::testkit` brings addresses, names, certificates and time.

use std::{fs, io::Write, process::ExitCode, time::Duration};

use meshlib::{
    cluster::config::DiscoveryConfig,
    testkit::{Call, Load, Outcome, Sim, millis, secs},
};
use meshlib_examples::{
    demo::{Colour, Summary, Terminal, program},
    mesh::StartError,
};

const EDGE: &str = include_str!("../kubernetes/edge.envoy.yaml");
const SIDECAR: &str = include_str!("../kubernetes/sidecar.envoy.yaml");
const PODS: [&str; 3] = ["pod1", "pod2", "pod3"];
const END: Duration = secs(125);
/// What the deployment had to learn: without it a cluster that nobody has called yet is checked once a minute.
const LINE: &str = "      no_traffic_interval: 10s\n";

const USAGE: &str = "\
usage: sim [--trace] [--edge EDGE.yaml] [--sidecar SIDECAR.yaml]
  --trace  everything that happened, not only what matters";

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> ExitCode {
    program("sim", USAGE, async |mut arguments| {
        let mut terminal = Terminal::stdout();
        let trace = arguments.flag("--trace");
        let mut file =
            |option: &str| arguments.option::<String>(option, "a file").map(|path| path.map(fs::read_to_string));
        let (edge, sidecar) = (file("--edge")?.transpose()?, file("--sidecar")?.transpose()?);
        arguments.end()?;
        let sidecar = sidecar.as_deref().unwrap_or(SIDECAR);
        if let Some(edge) = edge {
            terminal.heading("Your files")?;
            return tell(&mut terminal, &outage(&edge, sidecar).await?, trace);
        }
        terminal.heading("As published: the first check fails, the next one is a minute away")?;
        tell(&mut terminal, &outage(&EDGE.replace(LINE, ""), sidecar).await?, trace)?;
        terminal.heading(&format!("With `{}` in the edge's file", LINE.trim()))?;
        tell(&mut terminal, &outage(EDGE, sidecar).await?, trace)
    })
    .await
}

/// What happens, and when.
async fn outage(edge: &str, sidecar: &str) -> Result<Sim, StartError> {
    let mut sim = Sim::from_files(&[("edge", edge), ("pod1", sidecar), ("pod2", sidecar), ("pod3", sidecar)])?;
    let name = service(&sim).ok_or("the edge's file has no cluster of type STRICT_DNS")?;
    sim.dns(&name).set(PODS);
    for pod in PODS {
        sim.hold_back(pod);
        sim.at(secs(5)).start(pod);
    }
    sim.at(secs(92)).kill("pod3");
    sim.at(secs(115)).set_dns(&name, ["pod1", "pod2"]);
    sim.load(Load::new("edge").every(millis(100)).until(END));
    sim.run_until(END).await;
    Ok(sim)
}

/// The name that the edge resolves.
fn service(sim: &Sim) -> Option<String> {
    sim.node("edge").config().clusters.iter().find_map(|cluster| match &cluster.discovery {
        DiscoveryConfig::StrictDns(dns) => dns.endpoints.first().map(|endpoint| endpoint.host.to_string()),
        _ => None,
    })
}

fn tell<W: Write>(terminal: &mut Terminal<W>, sim: &Sim, trace: bool) -> Result<(), StartError> {
    let matters = |what: &str| trace || ["--", "edge", "DNS:"].iter().any(|begin| what.starts_with(begin));
    let happened = sim.trace().into_iter().filter(|event| matters(&event.what)).map(|event| (event.at, event.what));
    let mut lines: Vec<(Duration, String)> = happened.collect();
    lines.extend(turns(&sim.calls()));
    lines.sort_by_key(|(at, _)| *at);
    for (at, what) in lines {
        let colour = match &what {
            bad if bad.contains("fail") || bad.contains("panics:") => Colour::Red,
            good if good.contains("healthy") || good.contains("succeed") => Colour::Green,
            event if event.starts_with("--") => Colour::Bold,
            _ => Colour::Dim,
        };
        terminal.line(&format!("{:7.1} s  {}", at.as_secs_f64(), terminal.paint(colour, &what)))?;
    }
    let mut summary = Summary::new();
    for call in sim.calls() {
        match call.outcome {
            Outcome::Answered { by: Some(pod), .. } => summary.answered(&pod),
            other => summary.failed(&other.to_string()),
        }
    }
    Ok(summary.print(terminal)?)
}

/// Where calls that succeed turn into calls that fail, and back: what clients notice. Failures less than two seconds
/// apart are one.
fn turns(calls: &[Call]) -> Vec<(Duration, String)> {
    let failed: Vec<_> = calls.iter().filter(|call| !call.outcome.is_success()).collect();
    let mut turns = Vec::new();
    for outage in failed.chunk_by(|one, next| next.begin - one.begin < secs(2)) {
        let (Some(first), Some(last)) = (outage.first(), outage.last()) else { continue };
        let reason = first.outcome.to_string();
        turns.push((first.begin, format!("calls fail: {}", reason.trim_start_matches("fails, "))));
        let all = calls.iter().filter(|call| (first.begin..=last.begin).contains(&call.begin)).count();
        turns.push((last.begin, format!("calls succeed again; {} of {all} have failed", outage.len())));
    }
    turns
}
